"""``medseg plan``: what a training on this data would look like, as a file to read and edit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medseg.cli.outcome import DONE
from medseg.cli.show import progress

if TYPE_CHECKING:
    from medseg.planning import Plan


def plan(
    dataset: Annotated[Path, typer.Argument(help="images/ and labels/ with equal names, or an MSD or nnU-Net folder.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="PLAN.json", help="Where the plan goes.")] = None,
) -> int:
    """Look at a data set and plan a training: spacing, patch, network, memory and work."""
    from medseg.api import plan as planned
    from medseg.io.atomic import write_atomically

    with progress() as show:
        made = planned(dataset, show=show)
    if out is None:
        typer.echo(made.model_dump_json(indent=2))
        return DONE
    write_atomically(out, lambda temporary: temporary.write_text(made.model_dump_json(indent=2) + "\n", "utf-8"))
    describe(made)
    typer.echo(f"The plan lies in {out}; edit it and give it to: medseg train {dataset} --plan {out} -o MODEL")
    return DONE


def describe(made: Plan) -> None:
    """Write the main lines of a plan to stdout."""
    spec, training = made.input, made.training
    spacing = " x ".join(f"{s:g}" for s in spec.spacing or ())
    lines = {
        "cases": made.n_cases,
        "classes": ", ".join(f"{number} {name}" for number, name in made.classes.items()),
        "spacing": f"{spacing} {spec.unit}" if spacing else "as stored",
        "intensities": spec.normalisation.scheme,
        "patch": " x ".join(str(n) for n in spec.patch),
        "network": f"{made.architecture.name}, loss {training.loss}, batch {training.batch}",
        "memory": f"about {made.predicted_memory_gb:g} GB",
        "work": f"{made.predicted_gflop_per_patch:g} GFLOP per patch forward, "
        f"{training.samples_per_epoch} patches per epoch",
    }
    for label, text in lines.items():
        typer.echo(f"{label:<12} {text}")
