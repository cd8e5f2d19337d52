"""A sheet to look at: slices through the structures, outlined, named and measured."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from medseg.grid import Grid
from medseg.io.atomic import write_atomically
from medseg.labels import Instances, LabelMap
from medseg.ops.agreement import require_same_grid
from medseg.report.colours import colour
from medseg.report.drawing import unit_sign
from medseg.report.lettering import is_readable
from medseg.report.objects import FLAGGED, needs_eyes, outlined
from medseg.report.panel import Picture, coloured, grey, tinted
from medseg.report.sheet import Entry, Panel, Row, Sheet
from medseg.report.views import slices_through, views_of
from medseg.report.window import Window, display_window
from medseg.volume import Volume

Labels = LabelMap | Instances

_PANEL = (380, 420)
_PICTURE = (760, 760)
_CROWD = (1000, 1000)
_SLICES = 3
_STAMP = 1.6
_LISTED = 60
_SUFFIXES = (".nii.gz", ".ome.tif", ".ome.tiff")


def overlay(volume: Volume, labels: Labels, *, title: str | None = None) -> Image.Image:
    """Draw labels over their image.

    Patient space: a row each for axial, coronal and sagittal slices, in radiological orientation (patient right on the
    picture's left, front or head up); first the fullest slice bare, then the same and others outlined. Micrographs:
    the picture bare and outlined, or three cuts through a stack. Sizes are true to the spacing. Objects are outlined
    one by one and numbered as in their table, by class where there are several; those with a flag that asks for a look
    have one signal colour.

    Parameters
    ----------
    volume : Volume
        The first channel is shown; three channels named red, green and blue are shown in colour.
    labels : LabelMap or Instances
        On the same grid.
    title : str, optional
        Name of the case; the volume's file name by default.

    Returns
    -------
    PIL.Image.Image
        RGB.

    Raises
    ------
    GeometryError
        If the two lie on different grids (E_GEOMETRY_MISMATCH).
    """
    require_same_grid(labels.grid, volume.grid, what="labels and image", not_done="no overlay was drawn")
    legend = _legend(labels) if isinstance(labels, LabelMap) else _legend_of_objects(labels)
    subtitle = _described(volume.grid)
    volume, labels = _upright(volume, labels)
    window = display_window(volume, labels)
    flat = volume.grid.ndim == 2
    rows = (_picture_row(volume, labels, window),) if flat else _stack_rows(volume, labels, window)
    shown = () if len(volume.channels) == 1 else (f"channels: {', '.join(volume.channels)}",)
    return Sheet(
        title=_name(volume) if title is None else title,
        subtitle=subtitle,
        rows=rows,
        legend=legend,
        remarks=("", f"grey scale: {window}", *shown),
        unit=volume.grid.unit,
    ).draw()


def write_overlay(volume: Volume, labels: Labels, path: Path, *, title: str | None = None) -> None:
    """Draw `overlay` and write it to `path` as PNG, whatever the suffix; an unfinished picture never bears that name.

    Raises
    ------
    ResourceError
        If the disk is full (E_DISK_FULL).
    OutputError
        If the folder may not be written (E_PERMISSION).
    """
    page = overlay(volume, labels, title=title)
    write_atomically(path, partial(page.save, format="PNG"))


def _upright(volume: Volume, labels: Labels) -> tuple[Volume, Labels]:
    if volume.grid.space != "patient":
        return volume, labels
    axes = volume.grid.axes_to("RAS")
    grid = volume.grid.mapped(axes)
    image = replace(volume, array=axes.apply(np.asarray(volume.array)), grid=grid)
    return image, replace(labels, array=axes.apply(np.asarray(labels.array)), grid=grid)


def _stack_rows(volume: Volume, labels: Labels, window: Window) -> tuple[Row, ...]:
    image, numbers, grid = np.asarray(volume.array[0]), np.asarray(labels.array), volume.grid
    views = views_of(grid)
    own = [_scale(view.size(grid), _PANEL) for view in views]
    filled = numbers if isinstance(labels, LabelMap) else (numbers > 0).view(np.uint8)
    rows = []
    for view, alone in zip(views, own, strict=True):
        # one scale for all rows, unless that would make this one a stamp beside a long thin scan
        scale = min(own) if alone < _STAMP * min(own) else alone
        size = _pixels(view.size(grid), scale)
        letters = view.letters(grid)
        panels: list[Panel] = []
        for at in slices_through(filled, view.across, _SLICES):
            bare = grey(view.slice_of(image, at), size, (window.low, window.high))
            caption = f"{view.name}  {view.place(grid, at)}"
            if not panels:
                panels.append(Panel(bare, caption, letters))
            panels.append(Panel(_painted(bare, view.slice_of(numbers, at), labels), caption, letters))
        rows.append(Row(tuple(panels), scale))
    return tuple(rows)


def _picture_row(volume: Volume, labels: Labels, window: Window) -> Row:
    grid = volume.grid
    extent = (grid.shape[1] * grid.spacing[1], grid.shape[0] * grid.spacing[0])
    scale = _scale(extent, _PICTURE if isinstance(labels, LabelMap) else _CROWD)
    bare = _picture(volume, _pixels(extent, scale), window)
    return Row((Panel(bare, "image"), Panel(_painted(bare, np.asarray(labels.array), labels), "outlined")), scale)


def _painted(bare: Picture, plane: npt.NDArray[Any], labels: Labels) -> Picture:
    return tinted(bare, plane) if isinstance(labels, LabelMap) else outlined(bare, plane, labels)


def _picture(volume: Volume, size: tuple[int, int], window: Window) -> Picture:
    names = [name.lower() for name in volume.channels]
    if names[:3] in (["red", "green", "blue"], ["r", "g", "b"]):
        top = 255.0 if volume.array.dtype == np.uint8 else window.high
        return coloured(np.asarray(volume.array[:3]), size, (0.0, top))
    return grey(np.asarray(volume.array[0]), size, (window.low, window.high))


def _scale(extent: tuple[float, float], room: tuple[int, int]) -> float:
    return min(room[0] / extent[0], room[1] / extent[1])


def _pixels(extent: tuple[float, float], scale: float) -> tuple[int, int]:
    return max(1, round(extent[0] * scale)), max(1, round(extent[1] * scale))


def _legend(labels: LabelMap) -> tuple[Entry, ...]:
    ids, counts = np.unique(np.asarray(labels.array), return_counts=True)
    found = {int(c): int(n) for c, n in zip(ids, counts, strict=True) if c != 0}
    absent = sorted(c for c in labels.classes if c != 0 and c not in found)
    entries = [Entry(_shown(labels, c), _amount(found[c], labels.grid), colour(c)) for c in sorted(found)[:_LISTED]]
    if len(found) > _LISTED:
        entries.append(Entry(f"and {len(found) - _LISTED} more, see the table"))
    entries += [Entry(_shown(labels, c), "not found") for c in absent[: max(0, _LISTED - len(found))]]
    return tuple(entries) or (Entry("no structure labelled"),)


def _legend_of_objects(found: Instances) -> tuple[Entry, ...]:
    """Count the objects, by class and by what their flags say."""
    n = len(found.segments)
    by_class = Counter(segment.class_id for segment in found.segments)
    entries = [Entry("objects", str(n))]
    if len(by_class) > 1:
        names = {c: found.classes.get(c, f"class {c}") for c in by_class}
        shown = {c: name if is_readable(name) else f"class {c}" for c, name in sorted(names.items())}
        entries += [Entry(name, str(by_class[c]), colour(c)) for c, name in shown.items()]
    signal = sum(needs_eyes(segment.flags) for segment in found.segments)
    if signal:
        entries.append(Entry("need a look", str(signal), FLAGGED))
    flags = Counter(flag for segment in found.segments for flag in segment.flags)
    entries += [Entry(f"   {flag.replace('_', ' ')}", str(number)) for flag, number in sorted(flags.items())]
    return tuple(entries)


def _shown(labels: LabelMap, class_id: int) -> str:
    name = labels.class_name(class_id)
    return name if is_readable(name) else f"class {class_id}"


def _amount(voxels: int, grid: Grid) -> str:
    if grid.ndim == 3 and grid.unit == "mm":
        value, sign = voxels * grid.voxel_volume_ml, "ml"
    else:
        value, sign = voxels * grid.voxel_size, unit_sign(grid.unit) + ("²" if grid.ndim == 2 else "³")
    decimals = 0 if value >= 1000 else 1 if value >= 100 else 2 if value >= 10 else 3
    return f"{value:.{decimals}f} {sign}"


def _described(grid: Grid) -> str:
    sizes = " x ".join(str(n) for n in grid.shape)
    steps = " x ".join(f"{s:.3g}" for s in grid.spacing)
    words = f"{sizes} voxels of {steps} {unit_sign(grid.unit)}" if grid.ndim == 3 else f"{sizes} pixels"
    if grid.ndim == 2:
        return words if grid.unit == "px" else f"{words} of {steps} {unit_sign(grid.unit)}"
    if grid.space != "patient":
        return words
    lean = np.degrees(np.arccos(np.clip(np.abs(grid.direction).max(axis=0), 0.0, 1.0))).max()
    oblique = f"   oblique: slices lean {lean:.0f}° against the patient's axes" if lean > 1.0 else ""
    return f"{words}, stored {''.join(grid.axis_codes)}   radiological view: patient right is on the left{oblique}"


def _name(volume: Volume) -> str:
    if volume.source is None:
        return "image"
    name = Path(volume.source.path).name
    for suffix in _SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return Path(name).stem or name
