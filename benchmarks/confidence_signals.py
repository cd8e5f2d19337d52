"""Which number tells a good result from a bad one? Candidates on validation cases, clean and spoiled.

    python benchmarks/confidence_signals.py MODEL DATASET SPLIT.csv [--part val]

Each candidate gets a curve per structure; its figures are those of curves that had seen neither the case nor the way
in which it was spoiled. Held-out cases are not for this: what is chosen here is judged by benchmarks/confidence.py.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from scipy.special import softmax
from scipy.stats import spearmanr
from side_by_side import describe, set_threads

from medseg.confidence.learn import AS_IT_IS, Look, curves
from medseg.io.dataset import find_pairs
from medseg.learn.cases import Case
from medseg.nets.tiled import TileOptions, predict_maps
from medseg.ops.intensity import normalised
from medseg.ops.spoil import LEVELS, WAYS, spoiled
from medseg.pipeline import Model, load_model
from medseg.progress import finish
from medseg.semantic.loop import case_dice, classes_of
from medseg.semantic.prepare import prepared

Signals = dict[str, list[float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("dataset", type=Path)
    parser.add_argument("split", type=Path)
    parser.add_argument("--part", default="val")
    parser.add_argument("--backend", default="openvino")
    given = parser.parse_args()
    set_threads(1)
    torch.set_num_threads(1)
    describe(1, "torch", "scipy")
    model = load_model(given.model, device="cpu", backend=given.backend)
    with given.split.open(newline="") as file:
        own = {row["id"] for row in csv.DictReader(file) if row["split"] == given.part}
    cases = [prepared(case, model.card.input) for case in find_pairs(given.dataset).cases if case.id in own]
    looks: dict[str, list[Look]] = {}
    for case in cases:
        for way, level in [(AS_IT_IS, 0), *((way, level) for way in WAYS for level in LEVELS)]:
            for name, (values, dice) in signals_of(case, way, level, model).items():
                looks.setdefault(name, []).append(Look(case.name, way, tuple(-v for v in values), tuple(dice)))
    show(looks, model)


def signals_of(case: Case, way: str, level: int, model: Model) -> dict[str, tuple[list[float], list[float]]]:
    """Return each signal, higher for better, and the true Dice of each structure."""
    spec, image = model.card.input, np.asarray(case.image)
    if way != AS_IT_IS:
        rng = np.random.default_rng([level, *way.encode(), *case.name.encode()])
        image = normalised(spoiled(image, way, level, rng), **spec.normalisation.model_dump())
    maps = ask(model, image)
    labels = classes_of(maps, model.card)
    ids = sorted(model.card.classes)
    true = case_dice(labels, case.labels, model.card)
    dice = [true.get(c, np.nan) for c in ids]
    zoomed = classes_of(scaled(ask(model, scaled(image, 1.1, 3)), 1 / 1.1, 1), model.card)
    mirrored = np.flip(classes_of(ask(model, np.flip(image, 1)), model.card), 0)
    found = of_maps(maps)
    found |= {
        name: [case_dice(labels, other, model.card).get(c, 0.0) for c in ids]
        for name, other in (("agreement, made smaller by a tenth", zoomed), ("agreement, mirrored", mirrored))
    }
    return {name: (values, dice) for name, values in found.items()}


def ask(model: Model, image: np.ndarray) -> np.ndarray:
    options = TileOptions(patch=model.card.input.patch, n_out=len(model.card.classes) + 1)
    given = np.ascontiguousarray(image, dtype=np.float32)
    return finish(predict_maps(model.network, given, options=options, device=torch.device("cpu")))[0]


def scaled(image: np.ndarray, factor: float, order: int) -> np.ndarray:
    middle = (np.array(image.shape[1:]) - 1) / 2
    matrix = factor * np.eye(image.ndim - 1)
    offset = middle - matrix @ middle
    return np.stack([ndimage.affine_transform(c, matrix, offset, order=order, mode="nearest") for c in image])


def of_maps(maps: np.ndarray) -> Signals:
    """Return the signals that cost no further look, per structure."""
    shares, winner = softmax(maps, axis=0), maps.argmax(axis=0)
    entropy = -(shares * np.log(np.maximum(shares, 1e-12))).sum(axis=0)
    found: Signals = {}
    for k in range(1, len(maps)):
        own, p = winner == k, shares[k]
        n = max(1, int(own.sum()))
        shell = ndimage.binary_dilation(own) & ~ndimage.binary_erosion(own)
        of_shell = max(1, int(shell.sum()))
        rim = float((p * (1 - p)).sum())
        values = {
            "width of the rim": -rim / n ** (1 - 1 / (maps.ndim - 1)),
            "rim, per voxel": -rim / n,
            "Dice that the shares expect": 2 * float(p[own].sum()) / (n + float(p.sum())),
            "mean entropy inside": -float(entropy[own].sum()) / n,
            "mean entropy in the shell": -float(entropy[shell].sum()) / of_shell,
            "share above .9 in the shell": float((shares.max(axis=0)[shell] > 0.9).sum()) / of_shell,
            "share above .9 inside": float((p[own] > 0.9).sum()) / n,
            "mean logit inside": float(maps[k][own].sum()) / n,
            "number of parts": -float(ndimage.label(own)[1]),
            "volume": float(np.log(n)),
        }
        for name, value in values.items():
            found.setdefault(name, []).append(value if own.any() else np.nan)
    return found


def show(looks: dict[str, list[Look]], model: Model) -> None:
    """Print a line per signal."""
    ids = sorted(model.card.classes)
    heads = [*model.card.classes.values(), "per case", "AUC", "mean error", "per case, as they are"]
    print("| signal | " + " | ".join(heads) + " |\n|" + " --- |" * (len(heads) + 1))
    for name, own in looks.items():
        told = curves(own, ids)[1]
        ranks = [spearmanr([-a.widths[k] for a in own], [a.dice[k] for a in own], nan_policy="omit").statistic
                 for k in range(len(ids))]  # fmt: skip
        plain = [a for a in own if a.way == AS_IT_IS]
        least = [-max(a.widths) for a in plain]
        clean = spearmanr(least, [min(a.dice) for a in plain]).statistic if len(set(least)) > 1 else np.nan
        print(
            f"| {name} | {' | '.join(f'{rank:.2f}' for rank in ranks)} | {told['rank']:.2f} | {told['auc']:.3f} "
            f"| {told.get('mean_error', np.nan):.3f} | {clean:.2f} |"
        )


if __name__ == "__main__":
    main()
