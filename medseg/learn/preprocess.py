"""From an image as it was read to the working grid of a model: the same way for training and for prediction."""

from __future__ import annotations

from dataclasses import replace

from medseg.errors import InputError, Notice
from medseg.grid import Grid
from medseg.models.card import InputSpec
from medseg.ops.intensity import inspect, normalised
from medseg.ops.reorient import reoriented
from medseg.ops.resample import resampled
from medseg.volume import Volume


def to_working(volume: Volume, spec: InputSpec) -> tuple[Volume, tuple[Notice, ...]]:
    """Reorient, resample and normalise an image for a model.

    Values that are not numbers are replaced before any statistic is taken. Images are resampled with cubic splines.

    Parameters
    ----------
    volume : Volume
    spec : InputSpec

    Returns
    -------
    working : Volume
        float32, on the model's orientation and spacing, over the same extent.
    notices : tuple of Notice
        What was replaced or clipped.

    Raises
    ------
    InputError
        If the image is of another kind than the model expects.
    """
    check_kind(volume, spec)
    finite, notices = inspect(volume)
    turned = reoriented(finite, spec.orientation) if spec.orientation else finite
    scaled = resampled(turned, working_grid(turned.grid, spec), order=3)
    array = normalised(scaled.numpy(), **spec.normalisation.model_dump())
    return replace(scaled, array=array), notices


def working_grid(grid: Grid, spec: InputSpec) -> Grid:
    """Return the grid at the model's spacing over the same extent; the grid itself where the spacing agrees."""
    if spec.spacing is None or grid.unit == "px":
        return grid
    close = all(abs(a / b - 1.0) < 0.01 for a, b in zip(grid.spacing, spec.spacing, strict=True))
    return grid if close else grid.resampled(spec.spacing)


def check_kind(volume: Volume, spec: InputSpec) -> None:
    """Raise `InputError` unless the image has the space, axes and channels that the model expects."""
    axes = len(spec.patch)
    if volume.grid.space != spec.space or volume.grid.ndim != axes:
        raise InputError(
            "E_DIMENSIONS_UNSUPPORTED",
            path=None if volume.source is None else volume.source.path,
            found=f"a {volume.grid.ndim}-D image in {volume.grid.space} space",
            expected=f"a {axes}-D image in {spec.space} space, as the model was trained on",
            not_done="it was not segmented",
            remedy="Choose a model for this kind of image.",
        )
    if len(volume.channels) != len(spec.channels):
        raise InputError(
            "E_DIMENSIONS_UNSUPPORTED",
            path=None if volume.source is None else volume.source.path,
            found=f"{len(volume.channels)} channels ({', '.join(volume.channels)})",
            expected=f"{len(spec.channels)} ({', '.join(spec.channels)})",
            not_done="it was not segmented",
            remedy="Choose one with --channel, or another model.",
        )
