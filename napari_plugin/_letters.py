"""Letters at the four sides of the picture, as on a light box."""

from __future__ import annotations

from typing import Any

from napari_plugin._views import Sides

_PLACES = {"left": "middle_left", "right": "middle_right", "top": "top_center", "bottom": "bottom_center"}
_SIZE = 14.0


class Letters:
    """Shows which side of the patient is where; napari before 0.9 has room for one line only.

    Parameters
    ----------
    viewer : Viewer
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._sides: Sides | None = None

    @property
    def sides(self) -> Sides | None:
        """What is shown; None while nothing is."""
        return self._sides

    def show(self, sides: Sides | None) -> None:
        """Show letters, or take them away.

        Parameters
        ----------
        sides : Sides, optional
        """
        if sides == self._sides:
            return
        self._sides = sides
        if not hasattr(self._viewer, "canvas"):
            self._in_one_line(sides)
            return
        overlays = self._viewer.canvas.overlays
        for side, place in _PLACES.items():
            key = f"medseg_{side}"
            if sides is None:
                if key in overlays:
                    del overlays[key]
            elif key in overlays:
                overlays[key].text = getattr(sides, side)
            else:
                overlays[key] = _letter(getattr(sides, side), place)

    def _in_one_line(self, sides: Sides | None) -> None:
        line = self._viewer.text_overlay
        line.visible = sides is not None
        if sides is not None:
            line.text = f"{sides.left} <  > {sides.right}    up {sides.top}, down {sides.bottom}"


def _letter(text: str, place: str) -> Any:
    from napari.components.overlays import TextOverlay

    return TextOverlay(text=text, position=place, font_size=_SIZE, visible=True, box=True)
