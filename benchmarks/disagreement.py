"""Does disagreement tell a good result from a worse one? Rank correlation of agreement with the true Dice.

    python benchmarks/disagreement.py MODEL TRAINING_FOLDER [OTHER_MODEL ...]

TRAINING_FOLDER is what `medseg train` has left beside the model: its validation cases are asked about, each as it is
and changed a little; held-out cases are not touched. Agreement is the Dice between the two answers. Other models of the
same plan are asked too, where given, alone and averaged.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from scipy.stats import spearmanr
from side_by_side import describe, set_threads
from torch import nn

from medseg.learn.cases import Case, load_part
from medseg.learn.split import read_split
from medseg.nets.ensemble import Ensemble
from medseg.nets.tiled import TileOptions, predict_maps
from medseg.pipeline import load_model
from medseg.planning import Plan
from medseg.progress import finish
from medseg.semantic.loop import case_dice, classes_of, tile_options

Ask = Callable[[np.ndarray], np.ndarray]
View = Callable[[Ask, np.ndarray], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("folder", type=Path)
    parser.add_argument("others", nargs="*")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    set_threads(given.threads)
    describe(given.threads, "torch", "scipy")
    plan = Plan.model_validate_json((given.folder / "plan.json").read_text())
    cases = load_part(read_split(given.folder / "split.csv"), "val", given.folder / "cases")
    network, *others = (
        load_model(name, device="cpu", backend="torch").network for name in (given.model, *given.others)
    )
    asked = {name: (network, view) for name, view in VIEWS.items()}
    asked |= {f"model {name}": (other, VIEWS["as it is"]) for name, other in zip(given.others, others, strict=True)}
    if others:
        asked["all models, averaged"] = (Ensemble([network, *others]).eval(), VIEWS["as it is"])
    answers = {name: [answer(*how, case, plan) for case in cases] for name, how in asked.items()}
    show(answers, cases, plan)


def answer(network: nn.Module, view: View, case: Case, plan: Plan) -> np.ndarray:
    """Return the labels of a case, asked in some way."""
    tiles: TileOptions = tile_options(plan)

    def ask(image: np.ndarray) -> np.ndarray:
        given = np.ascontiguousarray(image, dtype=np.float32)
        return finish(predict_maps(network, given, options=tiles, device=torch.device("cpu")))[0]

    return classes_of(view(ask, np.asarray(case.image)), plan)


def show(answers: dict[str, list[np.ndarray]], cases: list[Case], plan: Plan) -> None:
    """Print the true Dice of each way to ask, and how well its agreement with the first tells the Dice of that."""
    plain = answers["as it is"]
    truth = table(plain, [case.labels for case in cases], plan)
    print(f"{len(cases)} validation cases; Dice {truth.min():.3f} to {truth.max():.3f}\n")
    names = [*plan.classes.values(), "per case"]
    print(f"{'asked':<34}{'Dice':>7}" + "".join(f"{name[:18]:>20}" for name in names) + f"{'middle 90 %':>18}")
    for name, own in answers.items():
        dice = np.nanmean(table(own, [case.labels for case in cases], plan))
        if own is plain:
            print(f"{name:<34}{dice:>7.4f}")
            continue
        agreed = table(own, plain, plan)
        ranks = [spearmanr(a, b).statistic for a, b in zip(agreed.T, truth.T, strict=True)]
        per_case = agreed.mean(axis=1), truth.mean(axis=1)
        low, high = bootstrapped(*per_case)
        ranks.append(spearmanr(*per_case).statistic)
        print(f"{name:<34}{dice:>7.4f}" + "".join(f"{r:>20.2f}" for r in ranks) + f"{low:>11.2f} to {high:.2f}")


def table(found: list[np.ndarray], wanted: list[np.ndarray], plan: Plan) -> np.ndarray:
    """Return Dice, a row per case and a column per class; 1 where both lack the class."""
    rows = (case_dice(a, b, plan) for a, b in zip(found, wanted, strict=True))
    return np.array([[row.get(class_id, 1.0) for class_id in plan.classes] for row in rows])


def bootstrapped(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Return the middle 90 % of the rank correlation over 1000 draws of cases."""
    rng = np.random.default_rng(0)
    draws = (rng.integers(0, len(a), len(a)) for _ in range(1000))
    low, high = np.nanpercentile([spearmanr(a[own], b[own]).statistic for own in draws], (5, 95))
    return float(low), float(high)


def warped(matrix: np.ndarray) -> View:
    """Return the view through a linear map about the middle, and back."""

    def through(image: np.ndarray, own: np.ndarray, order: int) -> np.ndarray:
        middle = (np.array(image.shape[1:]) - 1) / 2
        offset = middle - own @ middle
        return np.stack([ndimage.affine_transform(c, own, offset, order=order, mode="nearest") for c in image])

    return lambda ask, image: through(ask(through(image, matrix, 3)), np.linalg.inv(matrix), 1)


def turned(axis: int, degrees: float) -> View:
    first, second = (k for k in range(3) if k != axis)
    angle, matrix = np.deg2rad(degrees), np.eye(3)
    matrix[first, first] = matrix[second, second] = np.cos(angle)
    matrix[first, second], matrix[second, first] = -np.sin(angle), np.sin(angle)
    return warped(matrix)


def with_noise(ask: Ask, image: np.ndarray) -> np.ndarray:
    return ask(image + np.random.default_rng(0).normal(0.0, 0.25, image.shape))


VIEWS: dict[str, View] = {
    "as it is": lambda ask, image: ask(image),
    "mirrored": lambda ask, image: np.flip(ask(np.flip(image, 1)), 1),
    "turned by 8 degrees about axis 0": turned(0, 8.0),
    "turned by -8 degrees about axis 0": turned(0, -8.0),
    "turned by 8 degrees about axis 2": turned(2, 8.0),
    "turned by -8 degrees about axis 2": turned(2, -8.0),
    "larger by a tenth": warped(0.9 * np.eye(3)),
    "smaller by a tenth": warped(1.1 * np.eye(3)),
    "with noise": with_noise,
    "blurred": lambda ask, image: ask(np.stack([ndimage.gaussian_filter(c, 0.8) for c in image])),
}


if __name__ == "__main__":
    main()
