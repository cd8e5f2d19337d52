"""How much memory the maps of an image and its objects take, told from shapes before the network looks at it."""

from __future__ import annotations

from collections.abc import Callable

from medseg.errors import Notice, ResourceError
from medseg.grid import Grid
from medseg.io.memory import available_bytes

BYTES_PER_WORKING_VOXEL = 60
"""The image in three channels, the sums of at most seven maps, and a copy of part of them: 15 numbers of 4 bytes."""
BYTES_PER_VOXEL = 80
"""Copies of the image in three channels, the maps at its own voxels, and what flooding takes."""
BYTES_ANYWAY = 150_000_000
"""The network with one call of it, and the compiled loops."""
_HALVINGS = 12


def predicted_bytes(grid: Grid, working: Grid) -> int:
    """Return the peak of additional memory while the objects of an image are found.

    Parameters
    ----------
    grid : Grid
        Of the image.
    working : Grid
        That the network sees.

    Examples
    --------
    >>> from medseg.grid import image_grid
    >>> image = image_grid((100, 100, 100), (1.0, 1.0, 1.0), "um")
    >>> predicted_bytes(image, image.reshaped((200, 200, 200))) / 1e6
    710.0
    """
    return BYTES_ANYWAY + BYTES_PER_WORKING_VOXEL * working.n_voxels + BYTES_PER_VOXEL * grid.n_voxels


def affordable_zoom(
    grid: Grid, zoom: float, working: Callable[[float], Grid], *, asked: bool
) -> tuple[float, tuple[Notice, ...]]:
    """Return the zoom, or the largest smaller one whose work fits into the memory that is free.

    Parameters
    ----------
    grid : Grid
        Of the image.
    zoom : float
    working : callable
        From a zoom to the grid that the network sees.
    asked : bool
        The zoom follows from a size that was given: what does not fit is refused, not changed.

    Returns
    -------
    zoom : float
    notices : tuple of Notice
        W_OBJECT_SIZE where the zoom was lowered.

    Raises
    ------
    ResourceError
        If the image does not fit as it is, or not with the size that was given (E_OOM_CPU).
    """
    free = available_bytes()
    needed = predicted_bytes(grid, working(zoom))
    if free is None or needed <= free:
        return zoom, ()
    if asked or zoom <= 1.0 or predicted_bytes(grid, working(1.0)) > free:
        raise _too_large(needed, free)
    low, high = 1.0, zoom
    for _ in range(_HALVINGS):
        middle = (low * high) ** 0.5
        fits = predicted_bytes(grid, working(middle)) <= free
        low, high = (middle, high) if fits else (low, middle)
    text = (
        f"the objects are small and the image was to be enlarged {zoom:.1f} times, which takes {needed / 1e9:.1f} GB; "
        f"it was enlarged {low:.1f} times, for {free / 1e9:.1f} GB are free"
    )
    return low, (Notice("W_OBJECT_SIZE", text),)


def _too_large(needed: int, free: int) -> ResourceError:
    return ResourceError(
        "E_OOM_CPU",
        found=f"an image whose objects take about {needed / 1e9:.1f} GB more memory to find",
        expected=f"at most {free / 1e9:.1f} GB, what is free now",
        not_done="its objects were not separated",
        remedy="Take a part of it with --roi, close other programs, or give a larger --diameter if the one given is "
        "too small.",
    )
