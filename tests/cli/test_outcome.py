"""Exit codes and words of everything that can leave a verb."""

import errno
import re

import pytest

from medseg.cli.outcome import Outcome, exit_code, guarded, laid_out
from medseg.cli.streams import Terminated
from medseg.errors import ERROR_CODES, InputError, MedsegError, ModelError, SeriesAmbiguousError

PARTS = {"found": "this", "expected": "that", "not_done": "nothing was done", "remedy": "Do it."}
EXPECTED = {
    "E_USAGE": 2, "E_OUTPUT_EXISTS": 2, "E_OUTPUT_COLLISION": 2, "E_OUTPUT_BUSY": 2,
    "E_BUNDLE_UNSAFE": 5, "E_BUNDLE_INTEGRITY": 5, "E_BUNDLE_INCOMPATIBLE": 5, "E_NETWORK_REFUSED": 5,
    "E_DISK_FULL": 6, "E_OOM_GPU": 6, "E_OOM_CPU": 6, "E_WORKER_LOST": 6, "E_TIMEOUT": 6,
    "E_INTERRUPTED": 130, "E_INTERNAL": 1,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _own_log_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("MEDSEG_DEBUG", raising=False)


@pytest.mark.parametrize("code", ERROR_CODES)
def test_every_error_code_has_the_exit_code_of_the_contract(code):
    assert exit_code(MedsegError(code, **PARTS)) == EXPECTED.get(code, 4)


def test_any_refusal_of_a_model_gives_5():
    assert exit_code(ModelError("E_PATH_UNSAFE", **PARTS)) == 5
    assert exit_code(InputError("E_PATH_UNSAFE", **PARTS)) == 4


def test_a_refusal_is_a_headline_and_four_labelled_lines():
    lines = laid_out(InputError("E_INPUT_EMPTY", path="scan.nii", **PARTS)).splitlines()
    assert lines[0] == "medseg: scan.nii: the file or folder holds nothing to work on [E_INPUT_EMPTY]"
    assert [line.split()[0] for line in lines[1:]] == ["found", "expected", "not", "remedy"]


def test_a_file_name_cannot_forge_a_line_or_colour_the_screen():
    text = laid_out(InputError("E_INPUT_EMPTY", path="a\nremedy\x1b[31m.nii", **PARTS))
    assert len(text.splitlines()) == 5
    assert "\x1b" not in text


def test_several_series_are_listed_one_per_line():
    error = SeriesAmbiguousError("E_SERIES_AMBIGUOUS", **PARTS)
    error.choices = (("1", "CT, 20 images"), ("2", "MR, 32 images"))
    text = laid_out(error)
    assert "found     2 series, listed below" in text
    assert [line for line in text.splitlines() if line.startswith("  series")] == [
        "  series    1  (CT, 20 images)",
        "  series    2  (MR, 32 images)",
    ]


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (KeyboardInterrupt(), 130, "stopped"),
        (Terminated(), 143, "stopped"),
        (MemoryError(), 6, "E_OOM_CPU"),
        (OSError(errno.ENOSPC, "full", "out"), 6, "E_DISK_FULL"),
        (OSError(errno.EACCES, "no", "out"), 4, "E_PERMISSION"),
        (ZeroDivisionError("x"), 1, "E_INTERNAL"),
    ],
)
def test_what_leaves_a_verb_becomes_a_code_and_words_without_a_traceback(capsys, error, code, words):
    with Outcome() as outcome:
        raise error
    err = capsys.readouterr().err
    assert outcome.code == code
    assert words in err
    assert "Traceback" not in err


def test_a_fault_of_ours_names_a_log_with_the_traceback_that_only_the_user_can_read(capsys):
    with Outcome() as outcome:
        raise ZeroDivisionError("secret")
    named = re.search(r"The details are in (.*\.log)\.", capsys.readouterr().err)
    assert outcome.code == 1
    with open(named[1], encoding="utf-8") as log:
        assert "ZeroDivisionError: secret" in log.read()
    import os
    import stat

    assert stat.S_IMODE(os.stat(named[1]).st_mode) & 0o077 == 0


def test_a_traceback_is_shown_where_it_was_asked_for(capsys, monkeypatch):
    monkeypatch.setenv("MEDSEG_DEBUG", "1")
    with Outcome() as outcome:
        raise InputError("E_INPUT_EMPTY", **PARTS)
    assert outcome.code == 4
    assert "Traceback" in capsys.readouterr().err


def test_a_guarded_verb_keeps_its_signature_and_its_exit_code():
    import inspect

    import typer

    def verb(number: int = 3) -> int:
        return number

    assert inspect.signature(guarded(verb)) == inspect.signature(verb)
    with pytest.raises(typer.Exit) as left:
        guarded(verb)(number=5)
    assert left.value.exit_code == 5
