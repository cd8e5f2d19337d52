"""A widget in napari's dock that knows when it was closed, in whichever of napari's two ways."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_plugin._running import RunBar


class DockedWidget(QWidget):
    """Calls `let_go` once, when it is closed or taken out of its dock; `run` is then cancelled.

    Parameters
    ----------
    run : RunBar
        The work of the widget.
    parent : QWidget, optional
    """

    def __init__(self, run: RunBar, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.run = run
        self.gone = False
        self._docked = False
        # napari would else put an empty stretch under a table instead of letting it grow
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)

    def event(self, event: QEvent) -> bool:
        """Notice that the dock was closed: napari takes the widget out of it then."""
        if event.type() == QEvent.Type.ParentChange:
            if self._docked and self.parent() is None:
                self.close_down()
            self._docked = self.parent() is not None
        return bool(super().event(event))

    def closeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Leave the viewer as it was."""
        self.close_down()
        super().closeEvent(event)

    def close_down(self) -> None:
        """Do what closing does, once."""
        if not self.gone:
            self.gone = True
            self.run.close_down()
            self.let_go()

    def let_go(self) -> None:
        """Leave the viewer as it was: no keys, callbacks or layers of ours stay behind."""
        raise NotImplementedError
