"""How often scores and flags of found objects are right, on pictures whose objects are known.

    python workflows/check_flags.py DATASET SPLIT.csv MODEL [--part val] [--also-train 35] [--cache FOLDER] [--fit]

An object is right when it matches a true one at IoU .5. It is merged when it holds more than half of two true objects
or more; it is a fragment (or dirt) when it is neither right nor merged. Prints how often each flag hits (precision),
how many of such objects carry it (recall) and how many there are (base rate), and how often objects of each score are
right. --fit prints the weights of the score fitted anew, and how reliable such weights are where each half of the
pictures is scored with weights fitted on the other half.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from known_pictures import Cache, Picture, chosen_names, groups_of

BINS = (0.0, 0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
FLAGS = ("likely_merged", "likely_fragment")
RIDGE = 1.0
ROUNDS = 30


@dataclass(frozen=True, eq=False)
class Judged:
    """Found objects of several pictures: what they are, what the doctor said; one row each.

    Parameters
    ----------
    right, merged, fragment : (n,) bool arrays
    score : (n,) array
    flags : dict of str to (n,) bool array
    signs : (n, k) array
        What the score is made of.
    picture : (n,) int array
    """

    right: Any
    merged: Any
    fragment: Any
    score: Any
    flags: dict[str, Any]
    signs: Any
    picture: Any


def main(arguments: list[str]) -> Judged:
    """Judge the objects of the chosen pictures and print the tables."""
    given = _parsed(arguments)
    from medseg.models.bundle import load_bundle
    from medseg.models.registry import find

    bundle = load_bundle(Path(given.model) if Path(given.model).is_dir() else find(given.model))
    names = chosen_names(given.split, given.part, given.also_train, groups_of(given.dataset / "split.csv"))
    cache = Cache(bundle, given.dataset, given.cache)
    pictures = cache.pictures(names, float(bundle.card.split.get("diameter", 32.0)), tta=False)
    found = judged(pictures, dict(bundle.card.split))
    print(f"{len(names)} pictures, {len(found.right)} objects, {found.right.mean():.1%} of them right\n")
    print_flags(found)
    print_reliability(found.right, {"score": found.score})
    if given.fit:
        print_fit(found)
    return found


def judged(pictures: list[Picture], numbers: dict[str, Any]) -> Judged:
    """Split the pictures by the card's numbers and compare the objects, as the doctor sees them, with the truth."""
    from medseg.instance.doctor import gather_evidence
    from medseg.instance.options import SplitOptions
    from medseg.instance.watershed import split_maps

    rows: list[tuple[Any, ...]] = []
    for number, picture in enumerate(pictures):
        grid = picture.maps.grid
        units = {"smoothing": picture.step, "min_distance": picture.step, "min_size": picture.step**grid.ndim}
        scaled = {k: v * units[k] if k in units else v for k, v in numbers.items() if k != "diameter"}
        found = split_maps(picture.maps, options=SplitOptions.from_dict(scaled))
        signs = gather_evidence(found, maps=picture.maps).signs
        for segment, sign, verdict in zip(found.segments, signs, verdicts(found, picture.truth), strict=True):
            rows.append((*verdict, segment.score, *(flag in segment.flags for flag in FLAGS), sign, number))
    right, merged, fragment, score, *flags, signs, picture = (np.array(column) for column in zip(*rows, strict=True))
    return Judged(right, merged, fragment, score, dict(zip(FLAGS, flags, strict=True)), signs, picture)


def verdicts(found: Any, truth: Any) -> list[tuple[bool, bool, bool]]:
    """Tell of each found object, in the order of the segments, whether it is right, merged, or a fragment or dirt."""
    from medseg.metrics.contingency import contingency, things
    from medseg.metrics.matching import match

    table = things(contingency(found, truth), found, truth)
    n = len(table.prediction_ids)
    right = np.zeros(n, bool)
    right[match(table, 0.5).rows] = True
    swallowed = table.rows[2 * table.shared > table.reference_voxels[table.columns]]
    merged = (np.bincount(swallowed, minlength=n) > 1) & ~right
    place = {int(i): k for k, i in enumerate(table.prediction_ids)}
    rows = [place[s.id] for s in found.segments]
    return [(bool(right[k]), bool(merged[k]), bool(not right[k] and not merged[k])) for k in rows]


