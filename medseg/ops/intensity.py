"""Intensities: find values that cannot be measurements, and bring the rest to a network's range."""

from __future__ import annotations

from dataclasses import replace
from math import gcd
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from medseg.errors import InputError, Notice, UsageError
from medseg.volume import Volume

SAMPLE_VOXELS = 2_000_000
"""Above this many voxels, percentiles come from an evenly spread sample of at least half this size."""
LARGEST_NONFINITE_SHARE = 0.5
ABSURD_FLOOR = 1e9
"""Smaller values are never called absurd: metal in CT, PET in Bq/ml and photon counts all stay far below."""
ABSURD_FACTOR = 1e6
ZSCORE_LIMIT = 10.0
PERCENTILE_RANGE = (-0.5, 1.5)

Values = npt.NDArray[Any]
Scheme = Literal["zscore", "ct", "percentile"]


def inspect(volume: Volume) -> tuple[Volume, tuple[Notice, ...]]:
    """Replace values that cannot be measurements, and say so; everything else is left exactly as it is.

    Per channel: a value further than ``max(1e9, 1e6 * d)`` from the median is absurd, where d is the distance within
    which 99 % of the finite values lie. Absurd values and infinities are clipped to the range of the plausible
    values; NaN becomes the lowest plausible value (most NaN stand for "outside the scanned region").

    Parameters
    ----------
    volume : Volume
        Integer arrays are never copied.

    Returns
    -------
    Volume
        The same object where nothing had to be replaced. The notices are also added to its warnings.
    tuple of Notice
        ``W_NONFINITE_REPLACED``, ``W_INTENSITY_OUT_OF_RANGE``, ``W_CONSTANT_IMAGE``.

    Raises
    ------
    InputError
        If more than half of the values of a channel are not numbers.

    Examples
    --------
    >>> from medseg.grid import Grid
    >>> array = np.arange(60.0).reshape(1, 3, 4, 5)
    >>> array[0, 1, 1, 1] = np.nan
    >>> clean, notices = inspect(Volume(array, Grid((3, 4, 5), np.eye(4))))
    >>> float(clean.array[0, 1, 1, 1]), notices[0].code
    (0.0, 'W_NONFINITE_REPLACED')
    """
    array = volume.numpy()
    notices: list[Notice] = []
    if array.dtype.kind == "f":
        cleaned = [_plausible(array[c], volume, c, notices) for c in range(array.shape[0])]
        if any(new is not None for new in cleaned):
            array = np.stack([old if new is None else new for old, new in zip(array, cleaned, strict=True)])
    notices += _constant(array, volume)
    if not notices:
        return volume, ()
    return replace(volume, array=array, warnings=(*volume.warnings, *notices)), tuple(notices)


def normalised(
    array: Values,
    *,
    scheme: Scheme,
    low: float | None = None,
    high: float | None = None,
    mean: float | None = None,
    std: float | None = None,
    percentiles: tuple[float, float] = (0.5, 99.5),
) -> npt.NDArray[np.float32]:
    """Bring intensities to the range that a network expects.

    Parameters
    ----------
    array : (c, *spatial) array
        Finite values, see `inspect`.
    scheme : {"zscore", "ct", "percentile"}
        ``zscore``: per channel ``(x - m) / s``, clipped to +-10; m and s are mean and deviation of the values between
        the two percentiles. ``ct``: clip to `low` .. `high`, then ``(x - mean) / std``. ``percentile``: per channel
        the two percentiles become 0 and 1, clipped to -0.5 .. 1.5.
    low, high, mean, std : float, optional
        Needed by ``ct`` only.
    percentiles : (float, float)
        In percent.

    Returns
    -------
    (c, *spatial) float32 array
        A channel of equal values becomes zeros (not with ``ct``, whose range is fixed).

    Raises
    ------
    UsageError
        If ``ct`` lacks a number, or the percentiles do not ascend within 0 .. 100.

    Examples
    --------
    >>> normalised(np.array([[[0, 50, 100]]]), scheme="ct", low=0, high=80, mean=40, std=20).tolist()
    [[[-2.0, 0.5, 2.0]]]
    """
    _check_percentiles(percentiles)
    out = np.empty(array.shape, dtype=np.float32)
    for c in range(array.shape[0]):
        if scheme == "ct":
            lowest, highest, centre, width = _fixed(low, high, mean, std)
            _scale(np.clip(array[c], lowest, highest), centre, width, out[c])
        elif scheme == "zscore":
            centre, width = _centre_and_width(_exact_sample(array[c]), percentiles)
            _scale(array[c], centre, width, out[c])
            np.clip(out[c], -ZSCORE_LIMIT, ZSCORE_LIMIT, out=out[c])
        elif scheme == "percentile":
            bottom, top = _ends(_exact_sample(array[c]), percentiles)
            _scale(array[c], bottom, top - bottom, out[c])
            np.clip(out[c], *PERCENTILE_RANGE, out=out[c])
        else:
            raise _unusable(f"the scheme {scheme!r}", "zscore, ct or percentile")
    return out


