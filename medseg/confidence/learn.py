"""Learn from looks at validation cases, as they are and spoiled, how the Dice follows from the width of the rim."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from scipy.stats import rankdata, spearmanr

from medseg.confidence.expect import POWER, lower_bound
from medseg.models.card import Confidence, Reliability

SHARE = 0.9
LEAST_LOOKS = 60
LEAST_CASES = 5
LEAST_OF_A_WAY = 20
"""From fewer looks a way of spoiling has no bound of its own."""
LIMIT_BELOW = 0.1
"""A result this much below the median of the cases as they are is worth a look."""
LEAST_RANK = 0.5
LEAST_AUC = 0.8
"""Below these, on ways of spoiling that were left out, the number would mislead: no confidence is learned."""
AS_IT_IS = ""
MOST_WIDENING = 1000.0
"""Where a bound must allow for more, it says nothing: the network is sure of itself where it is wrong."""
_FOLDS = 3
_RIDGE = 1.0

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Look:
    """What became of one case when it was looked at in one way.

    Parameters
    ----------
    case : str
    way : str
        How it was spoiled; empty as it is.
    widths : tuple of float
        Of the rim, per structure; not a number where it was not found.
    dice : tuple of float
        The true one; not a number where the structure is neither there nor found.
    """

    case: str
    way: str
    widths: tuple[float, ...]
    dice: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Told:
    """What is said of each look by curves that had seen neither its case nor its way."""

    dice: Floats
    low: Floats


def learned(looks: Sequence[Look], class_ids: Sequence[int], always_there: Collection[int]) -> Confidence | None:
    """Return what the Dice of a result may be expected to be; None where that cannot be learned well enough.

    Parameters
    ----------
    looks : sequence of Look
    class_ids : sequence of int
        In the order of the looks' structures.
    always_there : collection of int
        Ids of the structures that every image of the training has.
    """
    if sum(look.way != AS_IT_IS for look in looks) < LEAST_LOOKS // 2:
        return None
    structures, measured = curves(looks, class_ids, always_there)
    if measured["rank"] < LEAST_RANK or measured["auc"] < LEAST_AUC:
        return None
    return Confidence(
        structures=structures,
        share=SHARE,
        n_cases=len({look.case for look in looks}),
        n_looks=len(looks),
        ways=tuple(sorted({look.way for look in looks} - {AS_IT_IS})),
        measured={name: round(value, 4) for name, value in measured.items()},
    )


def curves(
    looks: Sequence[Look], class_ids: Sequence[int], always_there: Collection[int] = ()
) -> tuple[dict[int, Reliability], dict[str, float]]:
    """Return the curve of each structure that has one, and how well the curves tell what they had not seen.

    Per look the least number of its structures is compared with the least true Dice: ``rank`` correlation, ``auc`` for
    "some structure is below its limit", ``mean_error``, the share whose bound ``held``, the share that was ``bad``.
    """
    cases, ways = np.array([look.case for look in looks]), np.array([look.way for look in looks])
    structures: dict[int, Reliability] = {}
    told, truth = np.full((2, len(looks), len(class_ids)), np.nan)
    low = told.copy()
    for k, class_id in enumerate(class_ids):
        width, dice = (np.array([getattr(look, name)[k] for look in looks], float) for name in ("widths", "dice"))
        use = np.isfinite(width) & np.isfinite(dice)
        found = _of_structure(width[use], dice[use], cases[use], ways[use], always_there=class_id in always_there)
        if found is not None:
            structures[class_id] = found[0]
            told[use, k], low[use, k], truth[use, k] = found[1].dice, found[1].low, dice[use]
    limits = np.array([structures[c].limit if c in structures else np.nan for c in class_ids])
    return structures, _measured(told, low, truth, limits)


def _of_structure(
    width: Floats, dice: Floats, cases: npt.NDArray[np.str_], ways: npt.NDArray[np.str_], *, always_there: bool
) -> tuple[Reliability, _Told] | None:
    plain = dice[ways == AS_IT_IS]
    if len(dice) < LEAST_LOOKS or len(set(cases)) < LEAST_CASES or not len(plain) or np.ptp(width) == 0:
        return None
    intercept, slope = _fitted(width, dice)
    if not slope < 0 or max(abs(intercept), -slope / 20) > 50:
        return None
    told = np.empty(len(dice))
    for own, rest in _left_out(cases, ways):
        a, b = _fitted(width[rest], dice[rest])
        told[own] = expit(a + min(b, 0.0) * width[own])
    ratio = (told - dice) / np.maximum(1.0 - told, 1e-3) ** POWER
    low = np.empty(len(dice))
    for way in set(ways):  # the bound, too, is judged by ways that it did not see
        own = ways == way
        others = ~own if way != AS_IT_IS else np.ones(len(ways), dtype=bool)
        low[own] = lower_bound(told[own], _widening(ratio[others], ways[others]))
    widening = _widening(ratio, ways)
    if widening > MOST_WIDENING:
        return None
    curve = Reliability(
        intercept=round(intercept, 5),
        slope=round(slope, 5),
        widening=round(widening, 4),
        limit=round(max(0.0, float(np.median(plain)) - LIMIT_BELOW), 3),
        always_there=always_there,
    )
    return curve, _Told(told, low)


def _left_out(cases: npt.NDArray[np.str_], ways: npt.NDArray[np.str_]) -> Iterator[tuple[Mask, Mask]]:
    """Yield looks, and those that share neither case nor way of spoiling with them."""
    fold_of = {case: k % _FOLDS for k, case in enumerate(sorted(set(cases)))}
    folds = np.array([fold_of[case] for case in cases])
    for way in sorted(set(ways)):
        for fold in range(_FOLDS):
            own = (ways == way) & (folds == fold)
            # images as they are belong to every learning: to leave them out would tell of nothing
            others = (folds != fold) & ((ways != way) | (way == AS_IT_IS))
            if own.any():
                yield own, others if others.any() else ~own


def _fitted(width: Floats, dice: Floats) -> tuple[float, float]:
    """Return intercept and slope of the logistic curve through shares (Newton's method)."""
    centre, scale = float(width.mean()), float(width.std()) or 1.0
    table = np.stack([np.ones_like(width), (width - centre) / scale], axis=1)
    ridge = np.diag([0.0, _RIDGE])
    found = np.zeros(2)
    for _ in range(50):
        share = expit(table @ found)
        curvature = (table.T * (share * (1 - share) + 1e-6)) @ table + ridge
        step = np.linalg.solve(curvature, table.T @ (dice - share) - ridge @ found)
        found += np.clip(step, -5, 5)
        if np.abs(step).max() < 1e-9:
            break
    slope = float(found[1]) / scale
    return float(found[0]) - slope * centre, slope


def _widening(ratio: Floats, ways: npt.NDArray[np.str_]) -> float:
    """Return what the bound must allow so that it holds in each way of spoiling by itself (split conformal)."""
    groups = [ratio[ways == way] for way in set(ways)]
    groups = [ratio, *(own for own in groups if len(own) >= LEAST_OF_A_WAY)]
    return max(0.0, *(_quantile(own) for own in groups))


def _quantile(values: Floats) -> float:
    rank = min(len(values), math.ceil((len(values) + 1) * SHARE))
    return float(np.sort(values)[rank - 1])


def _measured(told: Floats, low: Floats, truth: Floats, limits: Floats) -> dict[str, float]:
    """Return how well the least number of each look tells its least Dice."""
    known = np.isfinite(told).any(axis=1)
    nothing = {"rank": 0.0, "auc": 0.0}
    if not known.any():
        return nothing
    told, low, truth = told[known], low[known], truth[known]
    least_told, least_truth = np.nanmin(told, axis=1), np.nanmin(truth, axis=1)
    bad: Mask = np.asarray((truth < limits).any(axis=1))
    if np.ptp(least_told) == 0 or np.ptp(least_truth) == 0 or bad.all() or not bad.any():
        return nothing
    return {
        "rank": float(spearmanr(least_told, least_truth).statistic),
        "auc": area_under_curve(bad, -np.nanmin(told - limits, axis=1)),
        "mean_error": float(np.abs(least_told - least_truth).mean()),
        "held": float((least_truth >= np.nanmin(low, axis=1)).mean()),
        "bad": float(bad.mean()),
    }


def area_under_curve(bad: Mask, alarm: Floats) -> float:
    """Return how probably a bad one has a louder alarm than a good one; not a number where one kind is missing.

    Examples
    --------
    >>> area_under_curve(np.array([True, False, False]), np.array([0.9, 0.1, 0.2]))
    1.0
    """
    n_bad = int(bad.sum())
    n_good = len(bad) - n_bad
    if not n_bad or not n_good:
        return math.nan
    return float((rankdata(alarm)[bad].sum() - n_bad * (n_bad + 1) / 2) / (n_bad * n_good))
