"""What mirrored looks at the same tile agree on: averaged boxes and masks, and a score that falls with dissent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from medseg.detection.found import Found, Part, in_rank

SAME_BOX = 0.5
"""Least overlap (IoU) of boxes of different looks that are one object."""


@dataclass(slots=True)
class _Bundle:
    members: list[Found]
    looks: set[int] = field(default_factory=set)

    @property
    def box(self) -> tuple[np.ndarray, np.ndarray]:
        return self.members[0].start, self.members[0].stop


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
    bundles: list[_Bundle] = []
    home = {id(f): number for number, look in enumerate(looks) for f in look}
    for found in in_rank([f for look in looks for f in look]):
        best = max(
            (b for b in bundles if home[id(found)] not in b.looks and b.members[0].class_id == found.class_id),
            key=lambda b: _overlap(b, found),
            default=None,
        )
        if best is None or _overlap(best, found) < SAME_BOX:
            best = _Bundle([])
            bundles.append(best)
        best.members.append(found)
        best.looks.add(home[id(found)])
    fused = [_fused(b.members, len(looks)) for b in bundles]
    return in_rank([f for f in fused if f.score >= threshold])


def _overlap(bundle: _Bundle, found: Found) -> float:
    (start, stop), (own_start, own_stop) = bundle.box, (found.start, found.stop)
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
