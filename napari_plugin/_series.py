"""Several series in one folder or file, or several time points: a list beside the picture to choose from."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QListWidget, QListWidgetItem, QPushButton, QVBoxLayout

from medseg import Progress, Volume
from medseg.errors import FramesAmbiguousError, SeriesAmbiguousError
from medseg.io.options import ReadOptions
from medseg.io.read import read_with
from medseg.progress import Steps
from napari_plugin._docked import DockedWidget
from napari_plugin._reader import scan_layers
from napari_plugin._running import RunBar
from napari_plugin._telling import tell

if TYPE_CHECKING:
    from napari.viewer import Viewer


MOST_LISTED = 10_000
"""More time points than this are no list to choose from; a damaged file may claim thousands of millions."""


class SeriesChoice(DockedWidget):
    """Lists series or time points; the chosen ones are opened one after the other, the list stays for more.

    Parameters
    ----------
    viewer : Viewer
    path : str
        The folder or file.
    choices : tuple of (str, str)
        Key and description of each.
    options_of : callable
        Key -> the reading options that choose it.
    what : str
        What the choices are.
    """

    def __init__(
        self,
        viewer: Viewer,
        path: str,
        choices: tuple[tuple[str, str], ...],
        options_of: Callable[[str], ReadOptions],
        what: str = "series",
    ) -> None:
        super().__init__(RunBar())
        self._viewer, self._path, self._waiting = viewer, path, list[str]()
        self._options_of, self._what = options_of, what
        head = QLabel(f"<b>{escape(Path(path).name)}</b> holds {len(choices)} {what}. Which ones do you want to see?")
        head.setTextFormat(Qt.TextFormat.RichText)
        head.setWordWrap(True)
        self.list = QListWidget()
        self.list.setSelectionMode(QListWidget.SelectionMode.ExtendedSelection)
        self.list.setWordWrap(True)
        for key, text in choices:
            item = QListWidgetItem(text)
            item.setData(Qt.ItemDataRole.UserRole, key)
            item.setToolTip(f"{what} {key}")
            self.list.addItem(item)
        self.button = QPushButton("Open")
        self.bar = self.run
        self.bar.done.connect(self._add)
        self.bar.ended.connect(self._next)
        self.list.itemSelectionChanged.connect(self._allow)
        self.list.itemDoubleClicked.connect(self._open)
        self.button.clicked.connect(self._open)
        column = QVBoxLayout(self)
        for widget in (head, self.list, self.button, self.bar):
            column.addWidget(widget)
        self._allow()

    def let_go(self) -> None:
        """Read none of those that were chosen besides."""
        self._waiting.clear()

    def _open(self) -> None:
        self._waiting = [item.data(Qt.ItemDataRole.UserRole) for item in self.list.selectedItems()]
        self._next()

    def _next(self) -> None:
        if self._waiting and not self.bar.busy:
            key = self._waiting.pop(0)
            options = self._options_of(key)
            self.bar.start(lambda: _reading(self._path, options), what=f"Reading the {self._what}")
        self._allow()

    def _add(self, volume: Volume | FramesAmbiguousError) -> None:
        from napari.layers import Layer

        if isinstance(volume, FramesAmbiguousError):
            ask_frame(self._viewer, self._path, volume)
            return
        for layer in scan_layers(volume, f"{Path(self._path).name} {_text(self.list, volume)}".strip()):
            self._viewer.add_layer(Layer.create(*layer))

    def _allow(self) -> None:
        chosen = bool(self.list.selectedItems())
        self.button.setEnabled(chosen and not self.bar.busy)
        reason = "Choose from the list first." if not chosen else "One is being read."
        self.button.setToolTip("" if self.button.isEnabled() else reason)


def ask(viewer: Viewer, path: str, several: SeriesAmbiguousError) -> SeriesChoice:
    """Show the list of series beside the picture, and return it."""
    widget = SeriesChoice(viewer, path, several.choices, lambda key: ReadOptions(series=key))
    viewer.window.add_dock_widget(widget, name="Choose a series", area="right")
    return widget


def ask_frame(viewer: Viewer, path: str, several: FramesAmbiguousError) -> SeriesChoice | None:
    """Show the list of time points beside the picture, and return it; of far too many only the refusal is shown."""
    if several.n_frames > MOST_LISTED:
        tell(several)
        return None
    choices = tuple((str(n), f"time point {n}") for n in range(several.n_frames))
    widget = SeriesChoice(
        viewer, path, choices, lambda key: ReadOptions(series=several.series, frame=int(key)), "time points"
    )
    viewer.window.add_dock_widget(widget, name="Choose a time point", area="right")
    return widget


def _reading(path: str, options: ReadOptions) -> Steps[Volume | FramesAmbiguousError]:
    yield Progress("reading", 0, 1)
    try:
        return read_with(path, options)
    except FramesAmbiguousError as several:
        return several  # a question to the user, asked where the window is


def _text(choices: QListWidget, volume: Volume) -> str:
    """Return what the list calls the series that was read, in short."""
    details = volume.source.details if volume.source else {}
    if "frame" in details:
        return f"time point {str(details['frame']).partition(' ')[0]}"
    key = str(details.get("series_key") or details.get("series", ""))
    for row in range(choices.count()):
        item = choices.item(row)
        if key and item.data(Qt.ItemDataRole.UserRole) == key:
            return str(item.text())
    return ""
