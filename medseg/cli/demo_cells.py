"""The part of ``medseg demo`` that counts cells, in a computed picture whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from medseg.cli.segment import run_and_show
from medseg.cli.table import decimals, table
from medseg.errors import printable

if TYPE_CHECKING:
    import pandas as pd

    from medseg.samples.cells import Micrograph

MODEL = "nuclei"
SHOWN = 5
"""Rows of the table of cells that are worth a place on the screen."""
_COLUMNS = ("object_id", "area_um2", "equivalent_diameter_um", "circularity", "neighbours_touching", "intensity_mean")


def count_cells(out: Path, device: str) -> int:
    """Count the nuclei of a computed picture, show how far that is from the truth, and return the exit code."""
    from medseg.io.write import write
    from medseg.samples.cells import nuclei
    from medseg.workflow.options import RunOptions

    typer.echo("\nA computed fluorescence picture: touching nuclei, blurred and noisy, whose number is known.")
    made = nuclei()
    pictures = out / "picture"
    pictures.mkdir(parents=True, exist_ok=True)
    write(made.volume, pictures / "cells.tif")
    write(made.instances, out / "cells_truth.tif")
    options = RunOptions(model=MODEL, device=device, counts=True, overwrite=True)
    code = run_and_show([str(pictures / "cells.tif")], out / "counts", options)
    if code == 0:
        _compare(made, out / "counts")
    return code


def _compare(made: Micrograph, counts: Path) -> None:
    """Show the first rows of the table and how many of the drawn nuclei were found."""
    import pandas as pd

    from medseg.io.read import read_labels
    from medseg.labels import Instances
    from medseg.metrics.instances import instance_scores

    objects = pd.read_csv(counts / "cells_objects.csv")
    typer.echo(f"\nThe first of {len(objects)} rows of {printable(str(counts / 'cells_objects.csv'))}:")
    _show_rows(objects)
    labels = read_labels(counts / "cells_instances.tif")
    scores = instance_scores(Instances(labels.array, labels.grid), made.instances)
    typer.echo(
        f"\nCounted {scores.n_prediction}, drawn {scores.n_reference}: {scores.at[0].true_positives} of them found"
        f" with at least half overlap, {scores.merges} merged, {scores.splits} split."
    )


def _show_rows(objects: pd.DataFrame) -> None:
    names = [name for name in _COLUMNS if name in objects]
    rows = (
        [str(row[name]) if objects[name].dtype.kind in "iu" else decimals(float(row[name]), 2) for name in names]
        for _, row in objects[names].astype(object).head(SHOWN).iterrows()
    )
    table([name.replace("_", " ").replace("um2", "µm²").replace("um", "µm") for name in names], rows)
