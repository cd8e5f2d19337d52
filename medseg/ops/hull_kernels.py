"""Compiled convex outlines, hulls and longest lines of many small objects; imported only when they run.

Coordinates are voxel indices, so which side of a plane a point lies on is told without rounding, and flat or straight
stretches need no tolerance. Objects of up to some ten thousand voxels a side stay within 64 bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from medseg.ops.compiled import compiled

ABSENT = np.iinfo(np.int64).max
_HAIR = 1e-9


@compiled()
def lines(numbers: Any, place: Any, first: Any, start: Any, rows: Any, low: Any, high: Any) -> None:
    """Write the lowest and highest column of each line of each object; line 0 of place r stands at ``first[r]``."""
    for i in range(numbers.shape[0]):
        for j in range(numbers.shape[1]):
            for k in range(numbers.shape[2]):
                r = place[numbers[i, j, k]]
                if r > 0:
                    at = first[r] + (i - start[r, 0]) * rows[r] + j - start[r, 1]
                    low[at] = min(low[at], k)
                    high[at] = max(high[at], k)


@compiled()
def corners(low: Any, high: Any, depth: int, rows: int, stack: Any, points: Any) -> int:
    """Write the corners of the convex outline of each plane of an object; return how many there are."""
    n = 0
    for i in range(depth):
        for side in (0, 1):
            ends = low if side == 0 else high
            sign = 1 if side == 0 else -1
            top = 0
            for j in range(rows):
                value = ends[i * rows + j]
                if abs(value) == ABSENT:
                    continue
                while top > 1:
                    a, b = stack[top - 2], stack[top - 1]
                    va, vb = ends[i * rows + a], ends[i * rows + b]
                    if sign * ((vb - va) * (j - a) - (value - va) * (b - a)) < 0:
                        break
                    top -= 1
                stack[top] = j
                top += 1
            for t in range(top):
                points[n, 0] = i
                points[n, 1] = stack[t]
                points[n, 2] = ends[i * rows + stack[t]]
                n += 1
    return n


@compiled()
def _plane(points: Any, a: int, b: int, c: int, plane: Any) -> None:
    """Write the normal of a triangle and its offset: positive on the side from which a, b, c run anticlockwise."""
    ux, uy, uz = points[b, 0] - points[a, 0], points[b, 1] - points[a, 1], points[b, 2] - points[a, 2]
    vx, vy, vz = points[c, 0] - points[a, 0], points[c, 1] - points[a, 1], points[c, 2] - points[a, 2]
    plane[0] = uy * vz - uz * vy
    plane[1] = uz * vx - ux * vz
    plane[2] = ux * vy - uy * vx
    plane[3] = plane[0] * points[a, 0] + plane[1] * points[a, 1] + plane[2] * points[a, 2]


@compiled()
def _above(plane: Any, points: Any, p: int) -> int:
    return plane[0] * points[p, 0] + plane[1] * points[p, 1] + plane[2] * points[p, 2] - plane[3]


@compiled()
def _four(points: Any, n: int, found: Any, plane: Any) -> bool:
    """Find four points that do not lie in a plane; False where there are none."""
    found[0] = 0
    level = 0
    for p in range(1, n):
        if level == 0:
            if points[p, 0] != points[0, 0] or points[p, 1] != points[0, 1] or points[p, 2] != points[0, 2]:
                found[1] = p
                level = 1
        elif level == 1:
            _plane(points, found[0], found[1], p, plane)
            if plane[0] != 0 or plane[1] != 0 or plane[2] != 0:
                found[2] = p
                level = 2
        elif _above(plane, points, p) != 0:
            found[3] = p
            return True
    return False


@compiled()
def facets(points: Any, n: int, triangles: Any, planes: Any, seen: Any) -> int:
    """Write the triangles of the convex hull with their planes, outside positive; 0 where all points lie in a plane.

    Parameters
    ----------
    points : (m, 3) int64 array
        The first `n` count.
    triangles, planes, seen : (2 n + 8, 3), (2 n + 8, 4), (2 n + 8,) int64 arrays
    """
    four = np.empty(4, np.int64)
    if not _four(points, n, four, planes[0]):
        return 0
    a, b, c, d = four
    if _above(planes[0], points, d) > 0:
        b, c = c, b
    count = 0
    for u, v, w in ((a, b, c), (a, d, b), (b, d, c), (c, d, a)):
        triangles[count, 0], triangles[count, 1], triangles[count, 2] = u, v, w
        _plane(points, u, v, w, planes[count])
        count += 1
    edges = np.empty((3 * len(seen), 2), np.int64)
    stride = max(1, int(0.618 * n))
    while np.gcd(stride, n) != 1:
        stride += 1
    p = 0
    for _ in range(n):  # in an order that jumps about: few triangles are made in vain
        p = (p + stride) % n
        hit = 0
        for t in range(count):
            if _above(planes[t], points, p) > 0:
                seen[hit] = t
                hit += 1
        if hit:
            count = _grown(points, p, triangles, planes, seen, hit, count, edges)
    return count


@compiled()
def _grown(points: Any, p: int, triangles: Any, planes: Any, seen: Any, hit: int, count: int, edges: Any) -> int:
    """Replace the triangles that a point sees by those from it to their rim."""
    n = 0
    for s in range(hit):
        for side in range(3):
            edges[n, 0] = triangles[seen[s], side]
            edges[n, 1] = triangles[seen[s], (side + 1) % 3]
            n += 1
    for s in range(hit - 1, -1, -1):  # from the last: what takes its place is none of those seen
        count -= 1
        triangles[seen[s]] = triangles[count]
        planes[seen[s]] = planes[count]
    for e in range(n):
        rim = True
        for f in range(n):
            if edges[f, 0] == edges[e, 1] and edges[f, 1] == edges[e, 0]:
                rim = False
                break
        if rim:
            triangles[count, 0], triangles[count, 1], triangles[count, 2] = edges[e, 0], edges[e, 1], p
            _plane(points, edges[e, 0], edges[e, 1], p, planes[count])
            count += 1
    return count


@compiled()
def _over(points: Any, triangle: Any, i: int, j: int) -> bool:
    """Tell whether the line through (i, j) along the last axis meets a triangle, its edges included."""
    left, right = False, False
    for side in range(3):
        a, b = triangle[side], triangle[(side + 1) % 3]
        turn = (points[b, 0] - points[a, 0]) * (j - points[a, 1]) - (points[b, 1] - points[a, 1]) * (i - points[a, 0])
        left |= turn < 0
        right |= turn > 0
    return not (left and right)


@compiled()
def held(points: Any, triangles: Any, planes: Any, count: int, least: Any, most: Any) -> int:
    """Return how many whole-number points lie in the hull: each triangle ends the lines along the last axis it meets.

    `least` and `most` are (depth, rows) float64 arrays that need no content.
    """
    least[:] = np.inf
    most[:] = -np.inf
    for t in range(count):
        slope = planes[t, 2]
        if slope == 0:
            continue
        a, b, c = triangles[t]
        for i in range(
            min(points[a, 0], points[b, 0], points[c, 0]), max(points[a, 0], points[b, 0], points[c, 0]) + 1
        ):
            for j in range(
                min(points[a, 1], points[b, 1], points[c, 1]), max(points[a, 1], points[b, 1], points[c, 1]) + 1
            ):
                if _over(points, triangles[t], i, j):
                    end = (planes[t, 3] - planes[t, 0] * i - planes[t, 1] * j) / slope
                    if slope > 0:
                        most[i, j] = end
                    else:
                        least[i, j] = end
    total = 0
    for i in range(most.shape[0]):
        for j in range(most.shape[1]):
            if most[i, j] + _HAIR >= least[i, j]:
                total += max(0, int(np.floor(most[i, j] + _HAIR) - np.ceil(least[i, j] - _HAIR)) + 1)
    return total


@compiled()
def hulls(first: Any, depth: Any, rows: Any, low: Any, high: Any) -> Any:
    """Return how many voxels have their centre in the convex hull of each object; 0 for objects in a plane."""
    n = len(depth)
    out = np.zeros(n, np.int64)
    for r in range(n):
        begin, end = first[r], first[r + 1]
        points = np.empty((2 * (end - begin), 3), np.int64)
        stack = np.empty(rows[r], np.int64)
        found = corners(low[begin:end], high[begin:end], depth[r], rows[r], stack, points)
        room = 2 * found + 8
        triangles, planes = np.empty((room, 3), np.int64), np.empty((room, 4), np.int64)
        count = facets(points, found, triangles, planes, np.empty(room, np.int64))
        if count > 0:
            least, most = np.empty((depth[r], rows[r])), np.empty((depth[r], rows[r]))
            out[r] = held(points, triangles, planes, count, least, most)
    return out


@compiled()
def _square(world: Any, p: int, q: int) -> float:
    square = 0.0
    for w in range(world.shape[1]):
        gap = world[p, w] - world[q, w]
        square += gap * gap
    return square


@compiled()
def _farthest(world: Any) -> float:
    """Return the largest distance between two points, looking first at those that lie farthest out."""
    n = len(world)
    out = np.zeros(n)
    for w in range(world.shape[1]):
        middle = 0.5 * (world[:, w].min() + world[:, w].max())
        for p in range(n):
            out[p] += (world[p, w] - middle) ** 2
    order = np.argsort(-out)
    out = np.sqrt(out) * (1.0 + 1e-9)  # a bound must not lose a pair to rounding
    best = 0.0
    for a in range(n):
        p = order[a]
        if 2.0 * out[p] <= np.sqrt(best):
            break
        for b in range(a + 1, n):
            q = order[b]
            if out[p] + out[q] <= np.sqrt(best):
                break
            best = max(best, _square(world, p, q))
    return np.sqrt(best)


@compiled()
def diameters(first: Any, depth: Any, rows: Any, low: Any, high: Any, columns: Any, within: bool, most: int) -> Any:
    """Return the largest distance between two voxel centres of each object; NaN for more than `most` corners.

    Parameters
    ----------
    first, depth, rows, low, high : arrays
        As `lines` writes them.
    columns : (3, w) float64 array
        World vector of one step along plane, line and column.
    within : bool
        Only pairs of one plane count.
    """
    n = len(depth)
    out = np.zeros(n)
    for r in range(n):
        begin, end = first[r], first[r + 1]
        points = np.empty((2 * (end - begin), 3), np.int64)
        found = corners(low[begin:end], high[begin:end], depth[r], rows[r], np.empty(rows[r], np.int64), points)
        if found > most:
            out[r] = np.nan
            continue
        world = np.zeros((found, columns.shape[1]))
        for p in range(found):
            for axis in range(3):
                for w in range(columns.shape[1]):
                    world[p, w] += points[p, axis] * columns[axis, w]
        if not within:
            out[r] = _farthest(world)
            continue
        best = 0.0
        for p in range(found):
            for q in range(p + 1, found):
                if points[p, 0] != points[q, 0]:
                    break  # corners come plane by plane
                best = max(best, _square(world, p, q))
        out[r] = np.sqrt(best)
    return out
