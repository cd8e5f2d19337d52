"""Look at a scan as a radiologist does: planes by name, the patient's sides in the picture, windows by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtWidgets import QButtonGroup, QGridLayout, QGroupBox, QLabel, QPushButton, QVBoxLayout, QWidget

from medseg import Grid, MedsegError, Volume
from medseg.report.window import CT_WINDOWS, modality
from napari_plugin._layer_choice import LayerChoice
from napari_plugin._layers import blank_labels, contrast, volume_from_layer, world_point
from napari_plugin._letters import Letters
from napari_plugin._views import (
    ORDERS,
    SPACE,
    camera_of,
    jump_to,
    oblique_degrees,
    plane_of,
    show_plane,
    sides_of,
)

if TYPE_CHECKING:
    import napari

_PLANES = (*ORDERS, SPACE)
_TIPS = {
    "axial": "From the feet: the patient's left is on the right, anterior is up.",
    "coronal": "From the front: the patient's left is on the right, superior is up.",
    "sagittal": "From the patient's left: anterior is on the left, superior is up.",
    SPACE: "In space, from the front; turn it with the mouse.",
}
_AXES_OF = {"axial": "xy", "coronal": "xz", "sagittal": "yz"}
_AUTO, _FULL = "auto", "full range"


class LookWidget(QWidget):
    """Planes, windows and facts of the chosen image.

    Parameters
    ----------
    viewer : Viewer
    parent : QWidget, optional
    """

    def __init__(self, viewer: napari.viewer.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._volume: Volume | None = None
        self.choice = LayerChoice(viewer, ("image",))
        self.facts, self.note = _text(), _text()
        self.letters = Letters(viewer)
        self.planes = {name: _button(name, _TIPS[name], checkable=True) for name in _PLANES}
        self.windows = {name: _button(name, str(w)) for name, w in CT_WINDOWS.items()}
        self.windows[_AUTO] = _button(_AUTO, "All but the darkest and brightest half percent of the values.")
        self.windows[_FULL] = _button(_FULL, "From the lowest to the highest value.")
        self.centre = _button("Go to the centre", "All planes through the middle of the image.")
        self.draw = _button("New labels to draw in", "An empty labels layer exactly on this image.")
        self._lay_out()
        self._connect()
        self._change()

    def closeEvent(self, event: Any) -> None:  # noqa: N802
        """Leave the viewer as it was."""
        self.choice.let_go()
        for emitter in self._watched():
            emitter.disconnect(self._tell_sides)
        self.letters.show(None)
        super().closeEvent(event)

    def _watched(self) -> tuple[Any, ...]:
        dims, camera = self._viewer.dims.events, camera_of(self._viewer).events
        return dims.order, dims.ndisplay, dims.ndim, camera.angles, camera.orientation

    def _connect(self) -> None:
        for name, button in self.planes.items():
            button.clicked.connect(lambda _=False, name=name: self._show_plane(name))
        for name, button in self.windows.items():
            button.clicked.connect(lambda _=False, name=name: self._set_window(name))
        self.centre.clicked.connect(self._go_to_centre)
        self.draw.clicked.connect(self._add_labels)
        self.choice.changed.connect(self._change)
        for emitter in self._watched():
            emitter.connect(self._tell_sides)

    def _change(self, _: Any = None) -> None:
        layer, self._volume, reason = self.choice.layer, None, "Open an image first."
        if layer is not None:
            try:
                self._volume = volume_from_layer(layer)
            except MedsegError as error:
                reason = str(error)
        self.facts.setText(reason if self._volume is None else _facts(self._volume))
        is_ct = self._volume is not None and _modality(self._volume) == "CT"
        flat = self._volume is None or self._volume.grid.ndim == 2
        for name, button in self.planes.items():
            button.setText(name if self._volume is None or self._is_scan() else _AXES_OF.get(name, name))
            button.setProperty("tip", _TIPS[name] if self._is_scan() else "")
            _allow(button, not flat, reason if self._volume is None else "A flat picture has one plane.")
        for name, button in self.windows.items():
            why = reason if self._volume is None else "Only for CT: these values are not known to be Hounsfield units."
            _allow(button, self._volume is not None and (is_ct or name in (_AUTO, _FULL)), why)
        for button in (self.centre, self.draw):
            _allow(button, self._volume is not None, reason)
        self._tell_sides()

    def _tell_sides(self, _: Any = None) -> None:
        shown = plane_of(self._viewer)
        for name, button in self.planes.items():
            button.setChecked(name == shown)
        if not self._is_scan() or self._viewer.dims.ndim < 3:
            self.letters.show(None)
            self.note.setText("")
            return
        self.letters.show(sides_of(self._viewer))
        self.note.setText("The letters are the <i>patient's</i> sides, in the radiological convention.")

    def _show_plane(self, name: str) -> None:
        show_plane(self._viewer, name, is_scan=self._is_scan())
        self._tell_sides()

    def _is_scan(self) -> bool:
        return self._volume is not None and self._volume.grid.space == "patient"

    def _set_window(self, name: str) -> None:
        layer: Any = self.choice.layer
        if name in CT_WINDOWS:
            layer.contrast_limits = (CT_WINDOWS[name].low, CT_WINDOWS[name].high)
        elif not isinstance(layer.data, np.ndarray):
            layer.reset_contrast_limits()  # of what is shown: the rest is still on the disk
        elif name == _AUTO:
            layer.contrast_limits = contrast(layer.data)
        else:
            layer.contrast_limits = _range(layer.data)

    def _go_to_centre(self) -> None:
        grid: Grid = self._volume.grid  # type: ignore[union-attr]
        middle = [(n - 1) // 2 for n in grid.shape]
        jump_to(self._viewer, world_point(self.choice.layer, middle, self._viewer))

    def _add_labels(self) -> None:
        layer: Any = self.choice.layer
        data, attributes, _ = blank_labels(layer, f"{layer.name}_labels")
        self._viewer.add_labels(data, **attributes)

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.addWidget(self.choice)
        column.addWidget(self.facts)
        column.addWidget(_group("Plane", self.planes, 4, self.note))
        column.addWidget(_group("Window", self.windows, 3))
        column.addWidget(self.centre)
        column.addWidget(self.draw)
        column.addStretch()
        group = QButtonGroup(self)
        group.setExclusive(False)
        for button in self.planes.values():
            group.addButton(button)


def _facts(volume: Volume) -> str:
    grid = volume.grid
    unit = {"um": "µm", "px": "pixels"}.get(grid.unit, grid.unit)
    size = " x ".join(str(n) for n in grid.shape)
    lines = [f"{size} voxels", f"{' x '.join(f'{s:.3g}' for s in grid.spacing)} {unit}"]
    if grid.space == "patient":
        lines.append(f"stored {''.join(grid.axis_codes)}")
    if kind := _modality(volume):
        lines.append(kind)
    text = ", ".join(lines)
    if grid.unit == "px":
        text += "<br>The pixel size is not known: sizes are counted in pixels."
    if grid.space == "patient" and (angle := oblique_degrees(grid)):
        text += (
            f"<br><b>Oblique scan</b>, turned by {angle:.0f}°: napari shows its own slices, not slices cut anew, and "
            "says so. The letters name the nearest side. Results keep the true position."
        )
    return text


def _modality(volume: Volume) -> str:
    return modality(volume) if isinstance(volume.array, np.ndarray) else ""


def _range(data: Any) -> tuple[float, float]:
    low, high = float(np.nanmin(data)), float(np.nanmax(data))
    return low, high if high > low else low + 1.0


def _allow(button: QPushButton, yes: bool, reason: str) -> None:
    tip = button.property("tip")
    button.setEnabled(yes)
    button.setToolTip(tip if yes else reason)


def _button(text: str, tip: str, *, checkable: bool = False) -> QPushButton:
    button = QPushButton(text)
    button.setCheckable(checkable)
    button.setProperty("tip", tip)
    button.setToolTip(tip)
    return button


def _text() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    return label


def _group(title: str, buttons: dict[str, QPushButton], n_columns: int, below: QWidget | None = None) -> QGroupBox:
    box = QGroupBox(title)
    grid = QGridLayout(box)
    for number, button in enumerate(buttons.values()):
        grid.addWidget(button, *divmod(number, n_columns))
    if below is not None:
        grid.addWidget(below, grid.rowCount(), 0, 1, n_columns)
    return box
