"""Computed cells that touch, overlap, stretch, crowd and drown in noise, each as much as asked for.

Where cells lie above each other their light adds up, as it does in a microscope; in the truth such a pixel belongs to
the cell that it lies deeper in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from medseg.grid import image_grid
from medseg.labels import Instances, Segment
from medseg.volume import Source, Volume

RADIUS = 11.0
"""Mean radius of a cell in pixels."""
SMALLEST = 40
TRIES = 40
LEVELS = 1500.0
"""Grey levels of a cell of full brightness."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Cells:
    """One kind of picture.

    Parameters
    ----------
    overlap : float
        How far two cells reach into each other, as a share of the sum of their radii; below 0 they lie apart.
    elongation : float
        Length of a cell divided by its breadth.
    aligned : bool
        Neighbours lie side by side and point the same way; otherwise every which way.
    share : float
        Share of the picture that is covered, about.
    noise : float
        Standard deviation of the noise, as a share of full brightness.
    """

    overlap: float = 0.0
    elongation: float = 1.15
    aligned: bool = False
    share: float = 0.35
    noise: float = 0.02


KINDS = {
    "apart": Cells(overlap=-0.3),
    "touching": Cells(),
    "overlapping by 15 %": Cells(overlap=0.15),
    "overlapping by 30 %": Cells(overlap=0.30),
    "long, side by side": Cells(elongation=3.0, aligned=True),
    "long, crossing": Cells(elongation=3.0, overlap=0.25),
    "crowded": Cells(overlap=0.05, share=0.6),
    "two thirds covered": Cells(overlap=0.05, share=0.75),
    "noisy": Cells(noise=0.15),
    "very noisy": Cells(noise=0.4),
}
SHOWN = ("overlapping by 30 %", "long, crossing", "two thirds covered", "very noisy")


@dataclass(frozen=True)
class _Cell:
    y: float
    x: float
    radius: float
    turn: float
    bright: float
    stretch: float

    def depth(self, shape: tuple[int, int]) -> Floats:
        """Return 0 in the middle, 1 at the outline, more beyond."""
        rows, columns = np.indices(shape)
        dy, dx = rows - self.y, columns - self.x
        along, across = np.cos(self.turn) * dx + np.sin(self.turn) * dy, np.cos(self.turn) * dy - np.sin(self.turn) * dx
        root = np.sqrt(self.stretch)
        return np.asarray(np.hypot(along / (self.radius * root), across * root / self.radius))

    def reach(self, angle: float) -> float:
        """Return the radius in a direction."""
        root = np.sqrt(self.stretch)
        own = angle - self.turn
        return float(self.radius / np.hypot(np.cos(own) / root, np.sin(own) * root))


def drawn(cells: Cells, *, seed: int, size: int) -> tuple[Volume, Instances]:
    """Compute a picture and its truth.

    Parameters
    ----------
    cells : Cells
    seed : int
        Equal seeds give equal bytes.
    size : int
        Rows and columns.
    """
    rng = np.random.default_rng(seed)
    shape = (size, size)
    light, nearest, labels = np.zeros(shape), np.ones(shape), np.zeros(shape, np.int32)
    bodies: list[_Cell] = []
    wanted = round(cells.share * size**2 / (np.pi * RADIUS**2))
    for _ in range(wanted * TRIES):
        if len(bodies) == wanted:
            break
        body = _drawn(rng, cells, bodies, size)
        if any(
            _gap(body, other) < -1.3 * max(cells.overlap, 0.0) - 0.02 + 0.3 * (cells.overlap < 0) for other in bodies
        ):
            continue
        bodies.append(body)
        depth = body.depth(shape)
        light += np.where(depth <= 1, body.bright * (0.6 + 0.4 * np.sqrt(np.clip(1 - depth**2, 0, 1))), 0.0)
        won = (depth <= 1) & (depth < nearest)
        nearest[won], labels[won] = depth[won], len(bodies)
    return _photographed(rng, light, cells.noise), _truth(labels)


def _drawn(rng: np.random.Generator, cells: Cells, bodies: list[_Cell], size: int) -> _Cell:
    radius, bright = RADIUS * rng.uniform(0.8, 1.2), rng.uniform(0.45, 1.0)
    turn, stretch = rng.uniform(0, np.pi), cells.elongation * rng.uniform(0.9, 1.1)
    y, x = rng.uniform(0, size, 2)
    if bodies and rng.random() < 0.75:
        near = bodies[int(rng.integers(len(bodies)))]
        turn = near.turn + rng.normal(0, 0.08) if cells.aligned else turn
        angle = near.turn + np.pi / 2 * rng.choice((-1, 1)) if cells.aligned else rng.uniform(0, 2 * np.pi)
        own = _Cell(0, 0, radius, turn, bright, stretch)
        way = (near.reach(angle) + own.reach(angle)) * (1 - cells.overlap)
        y, x = near.y + way * np.sin(angle), near.x + way * np.cos(angle)
    return _Cell(float(np.clip(y, 0, size)), float(np.clip(x, 0, size)), radius, turn, bright, stretch)


def _gap(one: _Cell, other: _Cell) -> float:
    """Return the way between two outlines along the line of the middles, as a share of both radii; below 0: overlap."""
    angle = float(np.arctan2(other.y - one.y, other.x - one.x))
    both = one.reach(angle) + other.reach(angle)
    return float(np.hypot(other.y - one.y, other.x - one.x)) / both - 1.0


def _photographed(rng: np.random.Generator, light: Floats, noise: float) -> Volume:
    grain = ndimage.gaussian_filter(rng.standard_normal(light.shape), 2.0)
    blurred = ndimage.gaussian_filter(light * (1 + 0.15 * grain / grain.std()), 1.2)
    seen = 200 + LEVELS * (blurred + rng.normal(0, noise, light.shape))
    array = np.clip(np.rint(seen), 0, 65535).astype(np.uint16)
    return Volume(array[None], image_grid(light.shape, (1.0, 1.0), "px"), ("cells",), Source("cells", "computed"))


def _truth(labels: npt.NDArray[np.int32]) -> Instances:
    """Return the cells of which enough can be seen, numbered without gaps."""
    sizes = np.bincount(labels.ravel())
    kept = sizes >= SMALLEST
    kept[0] = False
    numbers = np.where(kept, np.cumsum(kept), 0)
    grid = image_grid(labels.shape, (1.0, 1.0), "px")
    segments = tuple(Segment(i) for i in range(1, int(kept.sum()) + 1))
    return Instances(numbers[labels].astype(np.uint16), grid, segments, {1: "cell"})
