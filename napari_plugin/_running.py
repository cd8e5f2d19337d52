"""Long work beside a living window: a bar with the time left, a Cancel button, and an answer when it ends."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from threading import Event
from typing import Any

from napari.qt.threading import create_worker
from napari.utils import cancelable_progress
from qtpy.QtCore import QEventLoop, QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from medseg import MedsegError, Progress
from medseg.progress import FinishEarly, Steps
from napari_plugin._telling import tell

Make = Callable[[], Steps[Any]]


class RunBar(QWidget):
    """Runs one piece of work at a time off the window's thread, and shows how far it is.

    `done` brings the result, `stopped` comes after Cancel, `failed` the error (which was shown to the user already),
    `ended` after each of the three. While a run waits for the answer to "keep what is finished?" it does not work on.

    Parameters
    ----------
    parent : QWidget, optional
    """

    done = Signal(object)
    stopped = Signal()
    failed = Signal(object)
    ended = Signal()
    stepped = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._worker: Any = None
        self._cancel, self._answered, self._keep = Event(), Event(), False
        self._keepable = False
        # a window that is destroyed while it asks must not leave a thread that waits for the answer
        self.destroyed.connect(partial(_end_waiting, self._cancel, self._answered))
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
        """Whether work is under way."""
        return self._worker is not None

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
        self._keepable, self._keep = keepable, False
        self._cancel.clear()
        self._answered.clear()
        self._activity = cancelable_progress(total=0, desc=what)
        self._worker = create_worker(self._work, make)
        self._worker.yielded.connect(self._show)
        self._worker.returned.connect(self._finish)
        self._worker.errored.connect(self._fail)
        self._text.setText(f"{what} …")
        self._bar.setRange(0, 0)
        self._asking(False)
        self.show()
        self._worker.start()

    def cancel(self) -> None:
        """Stop after the step under way, and ask whether to keep what is finished where that can be."""
        if not self.busy or self._cancel.is_set():
            return
        self._cancel.set()
        if self._keepable:
            self._asking(True)
            self._text.setText("Stopped. Keep the finished part as a layer marked partial?")
        else:
            self._answered.set()
            self._text.setText("Stopping …")

    def answer(self, *, keep: bool) -> None:
        """Answer the question after Cancel."""
        self._keep = keep
        self._asking(False)
        self._answered.set()

    def close_down(self, seconds: float = 3.0) -> None:
        """Give up the work, and wait a moment for it to end: for a widget that is being closed."""
        worker = self._worker
        if worker is None:
            return
        self._cancel.set()
        self.answer(keep=False)
        loop = QEventLoop()
        worker.finished.connect(loop.quit)
        QTimer.singleShot(int(1000 * seconds), loop.quit)
        loop.exec()

    def _work(self, make: Make) -> Generator[Progress, None, tuple[bool, Any]]:
        """Run on the other thread; returns whether it came to an end and with what."""
        steps = make()
        try:
            step = next(steps)
            while True:
                yield step
                if self._cancel.is_set():
                    self._answered.wait()
                    if not self._keep:
                        return False, None
                    self._keep = False
                    self._cancel.clear()
                    step = steps.throw(FinishEarly())
                else:
                    step = next(steps)
        except StopIteration as end:
            return True, end.value
        except FinishEarly:
            return False, None
        except MedsegError as error:
            return True, error
        finally:
            steps.close()

    def _show(self, step: Progress) -> None:
        if self._cancel.is_set() or not self.busy:
            return
        if self._activity is not None and self._activity.is_canceled:
            self.cancel()
            return
        self._bar.setRange(0, step.total)
        self._bar.setValue(step.done)
        self._text.setText(f"{step.phase}{time_left(step.seconds_left)}")
        activity = self._activity
        if activity is not None:
            activity.total = step.total
            activity.set_description(step.phase)
            # napari handles events meanwhile: the work may have ended, and its bar be closed
            if self._activity is activity:
                activity.update(step.done - activity.n)
        if self.busy:
            self.stepped.emit(step)

    def _finish(self, answer: tuple[bool, Any]) -> None:
        whole, value = answer
        self._rest()
        if isinstance(value, MedsegError):
            tell(value)
            self.failed.emit(value)
        elif whole:
            self.done.emit(value)
        else:
            self.stopped.emit()
        self.ended.emit()

    def _fail(self, error: Exception) -> None:
        self._rest()  # napari itself shows an error that is none of ours, with its traceback
        self.failed.emit(error)
        self.ended.emit()

    def _rest(self) -> None:
        self._worker = None
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


def _end_waiting(cancel: Event, answered: Event, _: object = None) -> None:
    cancel.set()
    answered.set()


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
