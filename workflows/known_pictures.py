"""Pictures whose objects are known, with the maps that a model makes of them, kept so that much can be tried."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture: its kind, its maps on its own grid, the step of the working grid in that unit, its true objects."""

    name: str
    kind: str
    maps: Any
    step: float
    truth: Any


def chosen_names(split: Path, part: str, n_train: int, groups: dict[str, str]) -> list[str]:
    """Return the pictures to tune on: those of a part, and some training pictures, each from another group.

    Parameters
    ----------
    split : Path
        Table with columns ``id`` and ``split``.
    part : str
    n_train : int
    groups : dict
        Group of each picture; one without counts as a group of its own.
    """
    rows = rows_of(split)
    if part == "test":
        raise SystemExit("The part 'test' is kept for the score: nothing may be chosen on it. Nothing was tuned.")
    chosen = sorted(row["id"] for row in rows if row["split"] == part)
    if not chosen:
        raise SystemExit(f"{split} has no picture of part {part!r}. Nothing was tuned.")
    training = sorted(row["id"] for row in rows if row["split"] == "train" and part != "train")
    drawn = np.random.default_rng(0).permutation(training).tolist()
    one_each = {groups.get(name, name): name for name in reversed(drawn)}
    taken = [name for name in drawn if one_each[groups.get(name, name)] == name]
    return chosen + sorted(taken[:n_train])


class Cache:
    """Maps of pictures, made once by the network and kept in a folder."""

    def __init__(self, bundle: Any, dataset: Path, cache: Path) -> None:
        from medseg.io.dataset import find_pairs
        from medseg.learn.weights import load_network

        self._bundle, self._network = bundle, load_network(bundle)
        self._cache = cache / bundle.card.weights_sha256[:12]
        self._cases = {case.id: case for case in find_pairs(dataset).cases}
        table = dataset / "split.csv"
        self._kinds = {r["id"]: r.get("modality", "all") for r in rows_of(table)} if table.exists() else {}

    def pictures(self, names: Iterable[str], diameter: float, *, tta: bool) -> list[Picture]:
        """Return pictures whose maps were made at a working diameter."""
        from medseg.instance.segment import maps_on
        from medseg.io.read import read_labels
        from medseg.labels import Instances

        found = []
        for name in names:
            labels = read_labels(self._cases[name].label)
            maps = self._maps(name, diameter, tta)
            native = maps_on(maps, labels.grid)
            truth = Instances(labels.array, native.grid)
            found.append(Picture(name, self._kinds.get(name, "all"), native, min(maps.grid.spacing), truth))
        return found

    def _maps(self, name: str, diameter: float, tta: bool) -> Any:
        from medseg.io.read import read_labels
        from medseg.volume import Volume

        grid = read_labels(self._cases[name].label).grid
        kept = self._cache / f"{diameter:g}{'_tta' if tta else ''}" / f"{name}.npy"
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            np.save(kept, self._seen(name, diameter, tta), allow_pickle=False)
        array = np.load(kept, allow_pickle=False).astype(np.float32)
        working = grid if array.shape[1:] == grid.shape else grid.reshaped(array.shape[1:])
        return Volume(array, working, self._bundle.card.outputs)

    def _seen(self, name: str, diameter: float, tta: bool) -> Any:
        import torch

        from medseg.instance.predict import MapOptions, predict_maps_steps
        from medseg.planning import read_case
        from medseg.progress import finish

        card = self._bundle.card
        card = card.model_copy(update={"split": {**card.split, "diameter": diameter}})
        steps = predict_maps_steps(
            read_case(self._cases[name]), self._network, card, options=MapOptions(tta=tta), device=torch.device("cpu")
        )
        return finish(steps).numpy().astype(np.float16)


def groups_of(table: Path) -> dict[str, str]:
    """Return the group of each picture of a data set's own table, where there is one."""
    return {row["id"]: row["group"] for row in rows_of(table) if row.get("group")} if table.exists() else {}


def rows_of(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
