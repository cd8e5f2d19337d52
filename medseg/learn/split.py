"""Which cases train, which tune, which are kept for the score: a given split, groups, or a fixed seed."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medseg.errors import UsageError

if TYPE_CHECKING:
    from medseg.io.dataset import Dataset


Fold = tuple[int, int]
"""The k-th of n folds, counted from 1."""


def make_split(
    dataset: Dataset, *, held_out: float, validation: float, seed: int, fold: Fold | None = None
) -> dict[str, str]:
    """Return ``train``, ``val`` or ``test`` for each case id.

    A split that the data set brings is obeyed. Otherwise whole groups (single cases where there are none) are drawn by
    `seed` from the sorted ids, so the same data always split the same way.

    Parameters
    ----------
    dataset : Dataset
    held_out, validation : float
        Shares of the groups for the score and for tuning; at least one case trains and one tunes.
    seed : int
    fold : (k, n), optional
        Tune on the k-th of n parts of all cases that are not kept for the score; each tunes in one fold.

    Raises
    ------
    UsageError
        If fewer than two cases are there, the given split has no training or no tuning case, or there are more folds
        than groups.
    """
    ids = [case.id for case in dataset.cases]
    split = {i: dataset.split[i] for i in ids if i in dataset.split}
    if fold is not None:
        split = split or _draw(ids, dataset.groups, held_out, validation, seed)
        split = _folded(split, dataset, fold, seed)
    elif not split:
        split = _draw(ids, dataset.groups, held_out, validation, seed)
    elif "val" not in split.values():
        inner = _draw([i for i in ids if split.get(i) == "train"], dataset.groups, 0.0, validation, seed)
        split |= inner
    if not {"train", "val"} <= set(split.values()):
        raise UsageError(
            "E_USAGE",
            path=dataset.root,
            found=f"{len(ids)} cases that leave none to train or none to tune on",
            expected="at least one of each",
            not_done="no training was started",
            remedy="Add cases, or correct split.csv (id, split = train, val or test).",
        )
    return split


def write_split(split: dict[str, str], path: Path) -> None:
    """Write the split as a table of id and split."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "split"])
        rows.writerows(sorted(split.items()))


def read_split(path: Path) -> dict[str, str]:
    """Read back the table that `write_split` has written."""
    with path.open(newline="") as file:
        return {row["id"]: row["split"] for row in csv.DictReader(file)}


def check_fold(kept: Mapping[str, str], made: Mapping[str, str], fold: Fold, path: Path) -> None:
    """Refuse to go on with a training by another fold: the card would tell of tuning cases that were trained on.

    Parameters
    ----------
    kept, made : mappings of case id
        The split of the training, and that of `fold`.
    fold : (k, n)
    path : Path
        Where the split is kept.

    Raises
    ------
    UsageError
    """
    if kept == made:
        return
    raise UsageError(
        "E_USAGE",
        path=path,
        found="--resume with --fold {}/{}, and a training with other cases to tune on".format(*fold),
        expected="the fold, the seed and the cases that the training began with",
        not_done="the training did not go on",
        remedy="Leave out --fold: the training keeps its own. For another fold choose another model folder.",
    )


def _folded(split: dict[str, str], dataset: Dataset, fold: Fold, seed: int) -> dict[str, str]:
    pool = [i for i, part in split.items() if part != "test"]
    group_of = {i: dataset.groups.get(i, i) for i in pool}
    names = sorted(set(group_of.values()))
    number, of = fold
    if not (1 <= number <= of and 2 <= of <= len(names)):
        raise UsageError(
            "E_USAGE",
            path=dataset.root,
            found=f"--fold {number}/{of} of {len(names)} cases or groups",
            expected=f"a fold from 1/N to N/N, with N from 2 to {len(names)}",
            not_done="no training was started",
            remedy="Correct --fold.",
        )
    order = [names[k] for k in np.random.default_rng(seed).permutation(len(names))]
    tuning = set(order[number - 1 :: of])
    own = {i: "val" if group_of[i] in tuning else "train" for i in pool}
    return {**split, **own}


def _draw(ids: list[str], groups: dict[str, str], held_out: float, validation: float, seed: int) -> dict[str, str]:
    group_of = {i: groups.get(i, i) for i in ids}
    names = sorted(set(group_of.values()))
    order = [names[k] for k in np.random.default_rng(seed).permutation(len(names))]
    n_test = round(held_out * len(order))
    n_val = min(max(1, round(validation * len(order))), max(0, len(order) - n_test - 1))
    part = dict.fromkeys(order[:n_test], "test")
    part |= dict.fromkeys(order[n_test : n_test + n_val], "val")
    return {i: part.get(group_of[i], "train") for i in ids}
