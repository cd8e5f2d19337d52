"""``medseg models``: which models are there, what a model's card says, adding and removing."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medseg.cli.outcome import DONE
from medseg.cli.table import table
from medseg.errors import UsageError

if TYPE_CHECKING:
    from medseg.models.card import ModelCard


class Action(StrEnum):
    """What to do with models."""

    list = "list"
    show = "show"
    add = "add"
    remove = "remove"


def models(
    action: Annotated[Action, typer.Argument(help="What to do.")] = Action.list,
    model: Annotated[
        str | None, typer.Argument(metavar="NAME|PATH", help="Name of a model, or a model folder.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON for programs.")] = False,
) -> int:
    """List the models; show, add or remove one."""
    if action is Action.list:
        _list(model, as_json=as_json)
        return DONE
    if model is None:
        raise _wrong(f"{action.value} without a model", f"medseg models {action.value} NAME")
    from medseg.models import registry

    if action is Action.remove:
        registry.remove(model)
        typer.echo(json.dumps({"removed": model}) if as_json else f"{model} was removed.")
        return DONE
    from medseg.models.bundle import read_card

    card = registry.add(Path(model)) if action is Action.add else read_card(registry.find(model))
    if as_json:
        typer.echo(json.dumps(card.as_json()))
    elif action is Action.add:
        typer.echo(f"{card.name} {card.version} was added: medseg segment SCAN -o OUT -m {card.name}")
    else:
        describe(card)
    return DONE


def describe(card: ModelCard) -> None:
    """Write a card in words to stdout."""
    spec, data = card.input, card.training_data
    spacing = " x ".join(f"{s:g}" for s in spec.spacing or ())
    lines = {
        "model": f"{card.name} {card.version} ({card.task})",
        "summary": card.summary,
        "finds": ", ".join(f"{number} {name}" for number, name in sorted(card.classes.items())),
        "takes": " ".join(part for part in (spec.modality, f"{len(spec.patch)}-D", ", ".join(spec.channels)) if part),
        "works at": f"{spacing} {spec.unit}" if spacing else "the stored spacing",
        "network": card.architecture.name,
        "trained on": f"{data.name}, {data.n_cases} cases",
        "data": f"{data.licence}; {data.attribution or 'no attribution given'}",
        "licence": card.licence,
        "intended use": card.intended_use,
    }
    for label, text in lines.items():
        typer.echo(f"{label:<13} {text}")
    for scores in card.scores:
        cases = "1 case" if scores.n_cases == 1 else f"{scores.n_cases} cases"
        typer.echo(f"{'scores':<13} {scores.data}, {cases} that training and tuning never saw")
        for name, value in scores.values.items():
            typer.echo(f"{'':<13}   {name} {value:g}")
        typer.echo(f"{'':<13}   printed by: {scores.command}")


def _list(model: str | None, *, as_json: bool) -> None:
    if model is not None:
        raise _wrong(f"list with {model!r}", "medseg models, or medseg models show NAME")
    from medseg.api import models as cards

    found = cards()
    if as_json:
        typer.echo(json.dumps([card.as_json() for card in found]))
    elif found:
        rows = ((c.name, c.version, c.task, ", ".join(c.classes.values()), c.summary) for c in found)
        table(("name", "version", "task", "finds", "summary"), rows)
    else:
        typer.echo("No model is there. Train one, or add one: medseg models add FOLDER")


def _wrong(found: str, expected: str) -> UsageError:
    return UsageError(
        "E_USAGE", found=found, expected=expected, not_done="nothing was done", remedy="Complete the command."
    )
