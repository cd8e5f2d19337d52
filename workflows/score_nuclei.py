"""Count the images that were kept for the score, one kind of picture at a time, and compare with their references.

    python workflows/score_nuclei.py DATASET SPLIT.csv MODEL OUT [medseg count's options]

DATASET/split.csv names the kind of each picture in its column ``modality``; SPLIT.csv is the one in the training folder
and says which images are ``test``. Prints the table of `medseg evaluate` for each kind; reports lie in OUT/KIND.json.
"""

import csv
import shutil
import subprocess
import sys
from pathlib import Path

from medseg.io.dataset import find_pairs


def main(dataset: Path, split_file: Path, model: str, out: Path, *options: str) -> int:
    """Copy the held-out pairs to ``out/KIND``, count and evaluate them; returns the largest exit code."""
    kinds = {row["id"]: row["modality"] for row in _rows(dataset / "split.csv")}
    held_out = {row["id"] for row in _rows(split_file) if row["split"] == "test"}
    for case in find_pairs(dataset).cases:
        if case.id in held_out:
            for part, path in (("images", case.images[0]), ("labels", case.label)):
                (out / kinds[case.id] / part).mkdir(parents=True, exist_ok=True)
                shutil.copy(path, out / kinds[case.id] / part / path.name)
    return max(_scored(out / kind, model, options) for kind in sorted({kinds[i] for i in held_out}))


def _scored(folder: Path, model: str, options: tuple[str, ...]) -> int:
    print(f"\n== {folder.name}: {len(list((folder / 'images').iterdir()))} images", flush=True)
    medseg = [sys.executable, "-m", "medseg.cli"]
    images, labels, counts = (str(folder / part) for part in ("images", "labels", "counts"))
    count = [*medseg, "count", images, "-o", counts, "-m", model, "--overwrite", *options]
    code = subprocess.run(count, check=False, stdout=subprocess.DEVNULL).returncode
    if code:
        return code
    compare = [*medseg, "evaluate", counts, labels, "--kind", "instances", "-o", f"{folder}.json"]
    return subprocess.run(compare, check=False).returncode


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    dataset, split_file, model, out, *options = sys.argv[1:]
    sys.exit(main(Path(dataset), Path(split_file), model, Path(out), *options))
