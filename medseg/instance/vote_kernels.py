"""Compiled loops in which the voxels of a part vote for the centre of their object; imported only when they run.

Arrays are in the padded layout of `medseg.instance.frame`; votes count within a part only, so that an object depends on
nothing outside its part and is the same in any tile.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from medseg.ops.compiled import compiled

_TOP = 4095
_FREE = -(1 << 31)


@compiled()
def land(labels: Any, ways: Any, margin: int, landing: Any) -> None:
    """Write where each voxel's way to the centre ends, as a flat index.

    Where the way leaves the part of the voxel, the last place of the part on the way back from the end counts.

    Parameters
    ----------
    labels : padded int32 array
        Minus the number of the part; 0 outside.
    ways : (3, nz, ny, nx) float32 array
        In voxels of each axis; finite.
    margin : int
    landing : flat padded int32 array
        Written where a part is.
    """
    nz, ny, nx = ways.shape[1:]
    _, height, width = labels.shape
    for z in range(nz):
        for y in range(ny):
            for x in range(nx):
                part = labels[z + margin, y + 1, x + 1]
                if part == 0:
                    continue
                dz, dy, dx = ways[0, z, y, x], ways[1, z, y, x], ways[2, z, y, x]
                n = max(1, int(np.rint(max(abs(dz), abs(dy), abs(dx)))))
                for k in range(n, -1, -1):
                    # the step is rounded, not the place: so it does not depend on where the tile begins
                    v, u, w = z + int(np.rint(dz * k / n)), y + int(np.rint(dy * k / n)), x + int(np.rint(dx * k / n))
                    if 0 <= v < nz and 0 <= u < ny and 0 <= w < nx and labels[v + margin, u + 1, w + 1] == part:
                        landing[((z + margin) * height + y + 1) * width + x + 1] = (
                            ((v + margin) * height + u + 1) * width + w + 1
                        )
                        break


@compiled()
def count(labels: Any, landing: Any, votes: Any) -> None:
    """Count how many voxels land on each voxel; all arrays are flat."""
    for i in range(labels.size):
        if labels[i] != 0:
            votes[landing[i]] += 1.0


@compiled()
def blur(labels: Any, votes: Any, weights: Any, axis: int, out: Any) -> None:
    """Smooth votes along an axis; only votes of a voxel's own part reach it.

    Parameters
    ----------
    labels, votes, out : padded arrays
        `out` is written where a part is.
    weights : (r + 1,) float32 array
        From the middle outwards.
    axis : int
    """
    shape = labels.shape
    for z in range(shape[0]):
        for y in range(shape[1]):
            for x in range(shape[2]):
                part = labels[z, y, x]
                if part == 0:
                    continue
                total = weights[0] * votes[z, y, x]
                place = z if axis == 0 else (y if axis == 1 else x)
                for k in range(1, weights.size):
                    for side in (-k, k):
                        if not 0 <= place + side < shape[axis]:
                            continue
                        v, u, w = z + side * (axis == 0), y + side * (axis == 1), x + side * (axis == 2)
                        if labels[v, u, w] == part:
                            total += weights[k] * votes[v, u, w]
                out[z, y, x] = total


@compiled()
def levels_of_votes(labels: Any, votes: Any, levels: Any) -> None:
    """Write each voxel's level: v votes are the height v / (1 + v); all arrays are flat."""
    for i in range(labels.size):
        if labels[i] != 0:
            levels[i] = int(_TOP / (1.0 + votes[i]) + 0.5)


@compiled()
def follow(basins: Any, landing: Any, found: Any) -> None:
    """Give each voxel of a part with several objects the object in whose basin its vote lands; all arrays are flat."""
    for i in range(basins.size):
        found[i] = basins[landing[i]] if basins[i] > 0 else basins[i]


@compiled()
def largest_pieces(pieces: Any, owner: Any, n_objects: int, n_pieces: int) -> Any:
    """Tell which pieces are the largest of their object, of equal ones the first.

    Parameters
    ----------
    pieces : flat int32 array
        Minus the number of the piece.
    owner : (n_pieces + 1,) int array
        Object of each piece.
    n_objects, n_pieces : int
    """
    size = np.zeros(n_pieces + 1, np.int64)
    for i in range(pieces.size):
        size[-pieces[i]] += 1
    best = np.zeros(n_objects + 1, np.int64)
    for piece in range(1, n_pieces + 1):
        own = owner[piece]
        if own > 0 and (best[own] == 0 or size[piece] > size[best[own]]):
            best[own] = piece
    kept = np.zeros(n_pieces + 1, np.bool_)
    for own in range(1, n_objects + 1):
        if best[own] > 0:
            kept[best[own]] = True
    return kept


@compiled()
def regrow(found: Any, pieces: Any, kept: Any, offsets: Any, queue: Any) -> None:
    """Take scattered pieces from their objects and let the neighbours grow into them, all at the same pace.

    Parameters
    ----------
    found : flat padded int32 array
        Objects above 0; changed.
    pieces : flat padded int32 array
        Minus the number of the piece.
    kept : bool array by piece
    offsets : (2 n,) int array
        Steps to the neighbours across a face.
    queue : flat int32 array
        Of the same size; needs no content.
    """
    for i in range(found.size):
        if found[i] > 0 and not kept[-pieces[i]]:
            found[i] = _FREE
    head = tail = 0
    for i in range(found.size):
        if found[i] > 0:
            for o in range(offsets.size):
                if found[i + offsets[o]] == _FREE:
                    queue[tail] = i
                    tail += 1
                    break
    while head < tail:
        i = queue[head]
        head += 1
        for o in range(offsets.size):
            j = i + offsets[o]
            if found[j] == _FREE:
                found[j] = found[i]
                queue[tail] = j
                tail += 1
