import json
import pickle

import pytest

from medseg import errors
from medseg.errors import ERROR_CODES, WARNING_CODES, MedsegError, Notice, printable

PARTS = {"found": "0 bytes", "expected": "an image", "not_done": "it was not read", "remedy": "Copy it again"}
KINDS = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, MedsegError)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_error_says_its_four_parts_and_survives_pickling(kind):
    error = kind("E_INPUT_EMPTY", path="a.nii", **PARTS)
    text = "a.nii: found 0 bytes, expected an image; it was not read. Copy it again. [E_INPUT_EMPTY]"
    assert str(error) == text
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == text
    assert json.loads(json.dumps(copy.as_dict())) == {"code": "E_INPUT_EMPTY", "path": "a.nii", **PARTS}


def test_each_error_is_also_the_builtin_that_a_caller_expects():
    assert len(KINDS) >= 8
    for kind in KINDS:
        if kind is not MedsegError:
            assert issubclass(kind, (ValueError, RuntimeError))


def test_a_remedy_that_ends_a_sentence_gets_no_second_full_stop():
    for end in ".?!":
        assert f"again{end} [E_INPUT_EMPTY]" in str(MedsegError("E_INPUT_EMPTY", **PARTS | {"remedy": f"again{end}"}))


def test_without_a_file_the_sentence_begins_with_what_was_found():
    assert str(MedsegError("E_USAGE", **PARTS)).startswith("found 0 bytes")


def test_unknown_codes_are_refused():
    with pytest.raises(ValueError, match="unknown error code 'E_NOPE'"):
        MedsegError("E_NOPE", **PARTS)
    with pytest.raises(ValueError, match="unknown warning code 'W_NOPE'"):
        Notice("W_NOPE", "text")


@pytest.mark.parametrize("name", ["a\nb", "a\rb", "a\x1b[31mb", "a\u202eb", "a\u2028b", "a\udcffb", "a\x00b"])
def test_a_file_name_cannot_forge_a_line_of_a_log(name):
    shown = str(MedsegError("E_INPUT_EMPTY", path=name, **PARTS))
    assert shown.isprintable()
    assert "\n" not in shown
    shown.encode("utf-8")
    assert printable(name).startswith("a\\")


def test_ordinary_names_in_any_script_are_shown_as_they_are():
    for name in ("Käse (1).nii", "脳.nii.gz", "μ 5%.tif"):
        assert printable(name) == name


def test_codes_are_told_apart_by_their_first_letter_and_explained():
    assert all(code.startswith("E_") and meaning for code, meaning in ERROR_CODES.items())
    assert all(code.startswith("W_") and meaning for code, meaning in WARNING_CODES.items())


def test_a_notice_shows_code_and_sentence():
    assert str(Notice("W_CONSTANT_IMAGE", "all 0")) == "W_CONSTANT_IMAGE: all 0"
    assert Notice("W_CONSTANT_IMAGE", "all 0") == Notice("W_CONSTANT_IMAGE", "all 0")
    assert Notice("W_CONSTANT_IMAGE", "all 0") != Notice("W_CONSTANT_IMAGE", "all 1")
