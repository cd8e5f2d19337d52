"""Objects by vote: every voxel points to the centre of its object, and goes where most of those around its end go."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from medseg.instance.basins import Basins, Padded, Parts

Floats = npt.NDArray[np.float32]
REACH = 3.0
"""Standard deviations to which a vote is spread."""
LONGEST_WAY = 1024.0
"""Ways to the centre of more voxels than this are cut: no object is so large on a working grid."""


def landings(parts: Parts, ways: Floats) -> npt.NDArray[np.int32]:
    """Return where the vote of each voxel lands, as flat indices of the padded frame, within the voxel's own part.

    Parameters
    ----------
    parts : Parts
    ways : (n, *s) float32 array
        Way to the centre in voxels of each axis.
    """
    from medseg.instance import vote_kernels as loops

    frame = parts.frame
    solid = np.zeros((3, frame.nz, frame.ny, frame.nx), np.float32)
    finite = np.clip(np.nan_to_num(ways, posinf=0.0, neginf=0.0), -LONGEST_WAY, LONGEST_WAY)
    solid[3 - len(ways) :] = finite.reshape(len(ways), *solid.shape[1:])
    found = frame.zeros(np.int32)
    loops.land(parts.labels, solid, frame.margin, found.reshape(-1))
    return found.reshape(-1)


def vote_levels(parts: Parts, landing: npt.NDArray[np.int32], widths: tuple[float, ...]) -> Padded:
    """Return the landscape of the votes as padded levels.

    Votes are counted per voxel: 1 is what every voxel would get if none moved, and lies at half of the full height.

    Parameters
    ----------
    parts : Parts
    landing : flat padded int32 array
    widths : tuple of float
        Standard deviation of the smoothing along each axis, in voxels.
    """
    from medseg.instance import vote_kernels as loops

    labels, frame = parts.labels, parts.frame
    votes, other = frame.zeros(np.float32), frame.zeros(np.float32)
    loops.count(labels.reshape(-1), landing, votes.reshape(-1))
    for axis, width in enumerate(widths, start=3 - len(widths)):
        if width > 0:
            loops.blur(labels, votes, _weights(width), axis, other)
            votes, other = other, votes
    levels = frame.zeros(np.uint16)
    loops.levels_of_votes(labels.reshape(-1), votes.reshape(-1), levels.reshape(-1))
    return levels


def follow_votes(basins: Basins, landing: npt.NDArray[np.int32]) -> None:
    """Give each voxel to the object in whose basin its vote lands, in place, and keep every object in one piece.

    What is cut off from the largest piece of its object goes to the objects around it.

    Parameters
    ----------
    basins : Basins
        Of the landscape of the votes.
    landing : flat padded int32 array
    """
    from medseg.instance import vote_kernels as loops
    from medseg.instance.basins import find_parts

    labels, frame = basins.parts.labels, basins.parts.frame
    flat = labels.reshape(-1)
    found = frame.zeros(np.int32)
    loops.follow(flat, landing, found.reshape(-1))
    inner = np.maximum(frame.inner(found), 0)
    pieces = find_parts(inner if frame.margin else inner[0])
    names = -pieces.labels
    owner = np.zeros(pieces.count + 1, np.int64)
    owner[names.reshape(-1)] = found.reshape(-1)
    owner[0] = 0
    kept = loops.largest_pieces(pieces.labels.reshape(-1), owner, len(basins.owner) - 1, pieces.count)
    loops.regrow(found.reshape(-1), pieces.labels.reshape(-1), kept, frame.offsets, landing)
    flat[:] = found.reshape(-1)


def _weights(width: float) -> Floats:
    steps = np.arange(int(np.ceil(REACH * width)) + 1)
    found = np.exp(-0.5 * (steps / width) ** 2)
    return np.asarray(found / (2 * found.sum() - found[0]), np.float32)
