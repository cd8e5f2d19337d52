"""Teach a model what its training images looked like, so that it notices others (W_OUT_OF_DISTRIBUTION).

    python workflows/add_fingerprint.py MODEL_FOLDER DATASET SPLIT.csv

Reads the cases that SPLIT.csv calls "train" and writes the range of their looks into the model's card; the weights
stay as they are. `medseg train` does the same by itself: this is for models that were trained before.
"""

import csv
import sys
from pathlib import Path

from medseg.io.dataset import find_pairs
from medseg.likeness import learned
from medseg.models.bundle import read_card, with_card
from medseg.ops.appearance import appearance
from medseg.planning import read_case


def main(folder: Path, dataset: Path, split_file: Path) -> int:
    """Rewrite the card of the model in `folder`."""
    card = read_card(folder)
    if card.fingerprint is None:
        sys.exit(f"{card.name} has no fingerprint to add to")
    with split_file.open(newline="") as file:
        own = {row["id"] for row in csv.DictReader(file) if row["split"] == "train"}
    cases = [case for case in find_pairs(dataset).cases if case.id in own]
    looks = [appearance(read_case(case), card.input.orientation) for case in cases]
    found = learned(looks, card.input.mirror_axes)
    if not found:
        sys.exit(f"{len(cases)} training cases are too few")
    with_card(folder, fingerprint=card.fingerprint.model_copy(update={"appearance": found}).model_dump())
    print(f"{card.name}: looks of {len(cases)} training cases")
    for channel in found:
        print(f"  likeness {channel.layout_fit_low:.2f} at least, {channel.layout_fit_median:.2f} in the middle")
    return 0


if __name__ == "__main__":
    sys.exit(main(*(Path(word) for word in sys.argv[1:4])))
