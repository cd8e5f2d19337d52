"""A live look at the objects in view: computed off the window's thread, the newest wish first, one at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari.qt.threading import create_worker
from qtpy.QtCore import QEventLoop, QObject, QTimer, Signal

from medseg import Instances, MedsegError
from medseg.instance.options import SplitOptions
from medseg.instance.retune import Method, SplitSource
from napari_plugin._layers import instances_layer

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from medseg.instance.look import Seen
    from napari_plugin._split_view import Shown

NAME = "split preview"
_OUTLINE = "#ffd21f"


@dataclass(frozen=True, eq=False)
class Wish:
    """What is to be looked at, and how."""

    source: SplitSource
    method: Method
    options: SplitOptions
    shown: Shown


@dataclass(frozen=True, eq=False)
class Look:
    """What was found for a wish, and what is drawn of it; `complete` when it covers all that is in view."""

    wish: Wish
    seen: Seen
    drawn: Any
    complete: bool


class Looker(QObject):
    """Fulfils wishes one after the other; of those that come while it works only the last is kept.

    A first answer covers the middle of the view and is always finished, so that the picture follows a slider that moves
    on; the second covers all of the view and is given up for a newer wish.
    """

    found = Signal(object)
    failed = Signal(object)
    _rested = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._next: Wish | None = None
        self._now: Wish | None = None
        self._worker: Any = None

    @property
    def busy(self) -> bool:
        """Whether a wish waits or is being worked on."""
        return self._next is not None or self._worker is not None

    def wish(self, wish: Wish | None) -> None:
        """Ask for a look; None to forget what was asked for."""
        self._next = wish
        if wish is None:
            self._now = None
        elif self._worker is None:
            self._begin()

    def close_down(self, seconds: float = 3.0) -> None:
        """Forget all wishes and wait a moment for the work to end."""
        self.wish(None)
        if self._worker is None:
            return
        loop = QEventLoop()
        self._rested.connect(loop.quit)
        QTimer.singleShot(int(1000 * seconds), loop.quit)
        loop.exec()

    def _begin(self) -> None:
        if self._worker is not None or self._next is None:
            return
        self._now, self._next = self._next, None
        self._worker = create_worker(self._work, self._now)
        self._worker.yielded.connect(self._show)
        self._worker.errored.connect(self._fail)
        self._worker.finished.connect(self._rest)
        self._worker.start()

    def _work(self, wish: Wish) -> Any:
        """Run on the other thread: yields one or two looks, or an error of medseg."""
        from medseg.instance.look import AT_MOST, AT_ONCE, box_within, look_steps, outlined

        before = None
        for most in (AT_ONCE, AT_MOST):
            box = box_within(wish.source, wish.options, wish.shown.box, most_voxels=most, about=wish.shown.about)
            if box == before:
                return
            steps = look_steps(wish.source, wish.method, wish.options, box)
            try:
                while True:
                    next(steps)
                    if self._now is not wish or (before is not None and self._next is not None):
                        steps.close()
                        return
            except StopIteration as end:
                seen = end.value
                drawn = seen.array if wish.shown.solid else outlined(seen.array)
                yield Look(wish, seen, drawn, complete=box == wish.shown.box)
            except MedsegError as error:
                yield error
                return
            before = box
            if box == wish.shown.box:
                return

    def _show(self, answer: Any) -> None:
        if isinstance(answer, Look):
            if answer.wish is self._now:
                self.found.emit(answer)
        else:
            self.failed.emit(answer)

    def _fail(self, error: Exception) -> None:
        self.failed.emit(error)

    def _rest(self) -> None:
        self._worker = None
        self._rested.emit()
        if self._next is not None:
            self._begin()


class PreviewLayer:
    """The layer with the outlines of a look; it is ours alone, comes with the first look and goes with `remove`."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._solid = False
        self.layer: Any = None

    @property
    def there(self) -> bool:
        """Whether the layer is in the viewer."""
        return self.layer is not None and self.layer in self._viewer.layers

    def show(self, look: Look) -> None:
        """Show what was found."""
        box = look.seen.box
        grid = look.wish.source.grid
        part = grid.cropped(tuple(b.start for b in box), tuple(b.stop - b.start for b in box))
        data, attributes, _ = instances_layer(Instances(look.drawn, part), NAME, preview=True)
        solid = look.wish.shown.solid
        if not self.there:
            active = self._viewer.layers.selection.active
            self.layer = self._viewer.add_labels(data, **attributes, opacity=0.9)
            self.layer.editable = False
            self._look_like(solid)
            self._viewer.layers.selection.active = active
            return
        if self._solid != solid:
            self._look_like(solid)
        self.layer.data = data
        self.layer.affine = attributes["affine"]
        self.layer.metadata = attributes["metadata"]

    def to_top(self) -> None:
        """Show the outlines over all other layers."""
        if self.there:
            layers = self._viewer.layers
            layers.move(layers.index(self.layer), len(layers))

    def remove(self) -> None:
        """Take the layer out of the viewer."""
        layer, there = self.layer, self.there
        self.layer = None  # first: who hears of the removal must not take it for the user's
        if there:
            self._viewer.layers.remove(layer)

    def _look_like(self, solid: bool) -> None:
        """Outlines of one colour in slices, where numbers change with every look; coloured bodies in 3-D."""
        from napari.utils.colormaps import DirectLabelColormap, label_colormap

        self._solid = solid
        one = DirectLabelColormap(color_dict={None: _OUTLINE, 0: "transparent"})
        self.layer.colormap = label_colormap(49) if solid else one
