"""Long work beside a living window: it reports, ends, stops and is asked to finish early."""

import gc
import subprocess
import sys
import threading
import traceback

import pytest

pytest.importorskip("napari")
from medseg import MedsegError
from medseg.progress import FinishEarly, Progress

pytestmark = pytest.mark.gl


@pytest.fixture
def bar(qtbot):
    from napari_plugin._running import RunBar

    made = RunBar()
    qtbot.addWidget(made)
    return made


def counting(gate=None, total=1000):
    done = 0
    try:
        for done in range(1, total + 1):
            if gate is not None and done > 3:
                gate.wait(5)
            yield Progress("counting", done, total, 2.0)
    except FinishEarly:
        pass
    return done


def test_work_brings_its_result_from_another_thread(bar, qtbot):
    threads = []

    def make():
        threads.append(threading.current_thread())
        return counting(total=5)

    with qtbot.waitSignal(bar.done) as caught:
        bar.start(make, what="Counting")
        assert bar.busy
    assert caught.args == [5]
    assert threads[0] is not threading.main_thread()
    assert not bar.busy


def test_cancelled_work_takes_no_step_more_and_gives_nothing(bar, qtbot):
    gate = threading.Event()
    taken = []

    def steps():
        for step in counting(gate):
            taken.append(step.done)
            yield step

    got = []
    bar.done.connect(got.append)
    with qtbot.waitSignal(bar.stopped):
        with qtbot.waitSignal(bar.stepped):
            bar.start(steps, what="Counting")
        bar.cancel()
        gate.set()
    assert taken[-1] <= 5
    assert not got


@pytest.mark.parametrize("keepable", [False, True])
def test_cancel_answers_at_once_in_the_middle_of_a_long_step_and_the_next_run_need_not_wait(bar, qtbot, keepable):
    gate = threading.Event()
    got = []
    bar.done.connect(got.append)
    with qtbot.waitSignal(bar.stepped):
        bar.start(lambda: counting(gate), what="Counting", keepable=keepable)
    with qtbot.waitSignal(bar.stopped, timeout=1000):
        bar.cancel()
        if keepable:
            bar.answer(keep=False)
        assert not bar.busy
    assert not bar.resting
    with qtbot.waitSignal(bar.done):
        bar.start(lambda: counting(total=2), what="Counting again")
    gate.set()
    qtbot.waitUntil(lambda: bar.resting)
    assert got == [2]


def test_after_cancel_the_finished_part_can_be_kept(bar, qtbot):
    gate = threading.Event()
    with qtbot.waitSignal(bar.done) as caught:
        with qtbot.waitSignal(bar.stepped):
            bar.start(lambda: counting(gate), what="Counting", keepable=True)
        bar.cancel()
        gate.set()
        bar.answer(keep=True)
    assert 0 < caught.args[0] <= 5


def test_a_swarm_of_steps_does_not_pile_up_in_the_window(bar, qtbot, monkeypatch):
    """napari handles events while it draws its bar, so a step can come while the one before is being drawn."""
    import time

    from qtpy.QtWidgets import QApplication

    depth, deepest, shown = 0, 0, []

    def slow_bar(step):
        nonlocal depth, deepest
        depth += 1
        deepest = max(deepest, depth)
        shown.append(step)
        time.sleep(0.01)
        QApplication.processEvents()
        depth -= 1

    bar.stepped.connect(slow_bar)
    monkeypatch.setattr("napari_plugin._run.PAUSE_S", 0.0)
    with qtbot.waitSignal(bar.done) as caught:
        bar.start(lambda: counting(total=3000), what="Counting")
    assert caught.args == [3000]
    assert deepest == 1
    assert 1 <= len(shown) < 3000  # all others may come, and be outdated, while the first is drawn


def test_an_error_of_medseg_is_shown_with_code_and_sentence(bar, qtbot, monkeypatch):
    shown = []
    monkeypatch.setattr("napari_plugin._telling.show_error", shown.append)

    def failing():
        yield Progress("reading", 1, 2)
        raise MedsegError("E_USAGE", found="a", expected="b", not_done="nothing was done", remedy="Do c.")

    with qtbot.waitSignal(bar.failed):
        bar.start(failing, what="Failing")
    assert shown
    assert "E_USAGE" in shown[0]


def test_a_widget_that_is_closed_while_it_waits_for_an_answer_leaves_no_thread(bar, qtbot):
    with qtbot.waitSignal(bar.stepped):
        bar.start(counting, what="Counting", keepable=True)
    bar.cancel()
    bar.close_down()
    assert not bar.busy
    qtbot.waitUntil(lambda: bar.resting)


def test_a_fault_that_is_no_error_of_medseg_is_shown_as_napari_shows_faults(bar, qtbot, monkeypatch):
    shown = []
    monkeypatch.setattr("napari_plugin._telling.notification_manager.receive_error", lambda *given: shown.append(given))

    def faulty():
        yield Progress("dividing", 1, 2)
        return 1 // 0

    with qtbot.waitSignal(bar.failed) as caught:
        bar.start(faulty, what="Failing")
    assert isinstance(caught.args[0], ZeroDivisionError)
    assert shown[0][0] is ZeroDivisionError
    assert "faulty" in "".join(traceback.format_tb(shown[0][2]))


