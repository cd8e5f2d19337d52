"""``medseg measure``: millilitres and millimetres from an existing label image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medseg.cli import reading
from medseg.cli.evaluate import Kind
from medseg.cli.outcome import DONE
from medseg.cli.table import decimals, table
from medseg.errors import UsageError, printable

if TYPE_CHECKING:
    import pandas as pd

    from medseg.io.options import ReadOptions
    from medseg.labels import Instances, LabelMap

MOST_ROWS = 60
"""Longer tables are left to the file."""
MAIN_COLUMNS = (
    "object_id",
    "name",
    "voxels",
    "volume_",
    "area_",
    "longest_diameter_",
    "intensity_mean",
    "touches_border",
)
"""Beginnings of the column names that are worth a line on the screen; the file holds all of them."""


def measure(
    labels: Annotated[
        Path, typer.Argument(metavar="LABELS", help="A label image; its numbers are classes.", show_default=False)
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="TABLE.csv", help="Where the whole table goes.")
    ] = None,
    image: Annotated[Path | None, typer.Option(help="The image of the labels, for mean intensities.")] = None,
    kind: Annotated[
        Kind | None,
        typer.Option(help="What a voxel's number means; objects for NAME_instances, else classes.", show_default=False),
    ] = None,
    series: reading.Series = None,
    channel: reading.Channel = None,
    frame: reading.Frame = None,
    pixel_size: reading.PixelSize = None,
    form: reading.FormChoice = None,
    assume_orientation: reading.Orientation = None,
) -> int:
    """Measure the structures or the numbered objects of a label image.

    Volume in ml, longest diameter, position, and with --image the intensities; of objects also outline, shape and
    neighbours.
    """
    options = reading.reading(series, channel, frame, pixel_size, form, assume_orientation)
    return measure_files(labels, out, image, options, kind=kind)


def measure_files(
    labels: Path, out: Path | None, image: Path | None, options: ReadOptions, *, kind: Kind | None = None
) -> int:
    """Measure a label image, write and show the table, and return the exit code."""
    from medseg.io.labels import as_labels
    from medseg.io.read import read_with
    from medseg.measure import measure as measured

    _check_output(out, labels, image)
    # series, channel and frame choose within the image; what is said about space holds for both files
    for_labels = options if image is None else replace(options, series=None, channel=None, frame=None)
    label_map = replace(as_labels(read_with(labels, for_labels)), classes=_names_of(labels))
    found = _as_objects(label_map, labels) if _holds_objects(labels, kind) else label_map
    rows = measured(found, None if image is None else read_with(image, options))
    if out is not None:
        write_table(rows, out)
    show(rows)
    for notice in label_map.warnings:
        typer.echo(f"warning  {notice.code}: {printable(notice.text)}")
    return DONE


def write_table(rows: pd.DataFrame, out: Path) -> None:
    """Write a table as CSV, whole or not at all."""
    from medseg.io.atomic import write_atomically

    write_atomically(out, lambda temporary: rows.to_csv(temporary, index=False, float_format="%.10g"))


def show(rows: pd.DataFrame) -> None:
    """Write the main columns of a table of structures to stdout."""
    names = [name for start in MAIN_COLUMNS for name in rows.columns if _begins(name, start)]
    if rows.empty:
        typer.echo("no structure: every voxel is background")
        return
    shown = rows.astype(object).head(MOST_ROWS)
    table(
        [name.replace("_", " ") for name in names],
        ([_cell(row[name]) for name in names] for _, row in shown.iterrows()),
    )
    if len(rows) > MOST_ROWS:
        typer.echo(f"and {len(rows) - MOST_ROWS} more rows; -o TABLE.csv writes all of them")


def _names_of(labels: Path) -> dict[int, str]:
    """Return the class names of a result of ours, from the record beside it; none for other files."""
    from medseg.io.suffixes import split_suffix
    from medseg.workflow.pairs import class_names_beside

    return class_names_beside(labels, split_suffix(labels.name)[0].removesuffix("_labels"))


def _holds_objects(labels: Path, kind: Kind | None) -> bool:
    from medseg.io.suffixes import split_suffix

    return split_suffix(labels.name)[0].endswith("_instances") if kind is None else kind is Kind.instances


def _as_objects(labels: LabelMap, path: Path) -> Instances:
    """Return the numbers of a label image as objects, with class, score and flags from the table beside it."""
    import numpy as np

    from medseg.labels import Instances, Segment
    from medseg.workflow.beside import objects_beside

    segments, classes = objects_beside(path) or ((), {})
    told = {segment.id: segment for segment in segments}
    ids = [int(number) for number in np.unique(labels.array) if number != 0]
    objects = tuple(told.get(number, Segment(number)) for number in ids)
    return Instances(labels.array, labels.grid, objects, classes or {1: "object"}, labels.source, labels.warnings)


def _begins(name: str, start: str) -> bool:
    return name == start or (start.endswith(("_", "_mean")) and name.startswith(start))


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return decimals(value, 3)
    return {True: "yes", False: "no"}[bool(value)] if type(value).__name__ in ("bool", "bool_") else value


def _check_output(out: Path | None, *inputs: Path | None) -> None:
    if out is None:
        return
    if out.suffix.lower() != ".csv" or any(path is not None and _same(path, out) for path in inputs):
        raise UsageError(
            "E_USAGE",
            path=out,
            found="an output that is no new .csv file",
            expected="a name that ends in .csv",
            not_done="nothing was measured",
            remedy="Choose a name such as structures.csv.",
        )


def _same(a: Path, b: Path) -> bool:
    return a.exists() and b.exists() and a.samefile(b)
