"""Progress as a log and as a terminal see it."""

import json
import sys

import pytest

from medseg.cli import show
from medseg.progress import Progress


@pytest.fixture
def no_waiting(monkeypatch):
    monkeypatch.setattr(show, "QUIET_SECONDS", 0.0)


@pytest.mark.usefixtures("no_waiting")
def test_a_log_gets_plain_lines_with_the_time_left(capsys):
    with show.progress() as tell:
        tell(Progress("reading\x1b", 3, 10, 65.0))
    assert capsys.readouterr().err == "reading\\x1b 3/10, 1 min 05 s left\n"


@pytest.mark.usefixtures("no_waiting")
def test_a_log_of_many_cases_counts_the_cases_only(capsys):
    with show.progress(overall="cases") as tell:
        tell(Progress("a: reading", 0, 1))
        tell(Progress("cases", 1, 2))
    assert capsys.readouterr().err == "cases 1/2\n"


def test_a_log_gets_a_line_now_and_then_only(capsys):
    with show.progress() as tell:
        for done in range(1000):
            tell(Progress("tiles", done, 1000))
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar_that_is_gone_at_the_end(capsys, monkeypatch):
    monkeypatch.setattr(type(sys.stderr), "isatty", lambda self: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    with show.progress(overall="cases", keep_phases=True) as tell:
        tell(Progress("cases", 0, 3))
        tell(Progress("epoch 1", 1, 3, 5.0))
        tell(Progress("epoch 2", 2, 3, 5.0))
    assert "epoch 1" in capsys.readouterr().err


def test_a_program_that_watches_gets_lines_of_json_one_for_each_new_phase_and_not_too_many(capsys, monkeypatch):
    monkeypatch.setenv(show.PROGRESS_LINES, "json")
    with show.progress(overall="cases") as tell:
        for done in range(101):
            tell(Progress("a: segmenting", done, 100, 65.04))
        tell(Progress("a: deciding", 0, 1))
    said = capsys.readouterr()
    first, *_, end, last = [json.loads(line) for line in said.out.splitlines()]
    assert end["done"] == 100
    assert first == {"phase": "a: segmenting", "done": 0, "total": 100, "seconds_left": 65.0}
    assert last == {"phase": "a: deciding", "done": 0, "total": 1, "seconds_left": None}
    assert len(said.out.splitlines()) < 20
    assert said.err == ""
