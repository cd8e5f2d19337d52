"""Tables on stdout: ruled on a terminal, aligned plain columns elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import typer

from medseg.cli.show import is_terminal
from medseg.errors import printable


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str = "") -> None:
    """Write a table to stdout.

    Parameters
    ----------
    columns : sequence of str
        Headings. A column whose cells are all numbers or empty is set to the right.
    rows : iterable of sequences
        Cells: text, numbers (written as they are; round them before) or None for nothing.
    title : str
    """
    cells = [["" if cell is None else printable(str(cell)) for cell in row] for row in rows]
    right = [_is_numeric(column) for column in zip(*cells, strict=True)] if cells else [False] * len(columns)
    if is_terminal(sys.stdout):
        _ruled(columns, cells, right, title)
    else:
        typer.echo(plain(columns, cells, right, title=title))


def plain(
    columns: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[bool] = (), *, title: str = ""
) -> str:
    """Return a table as aligned lines without any control character.

    Examples
    --------
    >>> print(plain(("case", "ml"), [("a", "1.50"), ("bb", "12.00")], (False, True)))
    case     ml
    a      1.50
    bb    12.00
    """
    right = tuple(right) or (False,) * len(columns)
    lines = [columns, *cells]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    text = [
        "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right, strict=True)).rstrip()
        for line in lines
    ]
    return "\n".join([title, *text] if title else text)


def decimals(value: float | None, digits: int) -> str | None:
    """Return a number with fixed digits; nothing for what is absent or not a number.

    Examples
    --------
    >>> decimals(1.25, 1), decimals(None, 1), decimals(float("nan"), 1)
    ('1.2', None, None)
    """
    return None if value is None or value != value else f"{value:.{digits}f}"


def _is_numeric(cells: Sequence[str]) -> bool:
    return any(cells) and all(cell == "" or cell.lstrip("+-")[:1].isdigit() for cell in cells)


def _ruled(columns: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[bool], title: str) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    sheet = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    for name, to_right in zip(columns, right, strict=True):
        sheet.add_column(Text(name), justify="right" if to_right else "left", overflow="fold")
    for row in cells:
        sheet.add_row(*(Text(cell) for cell in row))
    Console().print(sheet)
