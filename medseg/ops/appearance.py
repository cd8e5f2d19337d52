"""What an image looks like, in a few numbers: shape of its histogram, coarse layout of bright and dark, blank edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.ops.intensity import sample
from medseg.ops.reorient import reoriented
from medseg.volume import Volume

LEVELS = (0.5, 2.0, 5.0, 10.0, 25.0, 40.0, 60.0, 75.0, 90.0, 95.0, 98.0, 99.5)
"""Percentiles that describe a histogram."""
BINS = 4
"""Blocks along each axis of the coarse layout."""
_SPREAD = (10.0, 90.0)
_PLANES = 16

Values = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Appearance:
    """One channel of one image.

    Parameters
    ----------
    lowest : float
        The 0.5th percentile of the values as stored.
    middle : float
        Their median.
    whole : float
        Share of the values that are whole numbers.
    spread : tuple of float
        Distance of each of `LEVELS` from the median, in units of the distance between the 10th and 90th percentile.
    layout : tuple of float
        Mean brightness of `BINS` blocks along each axis, mean 0 and deviation 1, last axis fastest. All 0 where the
        image is even.
    blank : float
        The largest share of an axis, from either end, whose planes hold one single value.
    """

    lowest: float
    middle: float
    whole: float
    spread: tuple[float, ...]
    layout: tuple[float, ...]
    blank: float


def appearance(volume: Volume, orientation: str | None = None) -> tuple[Appearance, ...]:
    """Describe each channel of an image; values that are not numbers are left out.

    Parameters
    ----------
    volume : Volume
    orientation : str, optional
        Axis codes to which a scan is turned first, so that layouts can be compared.

    Examples
    --------
    >>> from medseg.grid import Grid
    >>> ramp = np.broadcast_to(np.arange(8.0), (1, 8, 8, 8))
    >>> look = appearance(Volume(ramp, Grid((8, 8, 8), np.eye(4))))[0]
    >>> look.middle, look.layout[0] < 0 < look.layout[3], look.blank
    (3.5, True, 0.125)
    """
    turned = reoriented(volume, orientation) if orientation and volume.grid.space == "patient" else volume
    return tuple(_of_channel(channel) for channel in turned.numpy())


def _of_channel(values: Values) -> Appearance:
    part = sample(values).astype(np.float64)
    part = part[np.isfinite(part)]
    if not part.size:
        part = np.zeros(1)
    middle = float(np.median(part))
    bottom, top = np.percentile(part, _SPREAD)
    width = float(top - bottom) or float(part.max() - part.min()) or 1.0
    at = np.percentile(part, LEVELS)
    return Appearance(
        lowest=float(at[0]),
        middle=middle,
        whole=float(np.mean(part == np.rint(part))),
        spread=tuple(((at - middle) / width).tolist()),
        layout=tuple(_layout(values, float(at[0]), float(at[-1])).ravel().tolist()),
        blank=max(_blank(values, axis) for axis in range(values.ndim)),
    )


def _layout(values: Values, low: float, high: float) -> npt.NDArray[np.float64]:
    """Average blocks of the clipped values; a few planes are looked at a time, so that large scans cost no memory."""
    first, *others = (_blocks(n) for n in values.shape)
    rows = []
    for start, stop in first:
        total = np.zeros(values.shape[1:])
        for at in range(start, stop, _PLANES):
            planes = values[at : min(at + _PLANES, stop)].astype(np.float32)
            if values.dtype.kind == "f":
                planes = np.nan_to_num(planes, copy=False, nan=low, posinf=high, neginf=low)
            total += np.clip(planes, low, high, out=planes).sum(axis=0, dtype=np.float64)
        rows.append(total / (stop - start))
    found = np.stack(rows)
    for axis, blocks in enumerate(others, 1):
        found = np.stack([found.take(range(a, b), axis).mean(axis=axis) for a, b in blocks], axis=axis)
    centred: npt.NDArray[np.float64] = found - found.mean()
    deviation = float(centred.std())
    # rounding alone makes an even image uneven
    return centred / deviation if deviation > 1e-6 * max(abs(low), abs(high), 1e-30) else np.zeros_like(centred)


def _blocks(n: int) -> list[tuple[int, int]]:
    starts = [k * n // BINS for k in range(BINS)]
    return [(a, max(a + 1, (k + 1) * n // BINS)) for k, a in enumerate(starts)]


def _blank(values: Values, axis: int) -> float:
    """Return the longer run of planes of one single value at either end, as a share of the axis."""
    planes = np.moveaxis(values, axis, 0)
    runs = []
    for order in (planes, planes[::-1]):
        # the planes of a run need one common value: the background of a scan, not a phantom's steps
        edge = order[0].flat[0]
        runs.append(next((k for k, plane in enumerate(order) if not (plane == edge).all()), len(order)))
    return max(runs) / len(planes)
