"""Tables as a log sees them."""

import sys

import pytest

from medseg.cli.table import plain, table


def test_columns_are_aligned_and_numbers_stand_to_the_right(capsys):
    table(("case", "ml"), [("a", "1.5"), ("longer", "12.5"), ("none", None)])
    assert capsys.readouterr().out == "case      ml\na        1.5\nlonger  12.5\nnone\n"


def test_a_plain_table_holds_no_control_character(capsys):
    table(("case",), [("evil\x1b[31m\nname",)])
    out = capsys.readouterr().out
    assert out.count("\n") == 2
    assert all(c.isprintable() or c == "\n" for c in out)


def test_a_table_without_rows_shows_its_headings():
    assert plain(("a", "b"), []) == "a  b"


def test_rows_of_another_width_are_a_fault():
    with pytest.raises(ValueError, match="zip"):
        table(("a", "b"), [("1",)])


def test_a_name_with_markup_is_shown_as_it_is_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda self: True)
    monkeypatch.setenv("TERM", "xterm")
    table(("case",), [("[red]scan[/red]",)])
    assert "[red]scan[/red]" in capsys.readouterr().out
