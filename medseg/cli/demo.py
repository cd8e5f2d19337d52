"""``medseg demo``: segment, measure and count samples that come with medseg, end to end."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medseg.cli.demo_cells import count_cells
from medseg.cli.segment import run_and_show
from medseg.cli.table import decimals, table
from medseg.errors import printable

if TYPE_CHECKING:
    from medseg.samples.phantom import Phantom

REAL_CASES = ("dicom/Study1/13_HCropVolume", "dicom/Study2/14_HCropVolume")
"""DICOM series below MEDSEG_DATA that the built-in model has never seen."""


def demo(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of the results; those of an earlier demo are replaced.")
    ] = Path("demo"),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> int:
    """Segment, measure and count samples, end to end.

    No sample is a patient's image. Where MEDSEG_DATA names a folder of test data, a real scan is segmented too.
    """
    out.mkdir(parents=True, exist_ok=True)
    codes = [_measure_phantom(out / "phantom"), *_segment_samples(out, device)]
    codes.append(count_cells(out / "cells", device))
    return max(*codes, *_segment_real(out, device))


def _measure_phantom(out: Path) -> int:
    """Measure a computed scan whose volumes are known, to show that numbers and directions are right."""
    from medseg.io.atomic import write_atomically
    from medseg.io.write import write
    from medseg.measure import measure
    from medseg.report.overlay import write_overlay
    from medseg.samples.phantom import ellipsoids

    phantom = ellipsoids()
    out.mkdir(exist_ok=True)
    write(phantom.volume, out / "phantom.nii.gz")
    write(phantom.labels, out / "phantom_labels.nii.gz")
    rows = measure(phantom.labels, phantom.volume)
    write_atomically(out / "phantom_structures.csv", lambda path: rows.to_csv(path, index=False))
    picture = out / "phantom_overlay.png"
    write_atomically(picture, lambda path: write_overlay(phantom.volume, phantom.labels, path, title="phantom"))
    _compare(phantom, dict(zip(rows["name"], rows["volume_ml"], strict=True)))
    typer.echo(f"Picture: {printable(str(picture))}\n")
    return 0


def _compare(phantom: Phantom, measured: dict[str, float]) -> None:
    from medseg.samples.phantom import ELLIPSOIDS

    typer.echo("A computed scan, anisotropic and oblique: measured against its formula.")
    rows = (
        (
            body.name,
            decimals(body.volume_ml, 3),
            decimals(measured[body.name], 3),
            f"{100 * (measured[body.name] / body.volume_ml - 1):+.1f}",
        )
        for body in ELLIPSOIDS
    )
    table(("structure", "exact ml", "measured ml", "error %"), rows)


def _segment_samples(out: Path, device: str) -> list[int]:
    from medseg.samples.shelf import samples
    from medseg.workflow.options import RunOptions

    by_model = defaultdict(list)
    for sample in samples():
        by_model[sample.model].append(sample)
    codes = []
    for model, group in by_model.items():
        for sample in group:
            typer.echo(f"{sample.name}: {sample.about}")
        options = RunOptions(model=model, device=device, overwrite=True)
        codes.append(run_and_show([str(sample.path) for sample in group], out / model, options))
    return codes


def _segment_real(out: Path, device: str) -> list[int]:
    from medseg.workflow.options import RunOptions

    data = os.environ.get("MEDSEG_DATA")
    found = [Path(data) / case for case in REAL_CASES if (Path(data) / case).is_dir()] if data else []
    if not found:
        return []
    typer.echo("\nReal scans from MEDSEG_DATA, as DICOM series:")
    return [run_and_show([str(path) for path in found], out / "real", RunOptions(device=device, overwrite=True))]
