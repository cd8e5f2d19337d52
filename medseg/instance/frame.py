"""The padded layout that the compiled loops work on: neighbours are fixed offsets, no bounds tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.errors import ResourceError

_MOST_VOXELS = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Frame:
    """A (nz, ny, nx) box with a margin of one voxel; a 2-D image is one plane without a margin along z.

    Parameters
    ----------
    nz, ny, nx : int
    margin : int
        Voxels added before and after along z: 0 for an image, 1 for a volume.

    Examples
    --------
    >>> frame = Frame.of((4, 5))
    >>> frame.padded, frame.offsets.tolist()
    ((1, 6, 7), [-7, -1, 1, 7])
    """

    nz: int
    ny: int
    nx: int
    margin: int

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> Frame:
        """Return the frame of a 2-D or 3-D shape; refuse one whose voxels cannot be counted in 31 bits."""
        solid = (1,) * (3 - len(shape)) + tuple(int(n) for n in shape)
        frame = cls(solid[0], solid[1], solid[2], margin=int(len(shape) == 3))
        if np.prod(frame.padded, dtype=np.int64) > _MOST_VOXELS:
            raise ResourceError(
                "E_TOO_LARGE",
                found=f"{'x'.join(map(str, shape))} voxels in one piece",
                expected="less than 2 147 483 647 voxels",
                not_done="the objects were not separated",
                remedy="Cut the image into parts, or work at a coarser resolution.",
            )
        return frame

    @property
    def padded(self) -> tuple[int, int, int]:
        """Shape with the margins."""
        return self.nz + 2 * self.margin, self.ny + 2, self.nx + 2

    @property
    def offsets(self) -> npt.NDArray[np.int64]:
        """Steps in the flat padded array to the neighbours across a face, in ascending order."""
        _, height, width = self.padded
        steps = [1, width] + [height * width] * self.margin
        return np.array(sorted([*steps, *(-s for s in steps)]), np.int64)

    def zeros(self, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Return a padded array of zeros."""
        return np.zeros(self.padded, dtype)

    def inner(self, padded: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the view without margins, (nz, ny, nx)."""
        return padded[self.margin : self.margin + self.nz, 1:-1, 1:-1]
