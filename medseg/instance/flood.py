"""Compiled loops that flood a landscape from its summits down; imported only when they run.

A level is a height from the top: 0 is the summit and floods first. Voxels wait in one first-in-first-out queue per
level, kept as linked lists, so that pushing and popping take constant time and there is no heap. Arrays are flat and
padded. In `labels` a voxel of part c that no water has reached holds -c, a flooded one the number of its basin.

Basins start at every summit. Where the waters of two meet, the height of that saddle against the lower summit decides
whether they stay apart (the persistence of the summit) or become one: seeds and flooding are one pass.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from medseg.ops.compiled import compiled

LEVELS = 4096
_TOP = LEVELS - 1


@compiled()
def highest(squared: Any, labels: Any, start: int, stop: int, tops: Any) -> None:
    """Raise `tops` to the largest squared distance of each part."""
    for i in range(start, stop):
        part = -labels[i]
        if part > 0 and squared[i] > tops[part]:
            tops[part] = squared[i]


@compiled()
def levels_of_distances(squared: Any, labels: Any, tops: Any, start: int, stop: int, levels: Any) -> None:
    """Write each voxel's level: its distance as a share of the largest of its part."""
    for i in range(start, stop):
        part = -labels[i]
        if part > 0:
            levels[i] = int(_TOP - _TOP * np.sqrt(squared[i] / tops[part]) + 0.5)


@compiled()
def summits(levels: Any, labels: Any, offsets: Any, start: int, stop: int) -> Any:
    """Return the voxels from which no step leads up, and of a plateau only those that no earlier one leads to."""
    found = np.empty(1024, np.int32)
    n = 0
    half = offsets.size // 2
    for i in range(start, stop):
        part = labels[i]
        if part >= 0:
            continue
        here = levels[i]
        alone = True
        for k in range(half):
            j = i + offsets[k]
            if labels[j] == part and levels[j] <= here:
                alone = False
                break
        if not alone:
            continue
        for k in range(half, offsets.size):
            j = i + offsets[k]
            if labels[j] == part and levels[j] < here:
                alone = False
                break
        if alone:
            if n == found.size:
                larger = np.empty(2 * n, np.int32)
                larger[:n] = found
                found = larger
            found[n] = i
            n += 1
    return found[:n]


@compiled()
def find(parent: Any, basin: int) -> int:
    """Return the basin that a basin has become part of."""
    while parent[basin] != basin:
        parent[basin] = parent[parent[basin]]
        basin = parent[basin]
    return basin


@compiled()
def push(head: Any, tail: Any, links: Any, at: int, i: int) -> None:
    """Put a voxel at the end of the queue of a level."""
    links[i] = -1
    if head[at] < 0:
        head[at] = i
    else:
        links[tail[at]] = i
    tail[at] = i


@compiled()
def divide(  # noqa: PLR0913, C901
    levels: Any, labels: Any, links: Any, offsets: Any, seeds: Any, bounds: Any, start: int, stop: int,
    rule: Any, noise: Any, parent: Any, peak: Any, waist: Any, centre: Any, strides: Any,
) -> None:  # fmt: skip
    """Flood parts `start` to `stop` of `bounds` that have several seeds; basin k + 1 begins at seed k.

    Parameters
    ----------
    levels, labels, links : flat padded uint16, int32, int32 arrays
        `links` needs no content.
    offsets : (2 n,) int array
    seeds : (m,) int32 array
        Summits, by part, then level, then place.
    bounds : (parts + 1,) int array
        Where the seeds of each part begin.
    rule : (5,) float64 array
        Least depth as a share of the lower summit, least height of a summit, height of a saddle from which two are
        one, least distance of two centres; the fifth is not 0 where nothing may stay apart.
    noise : (parts,) float64 array
        Least depth of any part as a share of its height.
    parent, peak, waist : (m + 1,) arrays
        Written: what a basin became part of, its height, the deepest saddle inside it as a share of the lower summit.
    centre : (m + 1, 4) float64 array
        Sums of positions and the count of voxels, kept only where the least distance is not 0.
    strides : (5,) float64 array
        Voxels per plane and row, size of a voxel along z, y, x.
    """
    head = np.full(LEVELS, -1, np.int32)
    tail = np.full(LEVELS, -1, np.int32)
    measured = rule[3] > 0
    for part in range(start, stop):
        k, end = bounds[part], bounds[part + 1]
        if end - k == 1:  # one summit: the whole part is one object
            continue
        name = labels[seeds[k]]
        first, last = k + 1, end
        waiting = 0
        level = 0
        while waiting > 0 or k < end:
            if waiting == 0:
                level = levels[seeds[k]]
            i = head[level]
            if i < 0:  # this level is dry: the next summit at it, or the next level
                while k < end and levels[seeds[k]] == level:
                    s = seeds[k]
                    k += 1
                    if labels[s] == name:
                        labels[s] = k
                        parent[k] = k
                        peak[k] = 1.0 - level / _TOP
                        push(head, tail, links, level, s)
                        waiting += 1
                        if measured:
                            locate(centre, k, s, strides)
                        break
                if head[level] < 0:
                    level += 1
                continue
            head[level] = links[i]
            waiting -= 1
            own = labels[i]
            for o in range(offsets.size):
                j = i + offsets[o]
                other = labels[j]
                if other == name:
                    labels[j] = own
                    at = levels[j] if levels[j] > level else level
                    push(head, tail, links, at, j)
                    waiting += 1
                    if measured:
                        locate(centre, own, j, strides)
                elif other != own and first <= other <= last and levels[j] <= level:
                    meet(own, other, 1.0 - level / _TOP, rule, noise[part], parent, peak, waist, centre)


