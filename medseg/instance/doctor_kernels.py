"""Compiled loop of `medseg.instance.doctor`; imported only when it runs."""

from __future__ import annotations

from typing import Any

from medseg.ops.compiled import compiled


@compiled()
def inspect_voxels(rank: Any, inside: Any, counts: Any, sums: Any) -> None:
    """Count each object's voxels and those at the edge of the image, and sum the foreground probability.

    Parameters
    ----------
    rank : (nz, ny, nx) int32 array
        Objects 1 to n; 0 is background.
    inside : (nz, ny, nx) float32 array, or of shape (0, 0, 0)
        Probability of an object.
    counts, sums : (n + 1, 4) int64 and (n + 1, 2) float64 arrays
        Columns 0 and 3 and column 0 are added to.
    """
    nz, ny, nx = rank.shape
    for z in range(nz):
        for y in range(ny):
            at_edge = (nz > 1 and (z == 0 or z == nz - 1)) or (ny > 1 and (y == 0 or y == ny - 1))
            for x in range(nx):
                a = rank[z, y, x]
                if a == 0:
                    continue
                counts[a, 0] += 1
                if inside.size > 0:
                    sums[a, 0] += inside[z, y, x]
                if at_edge or (nx > 1 and (x == 0 or x == nx - 1)):
                    counts[a, 3] += 1


@compiled()
def inspect_faces(rank: Any, cut: Any, counts: Any, sums: Any) -> None:
    """Count each object's faces against others (column 1) and background (2), and sum the larger `cut` at the former.

    Parameters are those of `inspect_voxels`; `cut` is the evidence that an outline runs through a voxel.
    """
    nz, ny, nx = rank.shape
    for z in range(nz):
        for y in range(ny):
            for x in range(nx):
                a = rank[z, y, x]
                for axis in range(3):
                    v, u, w = z + (axis == 0), y + (axis == 1), x + (axis == 2)
                    if v == nz or u == ny or w == nx or rank[v, u, w] == a:
                        continue
                    b = rank[v, u, w]
                    which = 1 if a != 0 and b != 0 else 2
                    counts[a, which] += 1
                    counts[b, which] += 1
                    if which == 1 and cut.size > 0:
                        here = max(cut[z, y, x], cut[v, u, w])
                        sums[a, 1] += here
                        sums[b, 1] += here


@compiled()
def inspect_ways(rank: Any, moves: Any, sums: Any) -> None:
    """Sum where the ways of each object's voxels end (columns 0 to 2) and the squares of that (3 to 5), in voxels.

    Parameters
    ----------
    rank : (nz, ny, nx) int32 array
        Objects 1 to n; 0 is background.
    moves : (3, nz, ny, nx) float32 array
        In voxels of each axis.
    sums : (n + 1, 6) float64 array
        Added to.
    """
    nz, ny, nx = rank.shape
    for z in range(nz):
        for y in range(ny):
            for x in range(nx):
                a = rank[z, y, x]
                if a == 0:
                    continue
                ends = (z + moves[0, z, y, x], y + moves[1, z, y, x], x + moves[2, z, y, x])
                for axis in range(3):
                    sums[a, axis] += ends[axis]
                    sums[a, 3 + axis] += ends[axis] * ends[axis]