def print_flags(found: Judged) -> None:
    """Print how often the flags are right."""
    print("| flag | objects with it | precision | recall | base rate |\n| --- | --: | --: | --: | --: |")
    wrong = ~found.right
    truths = {"likely_merged": found.merged, "likely_fragment": found.fragment}
    for name, flag in found.flags.items():
        print(f"| {name} | {int(flag.sum())} | {_rates(flag, truths[name])} |")
    any_flag = np.any(list(found.flags.values()), axis=0)
    print(f"| either, for any wrong object | {int(any_flag.sum())} | {_rates(any_flag, wrong)} |")
    low = found.score < 0.5
    print(f"| score below .5, for any wrong object | {int(low.sum())} | {_rates(low, wrong)} |")


def print_reliability(right: Any, scores: dict[str, Any]) -> None:
    """Print how many objects of each score are right; a calibrated score says so itself."""
    for name, score in scores.items():
        print(f"\n| {name} | objects | mean score | right |\n| --- | --: | --: | --: |")
        error = 0.0
        for low, high in pairwise(BINS):
            here = (score >= low) & ((score < high) | (high == 1.0))
            if here.any():
                error += here.mean() * abs(score[here].mean() - right[here].mean())
                print(
                    f"| {low:g} to {high:g} | {int(here.sum())} | {score[here].mean():.3f} | {right[here].mean():.3f} |"
                )
        ranked = _ranking(score, right)
        print(f"calibration error {error:.3f}; a wrong object has the lower score in {ranked:.1%} of pairs")


def print_fit(found: Judged) -> None:
    """Print weights fitted on all objects, and how reliable such weights are on pictures that did not fit them."""
    weights = fitted(found.signs, found.right)
    print(f"\nweights of the score: {', '.join(f'{w:.2f}' for w in weights)}")
    half = found.picture % 2 == 0
    score = np.zeros(len(found.right))
    for fit, use in ((half, ~half), (~half, half)):
        score[use] = chance(found.signs[use], fitted(found.signs[fit], found.right[fit]))
    print_reliability(found.right, {"fitted score": score})


def chance(signs: Any, weights: Any) -> Any:
    """Return the chance that an object is right by logistic regression."""
    return 1 / (1 + np.exp(-(weights[0] + signs @ weights[1:])))


def fitted(signs: Any, right: Any) -> Any:
    """Return the constant and the weights of a ridge logistic regression, by Newton's method."""
    rows = np.column_stack([np.ones(len(signs)), signs])
    weights = np.zeros(rows.shape[1])
    penalty = RIDGE * np.eye(len(weights))
    penalty[0, 0] = 0.0
    for _ in range(ROUNDS):
        p = 1 / (1 + np.exp(-rows @ weights))
        slope = rows.T @ (right - p) - penalty @ weights
        weights = weights + np.linalg.solve(rows.T @ (rows * (p * (1 - p))[:, None]) + penalty, slope)
    return weights


def _rates(flag: Any, truth: Any) -> str:
    hits = (flag & truth).sum()
    return f"{hits / max(1, flag.sum()):.2f} | {hits / max(1, truth.sum()):.2f} | {truth.mean():.3f}"


def _ranking(score: Any, right: Any) -> float:
    """Return the share of pairs of a right and a wrong object in which the right one has the higher score."""
    from scipy.stats import rankdata

    n_right, n_wrong = int(right.sum()), int((~right).sum())
    if not n_right or not n_wrong:
        return float("nan")
    return float((rankdata(score)[right].sum() - n_right * (n_right + 1) / 2) / (n_right * n_wrong))


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("split", type=Path)
    parser.add_argument("model")
    parser.add_argument("--part", default="val")
    parser.add_argument("--also-train", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=Path("tune_splitting_cache"))
    parser.add_argument("--fit", action="store_true")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
