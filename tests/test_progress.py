import pytest

from medseg import progress
from medseg.progress import FinishEarly, Pace, Progress, finish, named, to_the_end


class Work:
    """Three steps that note how far they came."""

    def __init__(self):
        self.done, self.closed = 0, False

    def steps(self):
        try:
            for i in range(1, 4):
                self.done = i
                yield Progress("working", i, 3)
            return "result"
        finally:
            self.closed = True


def test_finish_shows_each_step_and_returns_the_result():
    shown = []
    assert finish(Work().steps(), shown.append) == "result"
    assert [p.done for p in shown] == [1, 2, 3]
    assert finish(Work().steps()) == "result"


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError, StopIteration])
def test_what_the_display_raises_stops_the_work_and_is_passed_on(stop):
    work = Work()

    def show(step):
        if step.done == 2:
            raise stop

    with pytest.raises(stop):
        finish(work.steps(), show)
    assert (work.done, work.closed) == (2, True)


def test_what_the_work_raises_is_passed_on():
    def broken():
        yield Progress("working", 0, 1)
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        finish(broken())


def test_work_without_steps_still_has_a_result():
    def none():
        return 5
        yield

    assert finish(none()) == 5


def test_pace_estimates_the_time_left_from_the_steps_done(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress, "monotonic", lambda: now[0])
    pace = Pace("reading", 10)
    assert pace.at(0) == Progress("reading", 0, 10, None)
    now[0] = 104.0
    assert pace.at(4) == Progress("reading", 4, 10, pytest.approx(6.0))
    assert pace.at(10).seconds_left == 0


def test_work_that_is_short_goes_on_when_asked_to_finish_early_but_can_be_cancelled():
    work = Work()
    steps = to_the_end(work.steps())
    next(steps)
    assert steps.throw(FinishEarly()).done == 2
    assert finish(steps) == "result"
    given_up = Work()
    steps = to_the_end(given_up.steps())
    next(steps)
    steps.close()
    assert (given_up.done, given_up.closed) == (1, True)


def test_a_renamed_phase_keeps_its_steps_its_result_and_its_end():
    work, shown = Work(), []
    assert finish(named(work.steps(), "counting"), shown.append) == "result"
    assert [(p.phase, p.done) for p in shown] == [("counting", 1), ("counting", 2), ("counting", 3)]
    assert work.closed
