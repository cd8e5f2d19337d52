"""Folds: every case tunes once, groups stay together, what is kept for the score stays kept."""

from dataclasses import replace
from pathlib import Path

import pytest

from medseg.errors import UsageError
from medseg.io.dataset import CasePaths, Dataset
from medseg.learn.split import make_split, read_split, write_split


def dataset(split=None, groups=None):
    cases = tuple(CasePaths(f"c{i:02}", (Path(f"c{i:02}.nii"),), Path(f"l{i:02}.nii")) for i in range(11))
    return Dataset(Path("data"), cases, split=split or {}, groups=groups or {})


def folds(data, n, seed=3):
    return [make_split(data, held_out=0.2, validation=0.1, seed=seed, fold=(k, n)) for k in range(1, n + 1)]


GIVEN = {f"c{i:02}": "test" if i < 3 else "val" if i < 5 else "train" for i in range(11)}


@pytest.mark.parametrize("split", [None, GIVEN], ids=["drawn", "given"])
def test_each_case_tunes_in_one_fold_and_trains_in_the_others(split):
    found = folds(dataset(split), 4)
    kept = {i for i, part in found[0].items() if part == "test"}
    assert kept == ({f"c{i:02}" for i in range(3)} if split else kept)
    assert len(kept) in (2, 3)
    for case in found[0]:
        parts = sorted(own[case] for own in found)
        assert parts == (["test"] * 4 if case in kept else ["train"] * 3 + ["val"])


def test_groups_are_never_parted_and_sizes_differ_by_one_group():
    groups = {f"c{i:02}": str(i // 2) for i in range(11)}
    for own in folds(replace(dataset(groups=groups), split=dict.fromkeys(groups, "train")), 3):
        assert all(own[f"c{2 * g:02}"] == own[f"c{2 * g + 1:02}"] for g in range(5))
        assert len({groups[i] for i, part in own.items() if part == "val"}) == 2


@pytest.mark.parametrize("fold", [(0, 5), (6, 5), (1, 1), (1, 100)])
def test_a_fold_that_cannot_be_is_refused(fold):
    with pytest.raises(UsageError, match="--fold"):
        make_split(dataset(), held_out=0.2, validation=0.1, seed=0, fold=fold)


def test_a_split_is_read_back_as_it_was_written(tmp_path):
    write_split(GIVEN, tmp_path / "split.csv")
    assert read_split(tmp_path / "split.csv") == GIVEN