@compiled()
def locate(centre: Any, basin: int, i: int, strides: Any) -> None:
    """Count a voxel's position into a basin."""
    plane, width = int(strides[0]), int(strides[1])
    centre[basin, 0] += (i // plane) * strides[2]
    centre[basin, 1] += (i % plane // width) * strides[3]
    centre[basin, 2] += (i % width) * strides[4]
    centre[basin, 3] += 1.0


@compiled()
def meet(  # noqa: PLR0913
    a: int, b: int, saddle: float, rule: Any, noise: float, parent: Any, peak: Any, waist: Any, centre: Any
) -> None:
    """Make one basin of two where the saddle between them is no real parting."""
    a, b = find(parent, a), find(parent, b)
    if a == b:
        return
    if peak[b] > peak[a] or (peak[b] == peak[a] and b < a):
        a, b = b, a  # a is the higher, of equals the earlier
    depth = peak[b] - saddle
    one = depth < max(rule[0] * peak[b], noise) or peak[b] < rule[1] or saddle >= rule[2] or rule[4] != 0.0
    if not one and rule[3] > 0:
        apart = 0.0
        for axis in range(3):
            gap = centre[a, axis] / centre[a, 3] - centre[b, axis] / centre[b, 3]
            apart += gap * gap
        one = apart < rule[3] * rule[3]
    if one:
        parent[b] = a
        waist[a] = max(waist[a], waist[b], depth / peak[b] if peak[b] > 0 else 0.0)
        if rule[3] > 0:
            for axis in range(4):
                centre[a, axis] += centre[b, axis]


@compiled()
def sizes(labels: Any, parent: Any, only: Any, start: int, stop: int, count: Any) -> None:
    """Count the voxels of each basin; a part with one seed was not flooded and is its basin `only`."""
    for i in range(start, stop):
        v = labels[i]
        if v != 0:
            count[only[-v] if v < 0 else find(parent, v)] += 1


@compiled()
def roots(parent: Any, kept: Any) -> Any:
    """Return each basin's root, or 0 where that is not kept."""
    final = np.zeros(parent.size, np.int32)
    for basin in range(1, parent.size):
        root = find(parent, basin)
        final[basin] = root if kept[root] else 0
    return final


@compiled()
def renumber(labels: Any, margin: int, final: Any, only: Any, ids: Any, out: Any, first: int) -> int:
    """Write the objects, numbered from `first` + 1 by their first voxel; return the highest number.

    `final` holds for each basin its root, or 0 where it is left out; `ids` the numbers given, by root.
    """
    n = first
    nz, ny, nx = out.shape
    for z in range(nz):
        for y in range(ny):
            for x in range(nx):
                v = labels[z + margin, y + 1, x + 1]
                if v == 0:
                    continue
                root = final[only[-v] if v < 0 else v]
                if root == 0:
                    continue
                if ids[root] == 0:
                    n += 1
                    ids[root] = n
                out[z, y, x] = ids[root]
    return n


@compiled()
def flood_from(levels: Any, labels: Any, links: Any, offsets: Any, seeds: Any) -> None:
    """Flood unlabelled voxels (-1) from labelled ones, `seeds`; the lowest level first, of equals who came first."""
    head = np.full(1 << 16, -1, np.int32)
    tail = np.full(1 << 16, -1, np.int32)
    waiting = 0
    for s in seeds:
        push(head, tail, links, levels[s], s)
        waiting += 1
    level = 0
    while waiting > 0:
        i = head[level]
        if i < 0:
            level += 1
            continue
        head[level] = links[i]
        waiting -= 1
        for o in range(offsets.size):
            j = i + offsets[o]
            if labels[j] == -1:
                labels[j] = labels[i]
                at = levels[j]
                push(head, tail, links, at, j)
                waiting += 1
                level = min(level, at)
