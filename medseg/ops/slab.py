"""A value: some planes of maps per class, handed on as soon as they are finished, while the rest is still computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False, slots=True)
class Slab:
    """Planes of maps across one axis, of which the first ones are finished.

    Parameters
    ----------
    maps : (c, *s) float32 array
        Contiguous, and valid only until the next slab is asked for: its owner writes the next planes into it.
    axis : {0, -1}
        Of the spatial axes, the one along which slabs follow each other.
    start : int
        Where along `axis` of the whole grid `maps` begins.
    count : int
        How many planes along `axis` are finished; what follows in `maps` is not to be used.
    """

    maps: npt.NDArray[np.float32]
    axis: int
    start: int
    count: int

    @property
    def finished(self) -> npt.NDArray[np.float32]:
        """The finished planes, (c, *s) with `count` along `axis`; a view."""
        return cut(self.maps, self.axis, slice(0, self.count))

    @property
    def stop(self) -> int:
        """Where along `axis` of the whole grid the finished planes end."""
        return self.start + self.count


def cut(array: Any, axis: int, planes: slice) -> Any:
    """Return some planes of an array or tensor along its first axis after the maps (0) or its last (-1), as a view.

    Examples
    --------
    >>> cut(np.zeros((2, 5, 6)), 0, slice(1, 3)).shape, cut(np.zeros((2, 5, 6)), -1, slice(1, 3)).shape
    ((2, 2, 6), (2, 5, 2))
    """
    return array[:, planes] if axis == 0 else array[..., planes]
