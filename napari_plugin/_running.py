"""Long work beside a living window: a bar with the time left, a Cancel button, and an answer when it ends."""

from __future__ import annotations

from typing import Any

from napari.utils import cancelable_progress
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from medseg import Progress
from napari_plugin._run import Make, Outcome, Run
from napari_plugin._telling import tell_any

__all__ = ["Make", "RunBar", "time_left"]


class RunBar(QWidget):
    """Runs one piece of work at a time off the window's thread, and shows how far it is.

    `done` brings the result, `stopped` comes after Cancel, `failed` the error (which was shown to the user already),
    `ended` after each of the three. Cancel is answered at once, also in the middle of a long step: the thread then ends
    with that step, and its result is dropped. While a run waits for the answer to "keep what is finished?" it does not
    work on.

    Parameters
    ----------
    parent : QWidget, optional
    """

    done = Signal(object)
    stopped = Signal()
    failed = Signal(object)
    ended = Signal()
    stepped = Signal(object)
    _over = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._run: Run | None = None
        self._alive: list[Run] = []
        self._keepable = self._shown = False
        # queued, as every other end of a run is told
        self._over.connect(self._tell_stopped, Qt.ConnectionType.QueuedConnection)
        self._activity: Any = None
        self._bar, self._text = QProgressBar(), QLabel()
        self._button = QPushButton("Cancel")
        self._button.clicked.connect(self.cancel)
        self._keep_button, self._drop_button = QPushButton("Keep what is finished"), QPushButton("Discard")
        self._keep_button.clicked.connect(lambda: self.answer(keep=True))
        self._drop_button.clicked.connect(lambda: self.answer(keep=False))
        self._lay_out()

    @property
    def busy(self) -> bool:
        """Whether work is under way whose result somebody waits for."""
        return self._run is not None

    @property
    def resting(self) -> bool:
        """Whether no thread works any more, not even at the last step of work that was given up."""
        return not self._alive

    def start(self, make: Make, *, what: str, keepable: bool = False) -> None:
        """Start the work that `make` returns; both are called on another thread.

        Parameters
        ----------
        make : callable
            Returns a generator of `Progress`.
        what : str
            Name of the work in napari's activity list.
        keepable : bool
            The work understands `FinishEarly`: after Cancel the user is asked whether to keep what is finished.
        """
        if self.busy:
            raise RuntimeError("one run at a time")
        self._keepable, self._shown = keepable, self._window().isVisible()
        self._activity = cancelable_progress(total=0, desc=what)
        run = self._run = Run(make, self)
        self._alive.append(run)
        run.stepped.connect(self._show)
        run.ended.connect(self._finish)
        run.rested.connect(lambda: self._alive.remove(run))
        self._text.setText(f"{what} …")
        self._bar.setRange(0, 0)
        self._asking(False)
        self.show()
        run.start()

    def cancel(self) -> None:
        """Stop, at once for whoever looks on; ask first whether to keep what is finished where that can be."""
        if self._run is None or self._run.stopping:
            return
        if not self._keepable:
            self._let_go()
            return
        self._run.stop()
        self._asking(True)
        self._text.setText("Stopped. Keep the finished part as a layer marked partial?")

    def answer(self, *, keep: bool) -> None:
        """Answer the question after Cancel."""
        if self._run is None:
            return
        if not keep:
            self._let_go()
            return
        self._asking(False)
        self._text.setText("Keeping what is finished …")
        self._run.answer(keep=True)

    def close_down(self) -> None:
        """Give up the work, without asking: for a widget that is being closed."""
        if self._run is not None:
            self._let_go()

    def _let_go(self) -> None:
        """Take no result any more: the thread ends with the step under way, and nobody has to wait for it."""
        assert self._run is not None
        self._run.let_go()
        self._rest()
        self._over.emit()

    def _tell_stopped(self) -> None:
        self.stopped.emit()
        self.ended.emit()

    def _window(self) -> QWidget:
        """Return napari's window, also where the dock floats beside it."""
        window = self.window()
        above = window.parentWidget()
        return window if above is None else above.window()

    def _show(self, step: Progress) -> None:
        if self._run is None or self._run.stopping:
            return
        if self._shown and not self._window().isVisible():
            self._let_go()  # the window was closed, though a program may hold it still
            return
        activity = self._activity
        if activity is not None and activity.is_canceled:
            self.cancel()
            return
        self._bar.setRange(0, step.total)
        self._bar.setValue(step.done)
        self._text.setText(f"{step.phase}{time_left(step.seconds_left)}")
        self.stepped.emit(step)
        if activity is not None and self._activity is activity:
            activity.total = step.total
            activity.set_description(step.phase)
            # the work may have ended meanwhile, and its bar be closed
            if self._activity is activity:
                activity.update(step.done - activity.n)

    def _finish(self, outcome: Outcome) -> None:
        self._rest()
        error = outcome.error
        if error is not None:
            tell_any(error)
            self.failed.emit(error)
        elif outcome.whole:
            self.done.emit(outcome.value)
        else:
            self.stopped.emit()
        self.ended.emit()

    def _rest(self) -> None:
        self._run = None
        if self._activity is not None:
            self._activity.close()
            self._activity = None
        self.hide()

    def _asking(self, yes: bool) -> None:
        self._button.setVisible(not yes)
        self._keep_button.setVisible(yes)
        self._drop_button.setVisible(yes)

    def _lay_out(self) -> None:
        self._text.setWordWrap(True)
        row = QHBoxLayout()
        for widget in (self._bar, self._button, self._keep_button, self._drop_button):
            row.addWidget(widget)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._text)
        column.addLayout(row)
        self.hide()


def time_left(seconds: float | None) -> str:
    """Return a rest of a sentence about the time left.

    Examples
    --------
    >>> time_left(75.0)
    ', about 1 min 15 s left'
    """
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    return f", about {minutes} min {rest:02d} s left" if minutes else f", about {rest} s left"
