"""Compiled loops that judge the summits of a landscape and flood it from them; imported only when they run.

A level is a height counted from the top: 0 is the summit and floods first. Voxels wait in one first-in-first-out queue
per level, kept as linked lists, so that pushing and popping take constant time and there is no heap. Arrays are flat
and padded. In `labels` a voxel of part c that nobody has reached holds -c, a reached one the number of its object.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from medseg.ops.compiled import compiled

LEVELS = 4096
IS_OBJECT, IS_NONE, IS_TWIN = 1, 2, 3
_TOP = LEVELS - 1
_SEEN = -(1 << 31)


@compiled()
def highest(squared: Any, labels: Any, tops: Any) -> None:
    """Raise `tops` to the largest squared distance of each part."""
    for i in range(labels.size):
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
        for k in range(offsets.size):
            j = i + offsets[k]
            if labels[j] == part and (levels[j] < here or (k < half and levels[j] == here)):
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
def push(head: Any, tail: Any, links: Any, at: int, i: int) -> None:
    """Put a voxel at the end of the queue of a level."""
    links[i] = -1
    if head[at] < 0:
        head[at] = i
    else:
        links[tail[at]] = i
    tail[at] = i


@compiled()
def judge(  # noqa: PLR0913
    levels: Any, labels: Any, links: Any, offsets: Any, places: Any, bounds: Any, names: Any, start: int, stop: int,
    rule: Any, noise: Any, verdict: Any, waist: Any, plateau: Any, width: Any,
) -> None:  # fmt: skip
    """Decide which summits of parts `start` to `stop` are objects.

    Parameters
    ----------
    levels, labels, links : flat padded uint16, int32, int32 arrays
        `links` needs no content; `labels` holds k + 1 at summit k, before and after.
    offsets : (2 n,) int array
    places : (m,) int32 array
        Voxels of the summits, by part, then level, then place.
    bounds, names : (parts + 1,), (parts,) int arrays
        Where the summits of each part begin; what unreached voxels of the part hold.
    rule : (4,) float64 array
        Least depth as a share of the summit's height, least height, height of a saddle from which two are one, and
        not 0 where nothing may stay apart.
    noise : (parts,) float64 array
        Least depth in any case, as a share of the part's height.
    verdict : (m,) uint8 array
        Written: an object, none, or a twin (on the plateau of an earlier summit).
    waist : (m,) float64 array
        Written where the verdict is none and the saddle to higher ground deeper than noise: its depth as a share of
        the summit's height.
    plateau, width : (m, 3) float64 array, (2,) int array
        Written: mean (z, y, x) of the summit's plateau; voxels per padded plane and row.
    """
    head = np.full(LEVELS, -1, np.int32)
    tail = np.full(LEVELS, -1, np.int32)
    seen = np.empty((1024, 2), np.int32)
    ground = np.empty(2, np.float64)
    for part in range(start, stop):
        first, last = bounds[part], bounds[part + 1]
        for k in range(first, last):
            if verdict[k] == IS_TWIN:
                continue
            height = 1.0 - levels[places[k]] / _TOP
            need = max(rule[0] * height, noise[part])
            ground[0] = height - need  # a saddle above this is too shallow
            ground[1] = rule[2]
            if rule[3] != 0.0:
                ground[0] = -1.0
            if k == first:  # the highest of its part: only its plateau is looked at
                ground[0] = ground[1] = 2.0
            water, n, seen = search(
                levels,
                labels,
                links,
                offsets,
                places[k],
                k,
                first,
                last,
                names[part],
                ground,
                verdict,
                head,
                tail,
                seen,
            )
            restore(levels, labels, seen, n, head, plateau[k], width)
            verdict[k] = IS_OBJECT if water < 0 and height >= rule[1] else IS_NONE
            depth = height - (1.0 - water / _TOP)
            if water >= 0 and depth > 0.0 and depth >= noise[part]:
                waist[k] = depth / height


@compiled()
def restore(levels: Any, labels: Any, seen: Any, n: int, head: Any, plateau: Any, width: Any) -> None:
    """Put back what seen voxels held, empty their queues, write the mean place of those as high as the first."""
    flat = 0
    for v in range(n):
        i = seen[v, 0]
        labels[i] = seen[v, 1]
        head[levels[i]] = -1
        if levels[i] == levels[seen[0, 0]]:
            plateau[0] += i // width[0]
            plateau[1] += i % width[0] // width[1]
            plateau[2] += i % width[1]
            flat += 1
    for axis in range(3):
        plateau[axis] /= flat


@compiled()
def search(  # noqa: PLR0913, C901
    levels: Any, labels: Any, links: Any, offsets: Any, place: int, own: int, first: int, last: int, name: int,
    ground: Any, verdict: Any, head: Any, tail: Any, seen: Any,
) -> Any:  # fmt: skip
    """Look for higher ground from a summit, the highest ground first, until the way there is too deep.

    Returns
    -------
    (int, int, array)
        Level of the saddle to higher ground, -1 where there is none within reach; how many voxels were seen; which
        (they hold a mark, and what they held before stands in the second column). Summits of the same plateau are
        marked as twins. Of equal summits one that is an object already counts as higher.
    """
    top = levels[place]
    seen[0, 0], seen[0, 1] = place, labels[place]
    labels[place] = _SEEN
    push(head, tail, links, top, place)
    n, waiting = 1, 1
    level = water = int(top)
    while waiting > 0:
        i = head[level]
        if i < 0:
            level += 1
            if level > water:
                water = level
                height = 1.0 - water / _TOP
                if height <= ground[0] and height < ground[1]:
                    return -1, n, seen
            continue
        head[level] = links[i]
        waiting -= 1
        for o in range(offsets.size):
            j = i + offsets[o]
            v = labels[j]
            if v != name and not first < v <= last:
                continue
            at = levels[j]
            if at < top:
                return water, n, seen
            if v > 0 and at == top:
                if water == top:
                    verdict[v - 1] = IS_TWIN
                elif verdict[v - 1] == IS_OBJECT:
                    return water, n, seen
            if n == len(seen):
                larger = np.empty((2 * n, 2), np.int32)
                larger[:n] = seen
                seen = larger
            seen[n, 0], seen[n, 1] = j, v
            n += 1
            labels[j] = _SEEN
            push(head, tail, links, at, j)
            waiting += 1
            level = min(level, int(at))
    return -1, n, seen


@compiled()
def flood(  # noqa: PLR0913
    levels: Any, labels: Any, links: Any, offsets: Any, seeds: Any, bounds: Any, names: Any, start: int, stop: int
) -> None:
    """Flood parts `start` to `stop` from their seeds, which hold their object's number; the lowest level first.

    Water does not fall: a hollow fills at the level that it is entered at. Of equal levels who came first goes first.
    A part with a single seed is left as it is: all of it is one object.
    """
    head = np.full(LEVELS, -1, np.int32)
    tail = np.full(LEVELS, -1, np.int32)
    for part in range(start, stop):
        if bounds[part + 1] - bounds[part] < 2:
            continue
        name = names[part]
        waiting = 0
        for k in range(bounds[part], bounds[part + 1]):
            push(head, tail, links, levels[seeds[k]], seeds[k])
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
                if labels[j] == name:
                    labels[j] = labels[i]
                    push(head, tail, links, max(level, int(levels[j])), j)
                    waiting += 1


@compiled()
def sizes(labels: Any, only: Any, count: Any) -> None:
    """Count the voxels of each object; `only` is the object of a part that was not flooded."""
    for i in range(labels.size):
        v = labels[i]
        if v != 0:
            count[v if v > 0 else only[-v]] += 1


@compiled()
def renumber(labels: Any, margin: int, only: Any, kept: Any, ids: Any, out: Any, first: int) -> int:
    """Write the kept objects, numbered from `first` + 1 by their first voxel; return the highest number.

    `ids` takes the numbers given, by object.
    """
    n = first
    nz, ny, nx = out.shape
    for z in range(nz):
        for y in range(ny):
            for x in range(nx):
                v = labels[z + margin, y + 1, x + 1]
                if v == 0:
                    continue
                v = v if v > 0 else only[-v]
                if not kept[v]:
                    continue
                if ids[v] == 0:
                    n += 1
                    ids[v] = n
                out[z, y, x] = ids[v]
    return n
