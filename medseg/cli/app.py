"""The table of verbs."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from medseg.cli.count import count
from medseg.cli.demo import demo
from medseg.cli.doctor import doctor
from medseg.cli.evaluate import evaluate
from medseg.cli.info import info
from medseg.cli.measure import measure
from medseg.cli.models import models
from medseg.cli.outcome import guarded
from medseg.cli.plan import plan
from medseg.cli.run import run
from medseg.cli.segment import segment
from medseg.cli.show import is_terminal
from medseg.cli.split import split
from medseg.cli.train import train
from medseg.cli.verify import verify
from medseg.cli.view import view

VERBS = (info, models, segment, count, split, measure, evaluate, plan, train, run, view, verify, demo, doctor)

ABOUT = """From a scan to labels and numbers.

Research use only: not for diagnosis or treatment."""


def build() -> typer.Typer:
    """Return the command with all its verbs."""
    app = typer.Typer(
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        help=ABOUT,
        # frames and colours where a person looks, plain text for logs and pipes
        rich_markup_mode="rich" if is_terminal(sys.stdout) else None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for verb in VERBS:
        app.command()(guarded(verb))
    return app


def _version(wanted: bool) -> None:
    if wanted:
        from medseg import __version__

        typer.echo(f"medseg {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    pass
