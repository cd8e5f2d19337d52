"""The numbers of the splitting as sliders with value boxes, in the units of the image."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QComboBox, QDoubleSpinBox, QFormLayout, QHBoxLayout, QLabel, QSlider, QWidget

from medseg.instance.options import SplitOptions
from medseg.instance.scale import REFERENCE_DIAMETER
from napari_plugin._split_source import Splittable, about

SHARES = {
    "foreground_threshold": "Object from",
    "seed_threshold": "Centre from",
    "min_depth": "Cut waists from",
}
LENGTHS = {"min_distance": "Centres apart", "smoothing": "Smoothing", "min_size": "Least size"}
DECODERS = {
    "combined": "distance and interior",
    "distance": "distance",
    "boundary": "interior and boundary",
    "offsets": "votes for the centre",
}
_TICKS = 200
_UNITS = {"um": "µm", "mm": "mm", "px": "px"}


class Number(QWidget):
    """A slider and a box for one number; keeps the exact number that it was given until the user changes it.

    Parameters
    ----------
    highest : float
        Right end of the slider; the box takes more where there is no natural end.
    limited : bool
        `highest` is that end.
    """

    changed = Signal()

    def __init__(self, highest: float = 1.0, *, limited: bool = True) -> None:
        super().__init__()
        self._value, self._highest = 0.0, highest
        self._bend = 1.0 if limited else 2.0  # small lengths need a finer slider than large ones
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, _TICKS)
        self.slider.setMinimumWidth(50)
        self.slider.setPageStep(_TICKS // 20)
        self.box = QDoubleSpinBox()
        self.box.setKeyboardTracking(False)
        self.box.setFixedWidth(92)
        self.box.setRange(0.0, highest if limited else 1e9)
        self.set_reach(highest)
        self.slider.valueChanged.connect(self._slid)
        self.box.valueChanged.connect(self._typed)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.slider, 1)
        row.addWidget(self.box)
        self.setFocusProxy(self.slider)

    @property
    def value(self) -> float:
        """The number."""
        return self._value

    def set_reach(self, highest: float) -> None:
        """Set what the right end of the slider means."""
        self._highest = highest
        decimals = next((n for n, limit in ((3, 0.99), (2, 100.0), (1, 1000.0)) if highest <= limit), 0)
        self.box.setDecimals(decimals)
        self.box.setSingleStep(max(10.0**-decimals, highest / 100))

    def set_value(self, value: float) -> None:
        """Set the number without telling anybody."""
        self._value = value
        blocked = [QSignalBlocker(self.slider), QSignalBlocker(self.box)]
        self.slider.setValue(self._tick(value))
        self.box.setValue(value)
        del blocked

    def _tick(self, value: float) -> int:
        return round(_TICKS * min(1.0, value / self._highest) ** (1 / self._bend))

    def _slid(self, tick: int) -> None:
        self._take(round(self._highest * (tick / _TICKS) ** self._bend, self.box.decimals()))

    def _typed(self, value: float) -> None:
        self._take(value)

    def _take(self, value: float) -> None:
        self.set_value(value)
        self.changed.emit()


class Numbers(QWidget):
    """All numbers of `SplitOptions`; those that a method makes no use of are hidden."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.decoder = QComboBox()
        self.numbers = {name: Number() for name in SHARES} | {name: Number(limited=False) for name in LENGTHS}
        self._labels = {name: QLabel(text) for name, text in {"decoder": "Maps", **SHARES, **LENGTHS}.items()}
        self._form = QFormLayout(self)
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for name, label in self._labels.items():
            field: Any = self.decoder if name == "decoder" else self.numbers[name]
            for widget in (label, field):
                widget.setToolTip(about(name))
            label.setBuddy(field)
            self._form.addRow(label, field)
        for number in self.numbers.values():
            number.changed.connect(self.changed)
        self.decoder.currentIndexChanged.connect(lambda _: self.changed.emit())

    @property
    def options(self) -> SplitOptions:
        """What is set."""
        values: dict[str, Any] = {name: number.value for name, number in self.numbers.items()}
        decoder = self.decoder.currentData()
        options = SplitOptions(**values)
        return options if decoder is None else replace(options, decoder=decoder)

    def fit(self, item: Splittable) -> None:
        """Set units and reach of the sliders, and the decoders, for a source; then its own numbers."""
        grid, step = item.source.grid, min(item.source.spacing)
        unit = _UNITS[grid.unit]
        size = f"{unit}{'²³'[grid.ndim - 2]}"
        for name, text in LENGTHS.items():
            self._labels[name].setText(f"{text} ({size if name == 'min_size' else unit})")
        wide = REFERENCE_DIAMETER * step
        self.numbers["min_distance"].set_reach(_rounded(2 * wide))
        self.numbers["smoothing"].set_reach(_rounded(wide / 4))
        self.numbers["min_size"].set_reach(_rounded(wide**grid.ndim))
        blocked = QSignalBlocker(self.decoder)
        self.decoder.clear()
        for name in item.decoders:
            self.decoder.addItem(DECODERS.get(name, name), name)
        del blocked
        self.set_options(item.tuned)

    def set_options(self, options: SplitOptions) -> None:
        """Show other numbers, and tell once."""
        for name, number in self.numbers.items():
            number.set_value(getattr(options, name))
        blocked = QSignalBlocker(self.decoder)
        self.decoder.setCurrentIndex(max(0, self.decoder.findData(options.decoder)))
        del blocked
        self.changed.emit()

    def forbid(self, reason: str) -> None:
        """Say at each number why it cannot be changed; "" lets all be changed."""
        self.setEnabled(not reason)
        for name, label in self._labels.items():
            field: Any = self.decoder if name == "decoder" else self.numbers[name]
            for widget in (label, field):
                widget.setToolTip(reason or about(name))

    def show_used(self, used: frozenset[str]) -> None:
        """Hide the numbers that are not used."""
        for row, name in enumerate(self._labels):
            self._form.setRowVisible(row, name in used and (name != "decoder" or self.decoder.count() > 0))


def _rounded(value: float) -> float:
    """Return a number of about this size with one or two digits."""
    return float(f"{value:.2g}")