def test_work_that_is_kept_and_then_cancelled_gives_nothing(bar, qtbot):
    """The second Cancel must not be taken for the answer to the first."""
    gate = threading.Event()

    def slow_to_finish():
        try:
            while True:
                yield Progress("counting", 0, 1)
                gate.wait(0.01)
        except FinishEarly:
            yield Progress("finishing", 0, 1)
            gate.wait(5)
            yield Progress("finishing", 1, 1)
        return "late"

    got, phases = [], []
    bar.done.connect(got.append)
    bar.stepped.connect(lambda step: phases.append(step.phase))
    with qtbot.waitSignal(bar.stepped):
        bar.start(slow_to_finish, what="Counting", keepable=True)
    bar.cancel()
    bar.answer(keep=True)
    qtbot.waitUntil(lambda: "finishing" in phases)
    with qtbot.waitSignal(bar.stopped):
        bar.cancel()
        bar.answer(keep=False)
    gate.set()
    qtbot.waitUntil(lambda: bar.resting)
    assert not got


def test_a_window_that_is_closed_ends_the_work_and_a_dock_that_is_hidden_does_not(qtbot):
    from qtpy.QtCore import Qt
    from qtpy.QtWidgets import QDockWidget, QMainWindow

    from napari_plugin._running import RunBar

    window, dock, bar = QMainWindow(), QDockWidget(), RunBar()
    qtbot.addWidget(window)
    dock.setWidget(bar)
    window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
    with qtbot.waitExposed(window):
        window.show()
    with qtbot.waitSignal(bar.stepped):
        bar.start(lambda: counting(total=10**9), what="Counting")
    dock.setFloating(True)
    dock.hide()
    with qtbot.waitSignal(bar.stepped):
        pass
    with qtbot.waitSignal(bar.stopped):
        window.close()
    qtbot.waitUntil(lambda: bar.resting)


def test_more_works_than_the_computer_has_cores_go_on_side_by_side(qtbot):
    from qtpy.QtCore import QThreadPool

    from napari_plugin._running import RunBar

    n = QThreadPool.globalInstance().maxThreadCount() + 1
    together = threading.Barrier(n)

    def meeting():
        yield Progress("waiting for the others", 0, 1)
        together.wait(20)

    bars = [RunBar() for _ in range(n)]
    done = []
    for made in bars:
        qtbot.addWidget(made)
        made.done.connect(done.append)
        made.start(meeting, what="Meeting")
    qtbot.waitUntil(lambda: len(done) == n, timeout=20_000)


def test_one_turn_lets_works_of_several_bars_compute_one_after_the_other(qtbot):
    from napari_plugin._running import RunBar
    from napari_plugin._turn import WAITING, Turn

    turn, gate, inside, most, phases = Turn(), threading.Event(), [0], [0], []

    def alone():
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        try:
            yield Progress("computing", 0, 1)
            gate.wait(20)
            yield Progress("computing", 1, 1)
        finally:
            inside[0] -= 1

    first, second = RunBar(), RunBar()
    for made in (first, second):
        qtbot.addWidget(made)
    with qtbot.waitSignal(first.stepped):
        first.start(lambda: turn.steps(alone), what="First")
    with qtbot.waitSignal(first.stopped):
        first.cancel()
    second.stepped.connect(lambda step: phases.append(step.phase))
    with qtbot.waitSignal(second.stepped):
        second.start(lambda: turn.steps(alone), what="Second")
    assert phases == [WAITING]
    with qtbot.waitSignal(second.stopped):
        second.cancel()  # who waits can be cancelled
    qtbot.waitUntil(lambda: second.resting)
    assert not first.resting
    with qtbot.waitSignal(second.done):
        second.start(lambda: turn.steps(alone), what="Third")
        gate.set()
    assert most == [1]


def test_a_program_ends_although_a_window_asks_whether_to_keep_the_work():
    """At its end napari waits for the threads that it knows: one that waited for an answer would keep it for ever."""
    script = """
import sys
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication
from medseg.progress import Progress
from napari_plugin._running import RunBar

def endless():
    while True:
        yield Progress("counting", 0, 1)

import napari
viewer = napari.Viewer(show=False)
bar = RunBar()
bar.stepped.connect(lambda _: (bar.cancel(), QTimer.singleShot(0, QApplication.quit)))
bar.start(endless, what="Counting", keepable=True)
napari.run(force=True)
print("busy" if bar.busy else "over")
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=100, check=False)
    assert (ran.returncode, ran.stdout) == (0, "busy\n"), ran.stderr


@pytest.mark.parametrize("asked", [False, True])
def test_a_window_that_is_destroyed_during_the_work_leaves_no_thread(qtbot, asked):
    from napari_plugin._running import RunBar

    gone = threading.Event()

    def steps():
        try:
            yield from counting()
        finally:
            gone.set()

    made = RunBar()
    with qtbot.waitSignal(made.stepped):
        made.start(steps, what="Counting", keepable=True)
    if asked:
        made.cancel()
    made.deleteLater()
    qtbot.waitUntil(gone.is_set)


def test_a_window_whose_rubbish_is_collected_before_it_is_destroyed_ends_its_work(qtbot):
    """PyQt forgets a partial or a lambda that was collected, or calls what is left of it and ends the program."""
    from napari_plugin._running import RunBar

    gone = threading.Event()

    def steps():
        try:
            yield from counting()
        finally:
            gone.set()

    made = RunBar()
    with qtbot.waitSignal(made.stepped):
        made.start(steps, what="Counting", keepable=True)
    made.cancel()
    made.itself = made
    made.deleteLater()
    del made
    gc.collect()
    qtbot.waitUntil(gone.is_set)
