"""Watershed and Mask R-CNN on computed pictures of cells, one difficulty at a time: a table, and pictures to look at.

    python workflows/two_branches.py OUT [--pictures 4] [--size 256]

Every kind of picture differs from the first one in one respect. Both built-in models see the same pictures and get the
cells' true diameter; neither was trained on any of them. OUT/two_branches.csv holds the table, OUT/two_branches.png a
picture of some kinds: right objects (IoU .5 at least) in blue, wrong ones in orange, missed cells with a yellow cross.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from crossing_cells import KINDS, SHOWN, Cells, drawn
from PIL import Image, ImageDraw

from medseg.instance.scale import equivalent_diameters
from medseg.labels import Instances
from medseg.metrics.instances import InstanceScores, instance_scores, pooled
from medseg.pipeline import Model, SegmentOptions, load_model, segment_steps
from medseg.progress import finish
from medseg.report.colours import FAINT, INK, PAPER, Colour
from medseg.report.lettering import write_text
from medseg.report.panel import Picture, grey, tinted
from medseg.volume import Volume

MODELS = {"watershed": "nuclei", "Mask R-CNN": "nuclei_maskrcnn"}
FIRST_SEED = 100
SAME = 0.5
PANEL, HEAD, GAP = 300, 26, 8
RIGHT: Colour = (86, 180, 233)
WRONG: Colour = (255, 120, 20)
MISSED: Colour = (240, 228, 66)
COLOURS = 96
"""Of the palette of the picture, which keeps it small."""

Numbers = npt.NDArray[np.integer[Any]]
Place = tuple[float, float]


class Shown(NamedTuple):
    """A row of the picture: what it shows, the truth, and what each branch found."""

    kind: str
    volume: Volume
    truth: Instances
    found: list[Instances]


def main(out: Path, n_pictures: int, size: int) -> list[dict[str, Any]]:
    """Score all kinds, write table and picture; returns the rows."""
    out.mkdir(parents=True, exist_ok=True)
    models = {branch: load_model(name, device="cpu") for branch, name in MODELS.items()}
    rows: list[dict[str, Any]] = []
    shown: list[Shown] = []
    for kind, cells in KINDS.items():
        pictures = [drawn(cells, seed=FIRST_SEED + k, size=size) for k in range(n_pictures)]
        found = {branch: [objects_of(p, model) for p in pictures] for branch, model in models.items()}
        rows.append(row_of(kind, cells, pictures, found))
        print(rows[-1], flush=True)
        if kind in SHOWN:
            shown.append(Shown(kind, *pictures[0], [found[branch][0] for branch in MODELS]))
    with (out / "two_branches.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    page(shown).quantize(COLOURS, dither=Image.Dither.NONE).save(out / "two_branches.png", optimize=True)
    return rows


def objects_of(picture: tuple[Volume, Instances], model: Model) -> Instances:
    """Return what a model finds in a picture whose typical diameter it is told."""
    volume, truth = picture
    diameter = float(np.median(equivalent_diameters(truth.array, truth.grid.spacing)))
    found = finish(segment_steps(volume, model, SegmentOptions(device="cpu", diameter=diameter))).instances
    assert found is not None
    return found


def row_of(
    kind: str, cells: Cells, pictures: Sequence[tuple[Volume, Instances]], found: dict[str, list[Instances]]
) -> dict[str, Any]:
    """Return the figures of one kind of picture, those of all its pictures together."""
    row: dict[str, Any] = {"kind": kind, "overlap": cells.overlap, "elongation": cells.elongation}
    row |= {"noise": cells.noise, "cells": sum(len(truth.segments) for _, truth in pictures)}
    for branch, objects in found.items():
        pairs = zip(objects, pictures, strict=True)
        scores: InstanceScores = pooled([instance_scores(own, truth) for own, (_, truth) in pairs])
        row |= {
            f"{branch}: F1 at .5": round(scores.at[0].f1 or 0.0, 3),
            f"{branch}: right": scores.at[0].true_positives,
            f"{branch}: found": scores.n_prediction,
            f"{branch}: merged": scores.merges,
            f"{branch}: cut": scores.splits,
        }
    return row


def partners(one: Numbers, other: Numbers) -> set[int]:
    """Return the numbers of the objects in `one` that overlap one of `other` by half or more (IoU)."""
    pairs, shared = np.unique(np.stack([one.ravel(), other.ravel()]).astype(np.int64), axis=1, return_counts=True)
    sizes = [np.bincount(values.ravel()) for values in (one, other)]
    right = set()
    for (a, b), n in zip(pairs.T.tolist(), shared.tolist(), strict=True):
        if a and b and n >= SAME * (sizes[0][a] + sizes[1][b] - n):
            right.add(a)
    return right


def page(shown: Sequence[Shown]) -> Image.Image:
    """Draw a row for each kind: the picture, its truth, and what either branch found."""
    row = PANEL + HEAD + GAP
    sheet = Image.new("RGB", (4 * (PANEL + GAP) + GAP, len(shown) * row + HEAD + GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    for r, own in enumerate(shown):
        top = GAP + r * row
        for c, (title, panel, crosses) in enumerate(panels_of(own)):
            left = GAP + c * (PANEL + GAP)
            write_text(draw, (left, top + 4), title, size=15, fill=INK)
            sheet.paste(Image.fromarray(panel), (left, top + HEAD))
            for y, x in crosses:
                cross(draw, (left + x * PANEL, top + HEAD + y * PANEL))
    words = (
        "blue: overlaps a true cell by half or more (IoU)   orange: does not   "
        "yellow cross: a true cell without such an object"
    )
    write_text(draw, (GAP, len(shown) * row + GAP), words, size=15, fill=FAINT)
    return sheet


def panels_of(shown: Shown) -> list[tuple[str, Picture, list[Place]]]:
    """Return title, picture and missed cells of the four panels of a row."""
    values = shown.volume.numpy()[0]
    low, high = np.percentile(values, (0.5, 99.7))
    bare = grey(values, (PANEL, PANEL), (float(low), float(high)))
    whole = tinted(bare, shown.truth.array, colour_of=lambda _: RIGHT)
    panels: list[tuple[str, Picture, list[Place]]] = [
        (shown.kind, bare, []),
        (f"truth: {len(shown.truth.segments)} cells", whole, []),
    ]
    for branch, found in zip(MODELS, shown.found, strict=True):
        right = partners(found.array, shown.truth.array)
        title = f"{branch}: {len(right)} right, {len(found.segments) - len(right)} wrong"
        colours = {number: RIGHT if number in right else WRONG for number in np.unique(found.array).tolist()}
        panels.append((title, tinted(bare, found.array, colour_of=colours.__getitem__), missed(found, shown.truth)))
    return panels


def missed(found: Instances, truth: Instances) -> list[Place]:
    """Return the middles of the true cells without a partner, as shares of the picture."""
    known = partners(truth.array, found.array)
    middles = []
    for number in sorted(set(np.unique(truth.array).tolist()) - known - {0}):
        places = np.argwhere(truth.array == number)
        y, x = (places.mean(axis=0) + 0.5) / truth.array.shape
        middles.append((float(y), float(x)))
    return middles


def cross(draw: ImageDraw.ImageDraw, place: Place, reach: int = 4) -> None:
    """Draw a small cross with a dark edge."""
    x, y = place
    for width, fill in ((4, (0, 0, 0)), (2, MISSED)):
        draw.line([x - reach, y, x + reach, y], fill=fill, width=width)
        draw.line([x, y - reach, x, y + reach], fill=fill, width=width)


if __name__ == "__main__":
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("out", type=Path)
    given.add_argument("--pictures", type=int, default=4)
    given.add_argument("--size", type=int, default=256)
    chosen = given.parse_args()
    main(chosen.out, chosen.pictures, chosen.size)
    sys.exit(0)
