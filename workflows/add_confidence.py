"""Teach a model how good its results probably are (`expected_dice`, W_LOW_CONFIDENCE), on cases that tuned it.

    python workflows/add_confidence.py MODEL_FOLDER DATASET SPLIT.csv [--dry-run]

Looks at the cases that SPLIT.csv calls "val", as they are and spoiled in many ways, and writes what it learned into
the card; the weights stay as they are and the version rises by one step. `medseg train` does the same by itself.
"""

import csv
import sys
from pathlib import Path

import numpy as np

from medseg.io.dataset import find_pairs
from medseg.io.read import read_labels
from medseg.models.bundle import read_card, with_card
from medseg.models.card import ModelCard
from medseg.pipeline import load_model
from medseg.progress import Progress, finish
from medseg.semantic.calibrate import Limits, calibrate_steps
from medseg.semantic.prepare import prepared


def main(folder: Path, dataset: Path, split_file: Path, *words: str) -> int:
    """Rewrite the card of the model in `folder`."""
    card = read_card(folder)
    version = next_version(card)
    with split_file.open(newline="") as file:
        split = {row["id"]: row["split"] for row in csv.DictReader(file)}
    pairs = [case for case in find_pairs(dataset).cases if split.get(case.id) in ("train", "val")]
    there = [set(np.unique(read_labels(case.label).array).tolist()) for case in pairs]
    found = finish(
        calibrate_steps(
            load_model(str(folder), device="cpu").network,
            [prepared(case, card.input) for case in pairs if split[case.id] == "val"],
            card,
            card.postprocessing,
            always_there=[class_id for class_id in card.classes if all(class_id in own for own in there)],
            limits=Limits(seconds=float("inf")),
        ),
        show,
    )
    if found is None:
        sys.exit("the Dice of spoiled cases does not follow well enough, or there are too few cases")
    print(found.model_dump_json(indent=1))
    if "--dry-run" not in words:
        with_card(folder, version=version, confidence=found.model_dump())
    return 0


def next_version(card: ModelCard) -> str:
    """Return the version after that of a card."""
    *first, last = card.version.split(".")
    return ".".join([*first, str(int(last) + 1)])


def show(step: Progress) -> None:
    """Print a line now and then."""
    if step.done % 100 == 0:
        print(f"{step.phase}: {step.done} of {step.total}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(*(Path(word) for word in sys.argv[1:4]), *sys.argv[4:]))
