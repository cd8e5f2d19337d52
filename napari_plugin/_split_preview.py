"""A live look at the objects in view: computed off the window's thread, the newest wish first, one at a time."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from medseg import Instances
from medseg.instance.options import SplitOptions
from medseg.instance.retune import Method, SplitSource
from napari_plugin._errand import End, Errand
from napari_plugin._layers import instances_layer
from napari_plugin._ready import ready

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


@dataclass(slots=True)
class _Wishes:
    """The wish that is worked on, and the one that waits; whether napari is prepared to draw what comes of them."""

    now: Wish | None = None
    next: Wish | None = None
    prepared: bool = False


class Looker(QObject):
    """Fulfils wishes one after the other; of those that come while it works only the last is kept.

    A first answer covers the middle of the view and is always finished, so that the picture follows a slider that moves
    on; the second covers all of the view and is given up for a newer wish.
    """

    found = Signal(object)
    failed = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._wishes = _Wishes()
        self._errand: Errand | None = None

    @property
    def busy(self) -> bool:
        """Whether a wish waits or is being worked on."""
        return self._wishes.next is not None or self._errand is not None

    def wish(self, wish: Wish | None) -> None:
        """Ask for a look; None to forget what was asked for."""
        self._wishes.next = wish
        if wish is None:
            self._wishes.now = None
        elif self._errand is None:
            self._begin()

    def _begin(self) -> None:
        wishes = self._wishes
        if self._errand is not None or wishes.next is None:
            return
        wishes.now, wishes.next = wishes.next, None
        self._errand = Errand(partial(_looking, wishes.now, wishes), self)
        self._errand.told.connect(self._show)
        self._errand.ended.connect(self._rest)
        self._errand.start()

    def _show(self, looks: list[Look]) -> None:
        for look in looks:
            if look.wish is self._wishes.now:
                self.found.emit(look)

    def _rest(self, end: End) -> None:
        self._errand = None
        if end.error is not None:
            self.failed.emit(end.error)
        self._begin()


def _looking(wish: Wish, wishes: _Wishes) -> Generator[Look, None, None]:
    """Run on the other thread: yields one or two looks."""
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
                if wishes.now is not wish or (before is not None and wishes.next is not None):
                    return
        except StopIteration as end:
            seen = end.value
        finally:
            steps.close()
        drawn = seen.array if wish.shown.solid else outlined(seen.array)
        if not wishes.prepared:
            ready([(drawn, {"colormap": _outline_colours()}, "labels")])
            wishes.prepared = True
        yield Look(wish, seen, drawn, complete=box == wish.shown.box)
        before = box
        if box == wish.shown.box:
            return


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
        from napari.utils.colormaps import label_colormap

        self._solid = solid
        self.layer.colormap = label_colormap(49) if solid else _outline_colours()


def _outline_colours() -> Any:
    from napari.utils.colormaps import DirectLabelColormap

    return DirectLabelColormap(color_dict={None: _OUTLINE, 0: "transparent"})
