"""Split touching objects: sliders whose effect is seen at once, then the whole in the background."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QTimer
from qtpy.QtWidgets import QApplication, QWidget

from medseg import Instances, MedsegError
from medseg.instance.options import SplitOptions
from medseg.instance.retune import Method, separated_steps
from medseg.progress import Steps, finish
from napari_plugin._layers import LayerData, instances_layer
from napari_plugin._request import Request
from napari_plugin._running import Make
from napari_plugin._split_detect import Opinions, reason_against
from napari_plugin._split_form import APPLY, NO_NUMBERS, SplitForm
from napari_plugin._split_made import MadeLayers
from napari_plugin._split_preview import Look, Looker, PreviewLayer, Wish
from napari_plugin._split_source import Splittable, changes, described, lies_in_file, request_of, splittable_steps
from napari_plugin._split_view import shown_part
from napari_plugin._telling import tell, tell_any, warn
from napari_plugin._views import camera_of

if TYPE_CHECKING:
    import napari.viewer

    from medseg.instance.look import Seen

PAUSE_MS = 15
NO_LAYER = "Segment an image with a model for objects first, or open or draw a mask as a labels layer."


class SplitWidget(SplitForm):
    """Separates the objects of a layer with numbers that are tried out live.

    Parameters
    ----------
    viewer : Viewer
    parent : QWidget, optional
    """

    # napari gives its viewer to the parameter with exactly this annotation
    def __init__(self, viewer: napari.viewer.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(viewer, parent)
        self._viewer = viewer
        self._docked = self._given_up = False
        self._item: Splittable | None = None
        self._layer: Any = None
        self._made = MadeLayers(viewer)
        self._whole: int | None = None
        self._seen: Seen | None = None
        self._asked: tuple[Method, SplitOptions] | None = None
        self._looker, self._preview = Looker(self), PreviewLayer(viewer)
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self._pause.timeout.connect(self._look_now)
        self._connect()
        self.offer_detection()
        self._take(self.choice.layer)

    @property
    def options(self) -> SplitOptions:
        """The numbers that are set."""
        return self.numbers.options

    @property
    def split_method(self) -> Method:
        """The way to separate that is chosen; for a detector the one that it is compared with."""
        method: Method = "watershed" if self.detecting else self.method.currentData()
        return method

    @property
    def item(self) -> Splittable | None:
        """What the objects are separated from; None while there is nothing, or it is still being read."""
        return self._item

    @property
    def looking(self) -> bool:
        """Whether a preview is on its way."""
        return self._pause.isActive() or self._looker.busy

    @property
    def seen(self) -> Seen | None:
        """The objects that are outlined now, in voxels of what they were separated from."""
        return self._seen

    def request(self) -> Request:
        """Return the command that gives the objects that Apply gives now.

        Raises
        ------
        LookupError
            With a sentence, if no command can.
        """
        if self._item is None:
            raise LookupError(NO_LAYER)
        if self.detecting:
            return self.detectors.request(self.image.layer)
        return request_of(self._item, self.split_method, self.options)

    def apply(self) -> None:
        """Separate the objects of the whole layer in the background."""
        item, method, options = self._item, self.split_method, self.options
        if item is None or self.bar.busy:
            return
        try:
            make = self._work(item, method, options)
        except (LookupError, MedsegError) as problem:
            self.result.setText(_words(problem))
            return
        self._asked = (method, options)
        self.result.clear()
        self.bar.start(make, what=f"Splitting {item.name}")
        self._refresh()

    def _work(self, item: Splittable, method: Method, options: SplitOptions) -> Make:
        if self.detecting:
            return self.detectors.work(item, options, self.image.layer)
        return lambda: separated_steps(item.source, method, options)

    def event(self, event: QEvent) -> bool:
        """Give up the work when the dock is closed: napari takes the widget out of it then."""
        if event.type() == QEvent.Type.ParentChange:
            if self._docked and self.parent() is None:
                self.give_up()
            self._docked = self.parent() is not None
        return bool(super().event(event))

    def closeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Give up the work."""
        self.give_up()
        super().closeEvent(event)

    def showEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Look again at what has changed while the widget was hidden."""
        super().showEvent(event)
        self._look()

    def give_up(self) -> None:
        """Stop all work, take the outlines away and listen to the viewer no longer."""
        if self._given_up:
            return
        self._given_up = True
        self._pause.stop()
        self._listen(False)
        self._watch(None)
        self._item = None
        self.choice.let_go()
        self.image.let_go()
        self._looker.wish(None)
        for bar in (self.bar, self.reader):
            bar.close_down()
        self.detectors.forget()
        self._preview.remove()

    def _connect(self) -> None:
        self.choice.changed.connect(self._take)
        self.image.changed.connect(self._take_image)
        self.method.currentIndexChanged.connect(lambda _: self._renew())
        self.numbers.changed.connect(self._look)
        self.reset_button.clicked.connect(self._reset)
        self.live_box.toggled.connect(self._toggle)
        self.apply_button.clicked.connect(self.apply)
        self.command_button.clicked.connect(lambda: self._copy(recipe=False))
        self.recipe_button.clicked.connect(lambda: self._copy(recipe=True))
        self._looker.found.connect(self._show)
        self._looker.failed.connect(self._fail_to_look)
        self.reader.done.connect(self._use)
        self.reader.failed.connect(self._fail)
        self.bar.done.connect(self._finish)
        self.bar.stopped.connect(self._stopped)
        self.bar.failed.connect(self._fail)
        self.bar.ended.connect(self._refresh)
        self._listen(True)

    def _listen(self, yes: bool) -> None:
        viewer = self._viewer
        moves = (
            viewer.dims.events.current_step,
            viewer.dims.events.order,
            viewer.dims.events.ndisplay,
            camera_of(viewer).events.zoom,
            camera_of(viewer).events.center,
        )
        for emitter in moves:
            (emitter.connect if yes else emitter.disconnect)(self._look)
        removed = viewer.layers.events.removed
        (removed.connect if yes else removed.disconnect)(self._lose)

    def _take(self, layer: Any) -> None:
        """Begin with another layer."""
        self._looker.wish(None)
        self._preview.remove()
        self._watch(layer)
        self._item, self._whole, self._seen = None, None, None
        if self.bar.busy:
            self.bar.cancel()
        self.kind.setText(NO_LAYER if layer is None else "Reading …")
        self.result.clear()
        self.propose_image(layer)
        self._read()
        self._refresh()

    def _take_image(self, _: Any) -> None:
        self.offer_detection()
        self._refresh()

    def _read(self) -> None:
        """Find out what the layer holds: at once, but for maps that lie in a file."""
        layer = self._layer
        if layer is None or self.reader.busy:
            return
        if lies_in_file(layer):
            self.reader.start(lambda: _named(layer), what="Reading the maps")
            return
        try:
            self._use(finish(_named(layer)))
        except MedsegError as error:
            self._item = None
            tell(error)
            self._fail(error)

    def _use(self, found: tuple[Any, Splittable]) -> None:
        layer, item = found
        if layer != self._layer:
            self._read()
            return
        first = self._item is None
        self._item = item
        self.kind.setText(described(item))
        self.apply_button.setText(APPLY[item.source.grid.ndim - 2])
        if first:
            self.numbers.fit(item)
        self._renew()

    def _watch(self, layer: Any) -> None:
        """Follow the pixels of a labels layer: a mask that is painted on is another mask."""
        for emitter in changes(self._layer):
            emitter.disconnect(self._read_again)
        self._layer = layer
        for emitter in changes(layer):
            emitter.connect(self._read_again)

    def _read_again(self, _: Any = None) -> None:
        if self._item is not None and self._item.source.maps is not None:
            return  # the maps are what counts, whatever is drawn on the objects
        self._whole = None
        self._read()

    def _renew(self) -> None:
        if self._item is not None:
            self.numbers.show_used(self._item.used(self.split_method))
        self.show_detection()
        if self.detecting:
            self._toggle(False)
        self._refresh()
        self._look()

    def _reset(self) -> None:
        if self._item is not None:
            self.numbers.set_options(self._item.tuned)

    def _toggle(self, on: bool) -> None:
        if on:
            self._look()
        else:
            self._looker.wish(None)
            self._preview.remove()
            self._tell_count(None)

    def _look(self, _: Any = None) -> None:
        """Look in a moment at what is in view then: events come while the viewer is still changing, and in swarms."""
        if self._item is not None and not self._given_up and not self._pause.isActive():
            self._pause.start()

    def _look_now(self) -> None:
        if self._item is None or self.detecting or not self.live_box.isChecked() or not self.isVisible():
            return
        shown = shown_part(self._viewer, self._layer, self._item.source)
        if shown is None:
            self._looker.wish(None)
            self._preview.remove()
            self.count.setText("Nothing of the layer is in view.")
            return
        self._looker.wish(Wish(self._item.source, self.split_method, self.options, shown))

    def _show(self, look: Look) -> None:
        if self._item is not None and look.wish.source is self._item.source and self.live_box.isChecked():
            self._preview.show(look)
            self._seen = look.seen
            self._tell_count(look)

    def _tell_count(self, look: Look | None) -> None:
        words = []
        if look is not None:
            where = "in view" if look.complete else "in the middle of the view"
            words.append(f"<b>{look.seen.count:,}</b> {_objects(look.seen.count)} {where}")
        if self._whole is not None and not self.detecting:
            stale = self._asked != (self.split_method, self.options)
            words.append(f"{self._whole:,} in all after Apply{' with the numbers before' if stale else ''}")
        self.count.setText(", ".join(words))

    def _finish(self, found: Instances | Opinions) -> None:
        item = self._item
        if item is None:
            return
        objects = found.split if isinstance(found, Opinions) else found
        self._whole = len(objects.segments)
        self._put(item, objects)
        told = f"{self._whole:,} {_objects(self._whole)} in all." if self._whole else "No objects: nothing was found."
        if isinstance(found, Opinions):
            self._show_made(found.layer())
            told = found.sentence
            warn(found.warnings)
        self.result.setText(told)
        self._tell_count(None) if self.detecting else self._look()

    def _stopped(self) -> None:
        self.result.setText("Stopped; nothing was changed.")
        if not self.bar.busy:
            self.detectors.give_up()

    def _put(self, item: Splittable, found: Instances) -> None:
        """Show the objects in a layer of their own; the next Apply replaces what the last one made."""
        request = None
        with suppress(LookupError, MedsegError):
            assert self._asked is not None
            request = request_of(item, *self._asked)
        kept = {name: item.record[name] for name in ("image", "model", "maps", "partial") if name in item.record}
        self._show_made(instances_layer(found, f"{item.name} split", **kept, request=request))

    def _show_made(self, made: LayerData) -> None:
        if self._made.show(made):
            self._preview.to_top()

    def _lose(self, event: Any) -> None:
        """Switch the preview off when the user deletes its layer."""
        if event.value == self._preview.layer:
            self._preview.layer = None
            self.live_box.setChecked(False)
        self._made.forget(event.value)

    def _fail(self, error: Exception) -> None:
        if isinstance(error, MedsegError):
            self.kind.setText(f"Found {error.found}, expected {error.expected}. {error.remedy}")
        self._refresh()

    def _fail_to_look(self, error: Exception) -> None:
        if not isinstance(error, MedsegError):
            tell_any(error)
        self._fail(error)

    def _refresh(self) -> None:
        reason = ""
        if self._item is None:
            reason = NO_LAYER if self._layer is None else "The layer is being read, or cannot be used: see above."
        elif self.detecting:
            reason = reason_against(self._item, self.image.layer)
        for button in (self.apply_button, self.reset_button, self.command_button, self.recipe_button):
            button.setEnabled(not reason)
            button.setToolTip(reason)
        if self.bar.busy:
            self.apply_button.setEnabled(False)
            self.apply_button.setToolTip("A run is under way: wait, or cancel it.")
        fixed = NO_NUMBERS if self.detecting else reason
        self.numbers.forbid(fixed)
        if self.detecting:
            self.reset_button.setEnabled(False)
            self.reset_button.setToolTip(fixed)

    def _copy(self, *, recipe: bool) -> None:
        try:
            request = self.request()
        except (LookupError, MedsegError) as problem:
            self.result.setText(_words(problem))
            return
        text = request.recipe() if recipe else request.command_line()
        QApplication.clipboard().setText(text)
        self.result.setText(
            "Copied. Save it as recipe.yaml and run: medseg run recipe.yaml" if recipe else f"Copied: {text}"
        )


def _named(layer: Any) -> Steps[tuple[Any, Splittable]]:
    """Read what a layer holds; returns the layer too, since another one may be chosen meanwhile."""
    item = yield from splittable_steps(layer)
    return layer, item


def _words(problem: LookupError | MedsegError) -> str:
    return str(problem.args[0]) if isinstance(problem, LookupError) else str(problem)


def _objects(n: int) -> str:
    return "object" if n == 1 else "objects"
