"""Progress: a bar with the time left on a terminal, a quiet line now and then elsewhere, or lines for a program."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import typer

from medseg.errors import printable
from medseg.progress import Progress

Show = Callable[[Progress], None]

QUIET_SECONDS = 10.0
"""Where stderr is no terminal, at most one line in this time (a log of a night's run stays readable)."""

PROGRESS_LINES = "MEDSEG_PROGRESS"
"""Set to ``json`` by a program that watches: each step is then a line of JSON on stdout, with the fields of
`Progress`."""
LINE_SECONDS = 0.2
"""A program is told at most this often, but of the first and the last step of every phase."""


@contextmanager
def progress(*, overall: str = "", keep_phases: bool = False) -> Iterator[Show]:
    """Give a function that shows each `Progress`, for as long as the context lasts.

    Parameters
    ----------
    overall : str
        Phase that counts the whole work while others come and go within it, such as the cases of a run.
    keep_phases : bool
        Leave a line for every phase above the bar, as for the epochs of a training.
    """
    if os.environ.get(PROGRESS_LINES) == "json":
        yield _lines_to_read()
    elif is_terminal(sys.stderr):
        with _bar(overall, keep_phases) as show:
            yield show
    else:
        yield _quiet_lines(overall)


def is_terminal(stream: Any) -> bool:
    """Tell whether a person with a capable terminal looks at `stream`."""
    return bool(stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb")


def duration(seconds: float) -> str:
    """Return a duration as a person says it.

    Examples
    --------
    >>> duration(7.2), duration(95), duration(4020)
    ('7 s', '1 min 35 s', '1 h 07 min')
    """
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _left(step: Progress) -> str:
    return "" if step.seconds_left is None else f"{duration(step.seconds_left)} left"


@contextmanager
def _bar(overall: str, keep_phases: bool) -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TextColumn("{task.fields[left]}"),
    )
    # transient: what stays on the screen is the result, not the way there
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        whole = bar.add_task(overall, total=1, left="", visible=False)
        part = bar.add_task("starting", total=1, left="")
        last = ""

        def show(step: Progress) -> None:
            nonlocal last
            phase, is_whole = printable(step.phase), step.phase == overall
            if keep_phases and last not in ("", phase):
                bar.console.print(last, markup=False, highlight=False)
            last = phase
            total, left = max(step.total, 1), _left(step)
            shown = not is_whole or step.total > 1
            bar.update(
                whole if is_whole else part,
                description=phase,
                completed=step.done,
                total=total,
                left=left,
                visible=shown,
            )

        yield show


def _quiet_lines(overall: str) -> Show:
    last = monotonic()

    def show(step: Progress) -> None:
        nonlocal last
        if monotonic() - last < QUIET_SECONDS or (overall and step.phase != overall):
            return
        last = monotonic()
        left = _left(step)
        tail = f", {left}" if left else ""
        typer.echo(f"{printable(step.phase)} {step.done}/{step.total}{tail}", err=True)

    return show


def _lines_to_read() -> Show:
    last, phase = -LINE_SECONDS, ""

    def show(step: Progress) -> None:
        nonlocal last, phase
        if step.phase == phase and step.done < step.total and monotonic() - last < LINE_SECONDS:
            return
        last, phase = monotonic(), step.phase
        left = None if step.seconds_left is None else round(step.seconds_left, 1)
        line = {"phase": step.phase, "done": step.done, "total": step.total, "seconds_left": left}
        typer.echo(json.dumps(line))
        sys.stdout.flush()

    return show
