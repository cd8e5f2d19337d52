"""Long work beside a living window: it reports, ends, stops and is asked to finish early."""

import threading

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
    yield made
    made.close_down()


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
