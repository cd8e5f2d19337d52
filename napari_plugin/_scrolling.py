"""Fields that scroll where a dock is too low for them: Qt would else cut lines off from warnings."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget


class Scrolling(QScrollArea):
    """Shows a column of fields as wide as the dock, and scrolls it up and down where it must.

    Parameters
    ----------
    outer : QWidget
        Is filled with this.
    """

    def __init__(self, outer: QWidget) -> None:
        super().__init__()
        inner = QWidget()
        self.column = QVBoxLayout(inner)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidgetResizable(True)
        self.setWidget(inner)
        inner.installEventFilter(self)
        self._field: QWidget | None = None
        self._soon = QTimer(self)  # stops with the widget
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._show_field)
        around = QVBoxLayout(outer)
        around.setContentsMargins(0, 0, 0, 0)
        around.addWidget(self)

    def bring(self, field: QWidget) -> None:
        """Scroll until a field can be seen, when its new text has its place."""
        self._field = field
        self._soon.start()

    def _show_field(self) -> None:
        if self._field is not None:
            self.ensureWidgetVisible(self._field)

    def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802 - Qt's name
        """Keep the dock wide enough for the fields: they cannot be scrolled sideways."""
        if watched is self.widget() and event.type() in (QEvent.Type.LayoutRequest, QEvent.Type.Show):
            self.setMinimumWidth(watched.minimumSizeHint().width() + self.verticalScrollBar().sizeHint().width())
        return bool(super().eventFilter(watched, event))
