"""Compiled loops that find connected parts of equal class in a padded frame; imported only when they run.

While parts are joined, a voxel holds the flat index of an earlier voxel of its part, or its own: the label array is
its own union-find forest. The root is the part's first voxel, so parts are numbered by their first voxel.
"""

from __future__ import annotations

from typing import Any

from medseg.ops.compiled import compiled


@compiled()
def root(forest: Any, i: int) -> int:
    """Return the first voxel of the tree of voxel `i`, shortening the way for the next who asks."""
    while forest[i] != i:
        forest[i] = forest[forest[i]]
        i = forest[i]
    return i


@compiled()
def join(forest: Any, i: int, j: int) -> None:
    """Make one tree of those of `i` and `j`."""
    i, j = root(forest, i), root(forest, j)
    if i < j:
        forest[j] = i
    elif j < i:
        forest[i] = j


@compiled()
def grow(classes: Any, start: int, stop: int, margin: int, full: bool, forest: Any) -> None:
    """Join voxels of equal class within planes `start` to `stop`; `full` counts edges and corners as contact."""
    _, ny, nx = classes.shape
    width = nx + 2
    plane = (ny + 2) * width
    for z in range(start, stop):
        for y in range(ny):
            base = (z + margin) * plane + (y + 1) * width + 1
            for x in range(nx):
                c = classes[z, y, x]
                if c == 0:
                    continue
                i = base + x
                left = x > 0 and classes[z, y, x - 1] == c
                forest[i] = forest[i - 1] if left else i
                if y > 0 and classes[z, y - 1, x] == c and not (left and classes[z, y - 1, x - 1] == c):
                    join(forest, i, i - width)
                if z > start and classes[z - 1, y, x] == c and not (left and classes[z - 1, y, x - 1] == c):
                    join(forest, i, i - plane)
                if full:
                    corners(classes, z, y, x, start, i, forest)


@compiled()
def corners(classes: Any, z: int, y: int, x: int, start: int, i: int, forest: Any) -> None:
    """Join a voxel to the earlier ones that it touches along an edge or at a corner."""
    _, ny, nx = classes.shape
    width = nx + 2
    plane = (ny + 2) * width
    c = classes[z, y, x]
    for dz in range(-1 if z > start else 0, 1):
        for dy in range(-1 if y > 0 else 0, 2 if dz < 0 and y < ny - 1 else 1):
            last = 2 if dz < 0 or dy < 0 else 0
            for dx in range(-1, last):
                if 0 <= x + dx < nx and dz * dz + dy * dy + dx * dx > 1 and classes[z + dz, y + dy, x + dx] == c:
                    join(forest, i, i + dz * plane + dy * width + dx)


@compiled()
def seam(classes: Any, z: int, margin: int, full: bool, forest: Any) -> None:
    """Join plane `z` with the plane before it."""
    _, ny, nx = classes.shape
    width = nx + 2
    plane = (ny + 2) * width
    reach = 1 if full else 0
    for y in range(ny):
        for x in range(nx):
            c = classes[z, y, x]
            if c == 0:
                continue
            i = (z + margin) * plane + (y + 1) * width + 1 + x
            for dy in range(-reach, reach + 1):
                for dx in range(-reach, reach + 1):
                    v, u = y + dy, x + dx
                    if 0 <= v < ny and 0 <= u < nx and classes[z - 1, v, u] == c:
                        join(forest, i, i - plane + dy * width + dx)


@compiled()
def number(forest: Any) -> int:
    """Replace each voxel's index by minus the number of its part; return how many parts there are."""
    n = 0
    for i in range(forest.size):
        parent = forest[i]
        if parent == i and i > 0:
            n += 1
            forest[i] = -n
        elif parent > 0:
            forest[i] = forest[parent]  # an earlier voxel, so it has its number already
    return n


@compiled()
def describe(classes: Any, labels: Any, margin: int, n: int, low: Any, high: Any, kind: Any) -> None:
    """Write the box (stop exclusive) and the class of every part, at its number."""
    nz, ny, nx = classes.shape
    for part in range(n + 1):
        for axis in range(3):
            low[part, axis] = 1 << 30
            high[part, axis] = 0
    for z in range(nz):
        for y in range(ny):
            x = 0
            while x < nx:
                part = -labels[z + margin, y + 1, x + 1]
                if part == 0:
                    x += 1
                    continue
                first = x
                while x < nx and labels[z + margin, y + 1, x + 1] == -part:
                    x += 1
                kind[part] = classes[z, y, first]
                low[part, 0] = min(low[part, 0], z)
                low[part, 1] = min(low[part, 1], y)
                low[part, 2] = min(low[part, 2], first)
                high[part, 0] = max(high[part, 0], z + 1)
                high[part, 1] = max(high[part, 1], y + 1)
                high[part, 2] = max(high[part, 2], x)


@compiled()
def in_order(flat: Any, ids: Any) -> int:
    """Renumber objects from 1 by their first voxel; `ids` takes the new numbers, by old one."""
    n = 0
    for i in range(flat.size):
        v = flat[i]
        if v == 0:
            continue
        if ids[v] == 0:
            n += 1
            ids[v] = n
        flat[i] = ids[v]
    return n
