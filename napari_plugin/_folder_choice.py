"""A folder to choose or to drop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QPushButton, QWidget


class FolderChoice(QWidget):
    """A line with the path of a folder and a button to choose one; folders can be dropped on it.

    Parameters
    ----------
    hint : str
        Shown while nothing is chosen.
    parent : QWidget, optional
    """

    changed = Signal()

    def __init__(self, hint: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.line, self.button = QLineEdit(), QPushButton("Choose …")
        self.line.setPlaceholderText(hint)
        self.line.setAcceptDrops(False)  # the whole widget takes the drop
        self.line.textChanged.connect(lambda _: self.changed.emit())
        self.button.clicked.connect(self._ask)
        self.setAcceptDrops(True)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.line, 1)
        row.addWidget(self.button)

    @property
    def path(self) -> Path | None:
        """The chosen path; None while nothing is chosen."""
        text = self.line.text().strip()
        return Path(text).expanduser() if text else None

    @path.setter
    def path(self, path: Path) -> None:
        self.line.setText(str(path))

    def dragEnterEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Take folders."""
        if _dropped(event) is not None:
            event.acceptProposedAction()

    def dropEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Choose the folder that was dropped."""
        found = _dropped(event)
        if found is not None:
            self.path = found
            event.acceptProposedAction()

    def _ask(self) -> None:
        start = str(self.path or Path.home())
        folder = QFileDialog.getExistingDirectory(self, self.line.placeholderText(), start)
        if folder:
            self.path = Path(folder)


def _dropped(event: Any) -> Path | None:
    """Return the folder that is dropped; that of a file which is."""
    urls = event.mimeData().urls() if event.mimeData().hasUrls() else []
    paths = [Path(url.toLocalFile()) for url in urls if url.isLocalFile()]
    if not paths:
        return None
    return paths[0] if paths[0].is_dir() else paths[0].parent
