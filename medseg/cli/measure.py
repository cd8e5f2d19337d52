"""``medseg measure``: millilitres and millimetres from an existing label image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medseg.cli import reading
from medseg.cli.outcome import DONE
from medseg.cli.table import decimals, table
from medseg.errors import UsageError, printable

if TYPE_CHECKING:
    import pandas as pd

    from medseg.io.options import ReadOptions

MAIN_COLUMNS = ("name", "voxels", "volume_", "area_", "longest_diameter_", "intensity_mean", "touches_border")
"""Beginnings of the column names that are worth a line on the screen; the file holds all of them."""


def measure(
    labels: Annotated[
        Path, typer.Argument(metavar="LABELS", help="A label image; its numbers are classes.", show_default=False)
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="TABLE.csv", help="Where the whole table goes.")
    ] = None,
    image: Annotated[Path | None, typer.Option(help="The image of the labels, for mean intensities.")] = None,
    series: reading.Series = None,
    channel: reading.Channel = None,
    frame: reading.Frame = None,
    pixel_size: reading.PixelSize = None,
    form: reading.FormChoice = None,
    assume_orientation: reading.Orientation = None,
) -> int:
    """Measure the structures of a label image.

    Volume in ml, longest diameter, position, and with --image the intensities.
    """
    options = reading.reading(series, channel, frame, pixel_size, form, assume_orientation)
    return measure_files(labels, out, image, options)


def measure_files(labels: Path, out: Path | None, image: Path | None, options: ReadOptions) -> int:
    """Measure a label image, write and show the table, and return the exit code."""
    from medseg.api import measure as measured
    from medseg.io.labels import as_labels
    from medseg.io.read import read_with

    _check_output(out, labels, image)
    # series, channel and frame choose within the image; what is said about space holds for both files
    for_labels = options if image is None else replace(options, series=None, channel=None, frame=None)
    label_map = replace(as_labels(read_with(labels, for_labels)), classes=_names_of(labels))
    rows = measured(label_map, None if image is None else read_with(image, options))
    if out is not None:
        write_table(rows, out)
    show(rows)
    for notice in label_map.warnings:
        typer.echo(f"warning  {notice.code}: {printable(notice.text)}")
    return DONE


def write_table(rows: pd.DataFrame, out: Path) -> None:
    """Write a table as CSV, whole or not at all."""
    from medseg.io.atomic import write_atomically

    write_atomically(out, lambda temporary: rows.to_csv(temporary, index=False))


def show(rows: pd.DataFrame) -> None:
    """Write the main columns of a table of structures to stdout."""
    names = [name for start in MAIN_COLUMNS for name in rows.columns if _begins(name, start)]
    if rows.empty:
        typer.echo("no structure: every voxel is background")
        return
    table(
        [name.replace("_", " ") for name in names], ([_cell(row[name]) for name in names] for _, row in rows.iterrows())
    )


def _names_of(labels: Path) -> dict[int, str]:
    """Return the class names of a result of ours, from the record beside it; none for other files."""
    from medseg.io.suffixes import split_suffix
    from medseg.workflow.pairs import class_names_beside

    return class_names_beside(labels, split_suffix(labels.name)[0].removesuffix("_labels"))


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
