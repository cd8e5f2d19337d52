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


def test_after_cancel_the_finished_part_can_be_kept(bar, qtbot):
    gate = threading.Event()
    with qtbot.waitSignal(bar.done) as caught:
        with qtbot.waitSignal(bar.stepped):
            bar.start(lambda: counting(gate), what="Counting", keepable=True)
        bar.cancel()
        gate.set()
        bar.answer(keep=True)
    assert 0 < caught.args[0] <= 5


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
