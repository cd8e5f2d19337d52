"""Count the false alarms and the hits of W_OUT_OF_DISTRIBUTION; no network runs.

    python workflows/check_warnings.py MODEL DATASET SPLIT.csv [OTHER_IMAGE ...]

Held-out cases of the model's own data should pass; the same cases spoilt, and images of another kind, should not.
Every other image is tried whole, and as twelve boxes of the size that the model was trained on, placed at random.
"""

import csv
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from medseg.io.dataset import find_pairs
from medseg.io.read import read
from medseg.likeness import learned, reasons_of_channel, reasons_unlike
from medseg.models.bundle import read_card
from medseg.models.card import ModelCard
from medseg.models.registry import find
from medseg.ops.appearance import Appearance, appearance
from medseg.ops.reorient import cropped, reoriented
from medseg.planning import read_case
from medseg.volume import Volume

BOXES = 12
FOLDS = 5


def main(model: str, dataset: Path, split_file: Path, others: Sequence[Path]) -> int:
    """Print a table in Markdown: what was tried, how often, how often warned of, and an example of the reason."""
    card = read_card(find(model))
    with split_file.open(newline="") as file:
        split = {row["id"]: row["split"] for row in csv.DictReader(file)}
    cases = [case for case in find_pairs(dataset).cases if case.id in split]
    print("| images | n | warned | usual reason, of those given first |\n| --- | --- | --- | --- |")
    for part in ("train", "val", "test"):
        tell(f"{part} cases as they are", card, [read_case(c) for c in cases if split[c.id] == part])
    looks = [appearance(turned(read_case(c), card)) for c in cases]
    print(
        f"| every case, against the looks of the other {FOLDS - 1} fifths | {len(looks)} | {crossed(card, looks)} |  |"
    )
    test = [turned(read_case(c), card) for c in cases if split[c.id] == "test"]
    for name, spoil in SPOILT.items():
        tell(f"test cases {name}", card, [spoil(volume) for volume in test])
    for path in others:
        whole = read(path)
        tell(f"{path.name}, whole", card, [whole])
        tell(f"{path.name}, boxes", card, boxes(turned(whole, card), card))
    return 0


def tell(name: str, card: ModelCard, volumes: Sequence[Volume]) -> None:
    """Print one line of the table."""
    found = [reasons_unlike(card, volume) for volume in volumes]
    said = [reasons[0] for reasons in found if reasons]
    # the usual reason, by its first words
    starts = [words[:18] for words in said]
    usual = next((words for words in said if words[:18] == max(starts, key=starts.count)), "")
    print(f"| {name} | {len(volumes)} | {len(said)} | {usual.split(':')[0].split(' (')[0]} |", flush=True)


def crossed(card: ModelCard, looks: Sequence[tuple[Appearance, ...]]) -> int:
    """Count the cases that are called unlike by ranges learned from the other folds."""
    order = np.random.default_rng(0).permutation(len(looks))
    warned = 0
    for fold in range(FOLDS):
        kept = [looks[k] for n, k in enumerate(order) if n % FOLDS != fold]
        usual = learned(kept, card.input.mirror_axes)
        tried = (looks[k] for n, k in enumerate(order) if n % FOLDS == fold)
        warned += sum(
            any(reasons_of_channel(look, range_, card.input) for look, range_ in zip(own, usual, strict=True))
            for own in tried
        )
    return warned


def turned(volume: Volume, card: ModelCard) -> Volume:
    """Return the scan in the model's orientation."""
    return reoriented(volume, card.input.orientation) if card.input.orientation else volume


def flipped(axis: int) -> Callable[[Volume], Volume]:
    """Turn the voxels round and leave the header as it is."""
    return lambda volume: replace(volume, array=np.flip(volume.numpy(), axis + 1))


def halved(axis: int) -> Callable[[Volume], Volume]:
    """Keep the first half of an axis."""

    def half(volume: Volume) -> Volume:
        shape = tuple(n // 2 if k == axis else n for k, n in enumerate(volume.grid.shape))
        return cropped(volume, (0,) * len(shape), shape)

    return half


def blanked(axis: int) -> Callable[[Volume], Volume]:
    """Set the second half of an axis to zero, as a broken transfer leaves it."""

    def blank(volume: Volume) -> Volume:
        array = np.moveaxis(volume.numpy().copy(), axis + 1, 0)
        array[len(array) // 2 :] = 0
        return replace(volume, array=np.moveaxis(array, 0, axis + 1))

    return blank


SPOILT: dict[str, Callable[[Volume], Volume]] = {
    "upside down, header unchanged": flipped(2),
    "front to back, header unchanged": flipped(1),
    "cut to half, left to right": halved(0),
    "cut to half, front to back": halved(1),
    "cut to half, head to feet": halved(2),
    "half blank, head to feet": blanked(2),
    "inverted (dark for bright)": lambda volume: replace(volume, array=volume.numpy().max() - volume.numpy()),
}


def boxes(volume: Volume, card: ModelCard) -> list[Volume]:
    """Return boxes of the middle extent of the training, in places that a fixed seed chooses."""
    known = card.fingerprint
    if known is None:
        return []
    grid, chance = volume.grid, np.random.default_rng(0)
    extent = (np.array(known.extent_low) + np.array(known.extent_high)) / 2
    size = np.clip(np.rint(extent / np.array(grid.spacing)).astype(int), 1, grid.shape)
    places = [tuple(int(chance.integers(0, n - s + 1)) for n, s in zip(grid.shape, size, strict=True))
              for _ in range(BOXES)]  # fmt: skip
    return [cropped(volume, place, tuple(int(s) for s in size)) for place in places]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), [Path(p) for p in sys.argv[4:]]))
