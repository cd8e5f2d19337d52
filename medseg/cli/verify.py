"""``medseg verify``: whether every output is still what its record says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from medseg.cli.outcome import DONE, SOME_FAILED
from medseg.cli.show import progress
from medseg.errors import printable

_WORDS = {
    "missing": "missing, though a record speaks of it",
    "changed": "not what its record says",
    "damaged": "a record that cannot be read",
    "orphans": "named like a result, but no record speaks of it",
}


def verify(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A folder of results.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON object for programs.")] = False,
) -> int:
    """Check every output against its record."""
    from medseg.progress import finish
    from medseg.workflow.verify import verify_steps

    with progress() as show:
        report = finish(verify_steps(out), show)
    found = report.as_dict()
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=True))
    else:
        for kind, words in _WORDS.items():
            for name in found[kind]:
                typer.echo(f"{printable(name)}: {words}")
        typer.echo(
            f"{report.records} records, {report.outputs} files: {'all sound' if report.is_sound else 'NOT sound'}."
        )
    return DONE if report.is_sound else SOME_FAILED
