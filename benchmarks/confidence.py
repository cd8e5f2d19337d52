"""Does the expected Dice tell good results from bad ones? Judged on cases and ways of spoiling that it never saw.

    python benchmarks/confidence.py MODEL DATASET SPLIT.csv [--part test] [--rows ROWS.csv]

Every case of the part is segmented as it is, spoiled in the ways of the calibration, and in others. What is said of a
case is the least number of its structures; it is compared with the least true Dice.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr
from side_by_side import describe, set_threads
from unseen_ways import LEVELS, UNSEEN, turned

from medseg.confidence.expect import expectations, low_notice
from medseg.confidence.learn import area_under_curve
from medseg.io.dataset import CasePaths, find_pairs
from medseg.io.read import read_labels
from medseg.labels import LabelMap
from medseg.learn.preprocess import to_working
from medseg.likeness import reasons_unlike
from medseg.nets.tiled import TileOptions, predict_maps
from medseg.ops.reorient import reoriented
from medseg.ops.resample import resampled_labels
from medseg.ops.rim import Rims
from medseg.ops.spoil import WAYS, spoiled
from medseg.pipeline import Model, load_model
from medseg.planning import read_case
from medseg.progress import finish
from medseg.semantic.loop import case_dice, classes_of
from medseg.volume import Volume

BAD = 0.8
WORST = 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("dataset", type=Path)
    parser.add_argument("split", type=Path)
    parser.add_argument("--part", default="test")
    parser.add_argument("--rows", type=Path)
    parser.add_argument("--backend", default="openvino")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    set_threads(given.threads)
    torch.set_num_threads(given.threads)
    describe(given.threads, "torch", "scipy")
    model = load_model(given.model, device="cpu", backend=given.backend)
    with given.split.open(newline="") as file:
        own = {row["id"] for row in csv.DictReader(file) if row["split"] == given.part}
    cases = [case for case in find_pairs(given.dataset).cases if case.id in own]
    table = pd.DataFrame([row for case in cases for row in rows_of(case, model)])
    if given.rows:
        table.to_csv(given.rows, index=False)
    show(table, model)


def rows_of(case: CasePaths, model: Model) -> Iterator[dict[str, object]]:
    """Yield what is said of a case, and what is true, for each way to spoil it."""
    volume, labels = read_case(case), read_labels(case.label)
    image = volume.numpy().astype(np.float32)
    yield {"case": case.id, "group": "as it is", "way": "as it is", "level": 0, **judged(volume, labels, model)}
    for group, ways in (("ways it knows", [*WAYS]), ("ways it never saw", [*UNSEEN, "turned"])):
        for way in ways:
            for level in LEVELS:
                rng = np.random.default_rng([level, *way.encode(), *case.id.encode()])
                truth = labels
                if way == "turned":
                    worse, moved = turned(image, np.asarray(labels.array), level, rng)
                    truth = replace(labels, array=moved)
                else:
                    worse = spoiled(image, way, level, rng) if way in WAYS else UNSEEN[way](image, level, rng)
                scan = replace(volume, array=np.ascontiguousarray(worse, dtype=np.float32))
                yield {"case": case.id, "group": group, "way": way, "level": level, **judged(scan, truth, model)}


def judged(volume: Volume, labels: LabelMap, model: Model) -> dict[str, object]:
    """Return the expected and the true Dice of each structure, and what is warned of."""
    card = model.card
    assert card.confidence is not None
    working, _ = to_working(volume, card.input)
    turned_labels = reoriented(labels, card.input.orientation) if card.input.orientation else labels
    truth = resampled_labels(turned_labels, working.grid).array
    options = TileOptions(patch=card.input.patch, n_out=len(card.classes) + 1)
    maps, _ = finish(predict_maps(model.network, working.numpy(), options=options, device=torch.device("cpu")))
    rims = Rims(options.n_out)
    rims.add(maps)
    found = expectations(card, rims.result())
    row: dict[str, object] = {
        "unlike": bool(reasons_unlike(card, volume)),
        "low": low_notice(card.confidence, card.classes, found) is not None,
    }
    dice = case_dice(classes_of(maps, card), truth, card)
    for own in found:
        row |= {f"told_{own.class_id}": own.dice, f"bound_{own.class_id}": own.low}
    return row | {f"dice_{class_id}": value for class_id, value in dice.items()}


def show(table: pd.DataFrame, model: Model) -> None:
    """Print the figures of each group, and of each way."""
    classes = {c: name for c, name in model.card.classes.items() if f"told_{c}" in table}
    for what in ("told", "bound", "dice"):
        table[f"{what}_least"] = table[[f"{what}_{c}" for c in classes]].min(axis=1)
    heads = ["scans", "n", "Dice (least)", "bad", *(f"rank, {name}" for name in classes.values()), "rank, case"]
    heads += ["90 % interval", "mean error", "AUC", "bound holds", "bad in worst fifth", "bad told", "good told"]
    heads += ["bad unlike", "good unlike"]
    print("| " + " | ".join(heads) + " |\n|" + " --- |" * len(heads))
    groups = dict(list(table.groupby("group", sort=False)))
    groups |= {f"{name}: {way}": rows for (name, way), rows in table.groupby(["group", "way"], sort=False)}
    groups["all of them"] = table
    for name, rows in groups.items():
        print(f"| {name} | " + " | ".join(figures(rows, list(classes))) + " |")


def figures(rows: pd.DataFrame, classes: list[int]) -> list[str]:
    truth, told = rows["dice_least"].to_numpy(), rows["told_least"].to_numpy()
    bad = truth < BAD
    worst = told <= np.quantile(told, WORST)
    ranks = [spearmanr(rows[f"told_{c}"], rows[f"dice_{c}"], nan_policy="omit").statistic for c in classes]
    low, high = bootstrapped(rows)
    return [
        str(len(rows)),
        f"{truth.min():.2f} to {truth.max():.2f}",
        str(int(bad.sum())),
        *(f"{rank:.2f}" for rank in [*ranks, spearmanr(told, truth).statistic]),
        f"{low:.2f} to {high:.2f}",
        f"{np.abs(told - truth).mean():.3f}",
        f"{area_under_curve(bad, -told):.3f}",
        f"{100 * (truth >= rows['bound_least']).mean():.0f} %",
        share(worst, bad),
        share(rows["low"].to_numpy(), bad),
        share(rows["low"].to_numpy(), ~bad),
        share(rows["unlike"].to_numpy(), bad),
        share(rows["unlike"].to_numpy(), ~bad),
    ]


def share(marked: np.ndarray, among: np.ndarray) -> str:
    return f"{int((marked & among).sum())} of {int(among.sum())}"


def bootstrapped(rows: pd.DataFrame) -> tuple[float, float]:
    """Return the middle 90 % of the rank correlation per case over 1000 draws of cases, with all that is of them."""
    rng = np.random.default_rng(0)
    of_case = [own[["told_least", "dice_least"]].to_numpy() for _, own in rows.groupby("case")]
    found = []
    for _ in range(1000):
        drawn = np.concatenate([of_case[k] for k in rng.integers(0, len(of_case), len(of_case))])
        if np.ptp(drawn, axis=0).all():
            found.append(spearmanr(drawn[:, 0], drawn[:, 1]).statistic)
    low, high = np.nanpercentile(found, (5, 95))
    return float(low), float(high)


if __name__ == "__main__":
    main()