def sample(values: Values) -> Values:
    """Return all values as one axis, or an evenly spread part of more than `SAMPLE_VOXELS`; always the same ones.

    Examples
    --------
    >>> sample(np.zeros((2, 3))).shape
    (6,)
    """
    flat = values.ravel(order="K")
    if flat.size <= SAMPLE_VOXELS:
        return flat
    step = flat.size // SAMPLE_VOXELS + 1
    while any(gcd(step, n) > 1 for n in values.shape if n > 1):  # else every sample might lie in the same few columns
        step += 1
    return flat[::step]


def _exact_sample(values: Values) -> npt.NDArray[np.float64]:
    # numpy takes percentiles of int16 in int16, where the distance of two neighbours can overflow
    return sample(values).astype(np.float64)


def _centre_and_width(values: Values, percentiles: tuple[float, float]) -> tuple[float, float]:
    bottom, top = np.percentile(values, percentiles)
    inner = values[(values >= bottom) & (values <= top)]
    if not inner.size or inner.min() == inner.max():  # nearly all voxels are equal: what differs is the object
        inner = values
    # the deviation of equal values may differ from 0 by rounding, so it is not asked for
    width = 0.0 if inner.min() == inner.max() else float(inner.std(dtype=np.float64))
    return float(inner.mean(dtype=np.float64)), width


def _ends(values: Values, percentiles: tuple[float, float]) -> tuple[float, float]:
    bottom, top = np.percentile(values, percentiles)
    if top <= bottom:
        bottom, top = values.min(), values.max()
    return float(bottom), float(top)


def _scale(values: Values, centre: float, width: float, out: npt.NDArray[np.float32]) -> None:
    if width <= 0:
        out[...] = 0
        return
    # computed in double precision block by block inside numpy: a large offset must not eat the contrast
    np.subtract(values, centre, out=out, dtype=np.float64, casting="unsafe")
    out /= np.float32(width)


def _plausible(values: Values, volume: Volume, channel: int, notices: list[Notice]) -> Values | None:
    finite = np.isfinite(values)
    n_bad = values.size - int(np.count_nonzero(finite))
    if n_bad > LARGEST_NONFINITE_SHARE * values.size:
        raise InputError(
            "E_VALUES_NONFINITE",
            path=None if volume.source is None else volume.source.path,
            found=f"{n_bad} of {values.size} values of channel {volume.channels[channel]} that are not numbers",
            expected="an image of numbers",
            not_done="it was not used",
            remedy="Export the image again from where it was made.",
        )
    good = values[finite] if n_bad else values
    low, high = _plausible_range(good)
    n_absurd = int(np.count_nonzero((good < low) | (good > high)))
    if not n_bad and not n_absurd:
        return None
    name = volume.channels[channel]
    if n_bad:
        text = f"{n_bad} of {values.size} values of channel {name} were not numbers; NaN became {low:g}, infinities"
        notices.append(Notice("W_NONFINITE_REPLACED", f"{text} {low:g} and {high:g}"))
    if n_absurd:
        text = f"{n_absurd} of {values.size} values of channel {name} lay far outside and were clipped"
        notices.append(Notice("W_INTENSITY_OUT_OF_RANGE", f"{text} to {low:g} ... {high:g}"))
    return np.clip(np.where(np.isnan(values), values.dtype.type(low), values), low, high)


def _plausible_range(good: Values) -> tuple[float, float]:
    low, high = float(good.min()), float(good.max())
    if max(abs(low), abs(high)) < ABSURD_FLOOR:
        return low, high
    part = sample(good).astype(np.float64)
    middle = float(np.median(part))
    # "lower" leaves out the largest even of a handful of values
    usual = float(np.quantile(np.abs(part - middle), 0.99, method="lower"))
    limit = max(ABSURD_FLOOR, ABSURD_FACTOR * usual)
    if max(high - middle, middle - low) <= limit:
        return low, high
    inside = good[np.abs(good.astype(np.float64) - middle) <= limit]
    return float(inside.min()), float(inside.max())


def _constant(array: Values, volume: Volume) -> list[Notice]:
    names = [n for n, a in zip(volume.channels, array, strict=True) if a.size and a.min() == a.max()]
    # an empty colour of a picture is ordinary, an empty channel of a scan is a missing sequence
    if not names or (volume.grid.space == "image" and len(names) < len(volume.channels)):
        return []
    return [Notice("W_CONSTANT_IMAGE", f"all values are equal in channel {', '.join(names)}")]


def _fixed(
    low: float | None, high: float | None, mean: float | None, std: float | None
) -> tuple[float, float, float, float]:
    if low is None or high is None or mean is None or std is None or std <= 0 or low >= high:
        raise _unusable(f"low {low}, high {high}, mean {mean}, std {std}", "four numbers, low below high, std above 0")
    return low, high, mean, std


def _check_percentiles(percentiles: tuple[float, float]) -> None:
    if not 0 <= percentiles[0] < percentiles[1] <= 100:
        raise _unusable(f"the percentiles {percentiles}", "two ascending numbers within 0 to 100")


def _unusable(found: str, expected: str) -> UsageError:
    return UsageError(
        "E_USAGE",
        found=found,
        expected=expected,
        not_done="the intensities were not normalised",
        remedy="Correct the normalisation in the model's card or plan.",
    )
