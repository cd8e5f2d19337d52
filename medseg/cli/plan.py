"""``medseg plan``: what a training on this data would look like, as a file to read and edit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medseg.cli.outcome import DONE
from medseg.cli.show import progress

if TYPE_CHECKING:
    from medseg.planning import Plan

DATASET_HELP = "images/ and labels/ with equal names, or an MSD or nnU-Net folder."


def plan(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help=DATASET_HELP, show_default=False)],
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="PLAN.json", help="Where the plan goes.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the model; the folder's name when not given.")] = None,
) -> int:
    """Plan a training from a data set.

    Every case is read once. The plan names spacing, intensities, patch, network, memory and work, and can be edited.
    """
    from medseg.api import plan as planned
    from medseg.workflow.staging import write_bytes

    with progress() as show:
        made = planned(dataset, name=name, show=show)
    if out is None:
        typer.echo(made.model_dump_json(indent=2))
        return DONE
    write_bytes(out, (made.model_dump_json(indent=2) + "\n").encode())
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
    if made.predicted_epoch_seconds_one_core is not None:
        lines["time"] = f"about {made.predicted_epoch_seconds_one_core:.0f} s per epoch on one CPU core in float32"
    for label, text in lines.items():
        typer.echo(f"{label:<12} {text}")
