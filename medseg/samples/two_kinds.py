"""A computed picture of two kinds of objects that lie upon each other: small and bright, large and dim."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from medseg.grid import image_grid
from medseg.labels import Instances, Segment, smallest_integer_type
from medseg.volume import Source, Volume

SHAPE = (96, 112)
SMALL, LARGE = 1, 2
CLASSES = {SMALL: "small", LARGE: "large"}
RADIUS = {SMALL: (4.5, 6.0), LARGE: (11.0, 14.0)}
"""Range of the radii, in pixels."""
LIGHT = {SMALL: (0.45, 0.65), LARGE: (0.25, 0.35)}
"""Range of the brightness that an object adds to the picture."""
MOST_SHARED = 0.1
"""Share of an object that others of its kind may cover; of the other kind, all of it."""
TRIES = 400
FEWEST_PIXELS = 12

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Disc:
    kind: int
    light: float
    inside: npt.NDArray[np.bool_]


def two_kinds(
    seed: int = 0, shape: tuple[int, int] = SHAPE, *, n_small: int = 12, n_large: int = 6
) -> tuple[Volume, Instances]:
    """Compute a picture of small bright and large dim discs, and its truth.

    Parameters
    ----------
    seed : int
        Equal seeds give equal bytes.
    shape : (int, int)
        Rows and columns.
    n_small, n_large : int
        How many to draw; fewer where there is no room.

    Returns
    -------
    Volume
        (1, *shape) uint8.
    Instances
        Where two lie upon each other the pixel is the small one's; classes 1 ``small`` and 2 ``large``.

    Examples
    --------
    >>> _, truth = two_kinds(0)
    >>> sorted({s.class_id for s in truth.segments}), truth.classes
    ([1, 2], {1: 'small', 2: 'large'})
    """
    rng = np.random.default_rng(seed)
    discs = [*_placed(rng, shape, LARGE, n_large), *_placed(rng, shape, SMALL, n_small)]
    labels, kinds = _numbered(discs, shape)
    light = np.zeros(shape)
    for disc in discs:
        light += disc.light * disc.inside
    grid = image_grid(shape, (1.0, 1.0), "px")
    source = Source("two kinds", "computed", details={"seed": seed})
    segments = tuple(Segment(number, kind) for number, kind in enumerate(kinds, 1))
    truth = Instances(labels, grid, segments, dict(CLASSES), source)
    return Volume(_photographed(light, rng)[None], grid, ("cells",), source), truth


def _placed(rng: np.random.Generator, shape: tuple[int, int], kind: int, n: int) -> list[_Disc]:
    rows, columns = np.indices(shape)
    taken = np.zeros(shape, np.bool_)
    discs: list[_Disc] = []
    for _ in range(TRIES):
        if len(discs) == n:
            break
        radius = rng.uniform(*RADIUS[kind])
        y, x = (rng.uniform(radius / 2, length - radius / 2) for length in shape)
        inside = (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
        if (inside & taken).sum() <= MOST_SHARED * inside.sum():
            inside &= ~taken
            taken |= inside
            discs.append(_Disc(kind, rng.uniform(*LIGHT[kind]), inside))
    return discs


def _numbered(discs: list[_Disc], shape: tuple[int, int]) -> tuple[npt.NDArray[np.unsignedinteger], tuple[int, ...]]:
    """Return labels without slivers, later discs upon earlier ones, and the kind of each object."""
    labels = np.zeros(shape, np.int32)
    for number, disc in enumerate(discs, 1):
        labels[disc.inside] = number
    left = np.bincount(labels.reshape(-1), minlength=len(discs) + 1)
    stays = [number for number in range(1, len(discs) + 1) if left[number] >= FEWEST_PIXELS]
    table = np.zeros(len(discs) + 1, smallest_integer_type(len(stays)))
    table[stays] = np.arange(1, len(stays) + 1)
    return table[labels], tuple(discs[number - 1].kind for number in stays)


def _photographed(light: Floats, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    blurred = ndimage.gaussian_filter(light, 0.7)
    return np.clip(np.rint(20.0 + 200.0 * blurred + rng.normal(0.0, 5.0, light.shape)), 0, 255).astype(np.uint8)
