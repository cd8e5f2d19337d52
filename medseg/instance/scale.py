"""One look for every micrograph: three channels, objects bright on dark ground, objects of about one size."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from medseg.errors import InputError, Notice
from medseg.grid import Grid
from medseg.ops.intensity import normalised
from medseg.ops.resample import resampled
from medseg.volume import Volume

CHANNELS = ("red", "green", "blue")
REFERENCE_DIAMETER = 32.0
"""Median diameter of the objects, in voxels of the finest axis, at which the network works best."""
CLOSE_ENOUGH = 1.15
"""Objects within this factor of the wanted size are left as they are."""
LARGEST_ZOOM = 6.0
MOST_NOISE = 0.03
"""Noise, as a share of the contrast, above which an image is smoothed first; hardly a training image has as much."""
WANTED_NOISE = 0.02
LARGEST_SMOOTHING = 2.0
LIGHT_GROUND = {"grey": 0.65, "colour": 0.4}
"""A normalised median above this means that most of the image is light: objects are darker than the ground. In 583
pictures of nuclei the median was at most .19 where the ground is dark, at least .87 in grey ones where it is light and
.53 in coloured ones; bright cells that cover two thirds of a grey one bring it to .5."""
EITHER_GROUND = (0.4, 0.8)
"""Medians between these are found neither in grey pictures with a dark ground nor in those with a light one."""

NOISE_PLANES = 8
_WITHOUT_EDGES = np.outer([1, -2, 1], [1, -2, 1]).astype(np.float32)

Look = Literal["dark ground", "light ground", "colour"]
Floats = npt.NDArray[np.float32]


def look_of(array: npt.NDArray[Any]) -> Look:
    """Tell what kind of picture an image is, from its own values: what is rare must be drawn more often in training.

    Parameters
    ----------
    array : (c, *s) array
    """
    if _is_coloured(array):
        return "colour"
    grey = normalised(array[:1], scheme="percentile", percentiles=(1.0, 99.8))
    return "light ground" if is_light(grey) else "dark ground"


def canonical(volume: Volume, percentiles: tuple[float, float]) -> Volume:
    """Return three channels, percentile-normalised, with bright objects on dark ground.

    Grey is repeated. In colour images empty channels are filled with the brightest of the others, so that one stain in
    one channel looks like grey. Images with a light ground are inverted.

    Parameters
    ----------
    volume : Volume
        One or three channels; values must be finite.
    percentiles : (low, high)

    Raises
    ------
    InputError
        If the image has another number of channels.
    """
    array = volume.numpy()
    if array.shape[0] not in (1, len(CHANNELS)):
        raise InputError(
            "E_DIMENSIONS_UNSUPPORTED",
            path=None if volume.source is None else volume.source.path,
            found=f"{array.shape[0]} channels ({', '.join(volume.channels)})",
            expected="one channel, or red, green and blue",
            not_done="its objects were not separated",
            remedy="Choose one with --channel.",
        )
    values = normalised(array, scheme="percentile", percentiles=percentiles)
    if is_light(values, "colour" if _is_coloured(array) else "grey"):
        values = np.asarray(1.0 - values, np.float32)
    empty = [c for c in range(len(array)) if array[c].size and array[c].min() == array[c].max()]
    filled = [c for c in range(len(array)) if c not in empty]
    if filled and empty:
        values[empty] = values[filled].max(axis=0)
    if len(values) == 1:
        values = np.repeat(values, len(CHANNELS), axis=0)
    return replace(volume, array=values, channels=CHANNELS)


def noise_of(volume: Volume) -> float:
    """Return the standard deviation of white noise in the noisiest channel, as a share of the channel's contrast.

    The estimate looks at what is left of each plane when edges and slopes are taken away (Immerkaer, 1996).

    Parameters
    ----------
    volume : Volume
        Values must be finite.
    """
    values = normalised(volume.numpy(), scheme="percentile", percentiles=(1.0, 99.8))
    planes = values.reshape(-1, *values.shape[-2:])
    planes = planes[:: max(1, len(planes) // NOISE_PLANES)]
    rest = ndimage.convolve(planes, _WITHOUT_EDGES[None], mode="reflect")
    return float(np.median(np.abs(rest), axis=(1, 2)).max() / (0.6745 * 6.0))


def quietened(volume: Volume) -> tuple[Volume, float]:
    """Return an image with about as little noise as those of the training, and the width of the Gaussian.

    The width is in voxels of the finest axis; 0 means that the image was left as it is.

    Parameters
    ----------
    volume : Volume
        Values must be finite.
    """
    noise = noise_of(volume)
    if noise <= MOST_NOISE:
        return volume, 0.0
    # white noise falls with the volume that is averaged over
    n_axes = volume.grid.ndim
    width = min(LARGEST_SMOOTHING, (noise / WANTED_NOISE) ** (2.0 / n_axes) / (2.0 * np.sqrt(np.pi)))
    finest = min(volume.grid.spacing)
    sigmas = (0.0, *(width * finest / s for s in volume.grid.spacing))
    array = ndimage.gaussian_filter(volume.numpy().astype(np.float32), sigmas)
    return replace(volume, array=array), float(width)


def is_light(values: Floats, kind: Literal["grey", "colour"] = "grey") -> bool:
    """Tell whether most of a normalised (c, *s) image is light."""
    return _middle(values) > LIGHT_GROUND[kind]


def ground_notices(volume: Volume) -> tuple[Notice, ...]:
    """Return W_OUT_OF_DISTRIBUTION where a grey image does not show whether its objects are bright or dark.

    Parameters
    ----------
    volume : Volume
        Values must be finite.
    """
    array = volume.numpy()
    if _is_coloured(array):
        return ()
    middle = _middle(normalised(array[:1], scheme="percentile", percentiles=(1.0, 99.8)))
    if not EITHER_GROUND[0] < middle < EITHER_GROUND[1]:
        return ()
    taken, other = ("dark", "bright") if middle > LIGHT_GROUND["grey"] else ("bright", "dark")
    text = (
        f"half of the image is neither dark nor light; {taken} objects were looked for: if they are {other}, invert it"
    )
    return (Notice("W_OUT_OF_DISTRIBUTION", text),)


def _middle(values: Floats) -> float:
    return float(np.median(values.mean(axis=0)))


def _is_coloured(array: npt.NDArray[Any]) -> bool:
    return array.shape[0] == len(CHANNELS) and bool((array[0] != array[1]).any())


def equivalent_diameters(labels: npt.NDArray[Any], spacing: tuple[float, ...]) -> npt.NDArray[np.float64]:
    """Return the diameter of the disc or ball of equal size for each object, in the unit of `spacing`.

    Examples
    --------
    >>> equivalent_diameters(np.full((10, 10), 3), (2.0, 2.0)).round(2).tolist()
    [22.57]
    """
    counts = np.bincount(labels.ravel())[1:]
    sizes = counts[counts > 0] * float(np.prod(spacing))
    if labels.ndim == 2:
        return np.asarray(np.sqrt(sizes * 4.0 / np.pi))
    return np.asarray(np.cbrt(sizes * 6.0 / np.pi))


def usual_diameter(diameters: npt.NDArray[Any]) -> float:
    """Return the median diameter, objects counted by their width, so that dust does not outvote them.

    Not a number where there are none.

    Examples
    --------
    >>> usual_diameter(np.array([1.0, 1.0, 1.0, 20.0]))
    20.0
    """
    widths = np.sort(diameters)
    if not len(widths):
        return float("nan")
    shares = np.cumsum(widths) / widths.sum()
    return float(widths[np.searchsorted(shares, 0.5)])


def zoom_for(diameter: float, reference: float = REFERENCE_DIAMETER) -> float:
    """Return the factor that brings objects of `diameter` voxels to the reference; 1 where they are close to it."""
    if not np.isfinite(diameter) or diameter <= 0:
        return 1.0
    zoom = reference / diameter
    if 1.0 / CLOSE_ENOUGH <= zoom <= CLOSE_ENOUGH:
        return 1.0
    return float(np.clip(zoom, 1.0 / LARGEST_ZOOM, LARGEST_ZOOM))


def zoomed_grid(grid: Grid, zoom: float, axes: tuple[int, ...]) -> Grid:
    """Return the grid over the same extent whose voxels are `zoom` times finer than the finest axis along `axes`.

    Parameters
    ----------
    grid : Grid
    zoom : float
    axes : tuple of int
        Axes that become equally fine; the others keep their voxels.
    """
    finest = min(grid.spacing[a] for a in axes)
    wanted = [
        n * s / finest * zoom if a in axes else n for a, (n, s) in enumerate(zip(grid.shape, grid.spacing, strict=True))
    ]
    shape = tuple(max(1, round(n)) for n in wanted)
    return grid if shape == grid.shape else grid.reshaped(shape)


def zoomed(volume: Volume, grid: Grid) -> Volume:
    """Return an image on a `zoomed_grid`, interpolated linearly as in training."""
    return volume if grid is volume.grid else resampled(volume, grid, order=1)
