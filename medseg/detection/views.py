"""What mirrored looks at the same tile agree on: averaged boxes and masks, and a score that falls with dissent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medseg.detection.found import Found, Part, in_rank
from medseg.detection.near import earlier, sharing_pairs

SAME_BOX = 0.5
"""Least overlap (IoU) of boxes of different looks that are one object."""


def agreed(looks: Sequence[Sequence[Found]], *, threshold: float) -> list[Found]:
    """Return the objects of several looks at one tile, best first (after weighted boxes fusion, Solovyev et al. 2021).

    Parameters
    ----------
    looks : sequence of sequences of Found
        Turned back already; each object has one part, all grids have one size.
    threshold : float
        Least score; a look that does not know the object counts as 0.
    """
    if len(looks) == 1:
        return list(looks[0])
    home = {id(f): number for number, look in enumerate(looks) for f in look}
    ranked = in_rank([f for look in looks for f in look])
    if not ranked:
        return []
    starts, stops = np.array([f.start for f in ranked]), np.array([f.stop for f in ranked])
    bundles: dict[int, list[Found]] = {}
    for place, near in enumerate(earlier(sharing_pairs(starts, stops), len(ranked))):
        found = ranked[place]
        leader = _best_of([i for i in near.tolist() if i in bundles and _fits(found, bundles[i], home)], ranked, found)
        bundles.setdefault(place if leader is None else leader, []).append(found)
    fused = [_fused(members, len(looks)) for members in bundles.values()]
    return in_rank([f for f in fused if f.score >= threshold])


def _fits(found: Found, members: list[Found], home: dict[int, int]) -> bool:
    """Tell whether an object may join others: of their class, and none of them from its own look."""
    return members[0].class_id == found.class_id and all(home[id(m)] != home[id(found)] for m in members)


def _best_of(leaders: list[int], ranked: Sequence[Found], found: Found) -> int | None:
    """Return which of the objects that lead others has most in common with one; None where that is not enough."""
    best = max(leaders, key=lambda i: _overlap(ranked[i], found), default=None)
    return None if best is None or _overlap(ranked[best], found) < SAME_BOX else best


def _overlap(one: Found, two: Found) -> float:
    (start, stop), (own_start, own_stop) = (one.start, one.stop), (two.start, two.stop)
    shared = float(np.prod(np.clip(np.minimum(stop, own_stop) - np.maximum(start, own_start), 0, None)))
    both = float(np.prod(stop - start) + np.prod(own_stop - own_start))
    return shared / max(both - shared, 1e-9)


def _fused(members: list[Found], n_looks: int) -> Found:
    weights = np.array([m.score for m in members])
    shares = weights / weights.sum()
    parts = [m.parts[0] for m in members]
    start, stop, grid = (
        np.tensordot(shares, np.stack([getattr(p, name) for p in parts]), axes=1) for name in ("start", "stop", "grid")
    )
    return Found((Part(start, stop, grid.astype(np.float32)),), members[0].class_id, float(weights.sum() / n_looks))
