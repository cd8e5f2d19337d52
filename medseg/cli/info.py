"""``medseg info``: what a file or folder is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medseg.cli import reading
from medseg.cli.outcome import DONE, exit_code, laid_out
from medseg.cli.table import table
from medseg.errors import MedsegError, SeriesAmbiguousError, printable

if TYPE_CHECKING:
    from medseg.errors import Notice
    from medseg.io.options import Probe, ReadOptions

NAMES = (
    "path", "format", "shape", "spacing", "unit", "space", "orientation", "world_from_index", "dtype", "channels",
    "frames", "series", "warnings", "error",
)  # fmt: skip
"""Keys of ``info --json``, always all of them, in this order."""


def info(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A file, or a folder with DICOM series.", show_default=False)
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON object for programs.")] = False,
    series: reading.Series = None,
    channel: reading.Channel = None,
    frame: reading.Frame = None,
    pixel_size: reading.PixelSize = None,
    form: reading.FormChoice = None,
    assume_orientation: reading.Orientation = None,
) -> int:
    """Say what a file or folder is.

    Grid, unit, orientation, channels, series and warnings.
    The whole content is read and checked, so what passes here can be segmented.
    """
    options = reading.reading(series, channel, frame, pixel_size, form, assume_orientation)
    try:
        found = examine(path, options)
    except MedsegError as error:
        if as_json:
            typer.echo(json.dumps(refused(path, error), allow_nan=False))
        else:
            typer.echo(laid_out(error), err=True)
        return exit_code(error)
    if as_json:
        typer.echo(json.dumps(found, allow_nan=False))
    else:
        _show(found)
    return DONE


def examine(path: Path, options: ReadOptions) -> dict[str, Any]:
    """Return the facts about a file under the keys `NAMES`, as plain JSON data.

    Raises
    ------
    MedsegError
        If the file cannot be read without doubt.
    """
    from medseg.io.probe import probe
    from medseg.io.read import read_with
    from medseg.ops.intensity import inspect

    header = probe(path, options=options)
    volume = read_with(path, options)
    _, notices = inspect(volume)
    return _facts(header, (*header.warnings, *volume.warnings, *notices))


def refused(path: Path, error: MedsegError) -> dict[str, Any]:
    """Return the JSON data of a file that was refused: its error, and its series where they are the reason."""
    facts: dict[str, Any] = dict.fromkeys(NAMES)
    choices = error.choices if isinstance(error, SeriesAmbiguousError) else ()
    series = [{"key": key, "description": about} for key, about in choices]
    return facts | {"path": str(path), "channels": [], "series": series, "warnings": [], "error": error.as_dict()}


def _facts(header: Probe, notices: tuple[Notice, ...]) -> dict[str, Any]:
    grid = header.grid
    unique = {(notice.code, notice.text): notice for notice in notices}
    return {
        "path": header.path,
        "format": header.format,
        "shape": list(grid.shape),
        "spacing": list(grid.spacing),
        "unit": grid.unit,
        "space": grid.space,
        "orientation": "".join(grid.axis_codes),
        "world_from_index": grid.world_from_index.tolist(),
        "dtype": header.dtype,
        "channels": list(header.channels),
        "frames": header.n_frames,
        "series": [
            {"key": s.key, "description": s.description, "n_images": s.n_images, "shape": list(s.shape)}
            for s in header.series
        ],
        "warnings": [{"code": notice.code, "text": notice.text} for notice in unique.values()],
        "error": None,
    }


def _show(found: dict[str, Any]) -> None:
    unit = found["unit"]
    spacing = " x ".join(f"{s:.4g}" for s in found["spacing"])
    extent = " x ".join(f"{n * s:.4g}" for n, s in zip(found["shape"], found["spacing"], strict=True))
    lines = {
        "file": printable(found["path"]),
        "format": found["format"],
        "shape": " x ".join(str(n) for n in found["shape"]) + " voxels",
        "spacing": f"{spacing} {unit}",
        "extent": f"{extent} {unit}",
        "orientation": _orientation(found),
        "values": found["dtype"],
        "channels": ", ".join(printable(name) for name in found["channels"]),
    }
    if found["frames"] > 1:
        lines["frames"] = f"{found['frames']}, of which one was read"
    for label, text in lines.items():
        typer.echo(f"{label:<12} {text}")
    for warning in found["warnings"]:
        typer.echo(f"{'warning':<12} {warning['code']}: {printable(warning['text'])}")
    if len(found["series"]) > 1:
        rows = [(s["key"], s["description"], s["n_images"]) for s in found["series"]]
        table(("series", "description", "images"), rows)


def _orientation(found: dict[str, Any]) -> str:
    if found["space"] == "image":
        return f"axes {found['orientation']} of the picture"
    ends = {"R": "right", "L": "left", "A": "front", "P": "back", "S": "head", "I": "feet"}
    words = ", ".join(ends[code] for code in found["orientation"])
    return f"{found['orientation']} (axes run towards {words})"
