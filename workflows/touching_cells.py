"""Train a detector on computed volumes of touching cells, and score it on others whose truth is known as well.

    python workflows/touching_cells.py OUT [--minutes 20] [--train 24] [--test 4] [--resume]

OUT/dataset gets images/, labels/ and split.csv; OUT/test holds volumes of other seeds that no training has seen. The
model is OUT/model, the counts are in OUT/counts, the score is printed and kept in OUT/score.json.
"""

import argparse
import csv
import subprocess
import sys
from pathlib import Path

import medseg
from medseg.samples.ellipsoids import touching_cells

FIRST_TEST_SEED = 10_000
"""Test volumes have seeds that no training volume has."""


def main(options: argparse.Namespace) -> int:
    """Make the volumes, train, count and evaluate; returns the largest exit code."""
    dataset, test = options.out / "dataset", options.out / "test"
    if not (dataset / "split.csv").exists():
        names = make_volumes(dataset, range(options.train))
        n_tuning = max(1, options.train // 6)
        with (dataset / "split.csv").open("w", newline="") as file:
            rows = [[name, "val" if k < n_tuning else "train"] for k, name in enumerate(names)]
            csv.writer(file).writerows([["id", "split"], *rows])
        make_volumes(test, range(FIRST_TEST_SEED, FIRST_TEST_SEED + options.test))
    medseg_command = [sys.executable, "-m", "medseg.cli"]
    model, counts = str(options.out / "model"), str(options.out / "counts")
    train = ["train", str(dataset), "-o", model, "--task", "detection", "--name", "touching_cells"]
    train += ["--minutes", str(options.minutes), "--threads", str(options.threads), "--licence", "CC0-1.0"]
    count = ["count", str(test / "images"), "-o", counts, "-m", model, "--overwrite"]
    score = ["evaluate", counts, str(test / "labels"), "--kind", "instances", "-o", str(options.out / "score.json")]
    for words in ([*train, "--resume"] if options.resume else train, count, score):
        code = subprocess.run([*medseg_command, *words], check=False).returncode
        if code:
            return code
    return 0


def make_volumes(folder: Path, seeds: range) -> list[str]:
    """Write a volume and its numbered cells for every seed; returns their names."""
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    names = [f"cells_{seed:05}" for seed in seeds]
    for name, seed in zip(names, seeds, strict=True):
        volume, truth = touching_cells(seed)
        medseg.write(volume, folder / "images" / f"{name}.tif")
        medseg.write(truth, folder / "labels" / f"{name}.tif")
    return names


if __name__ == "__main__":
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("out", type=Path)
    given.add_argument("--minutes", type=float, default=20.0)
    given.add_argument("--train", type=int, default=24)
    given.add_argument("--test", type=int, default=4)
    given.add_argument("--threads", type=int, default=1)
    given.add_argument("--resume", action="store_true")
    sys.exit(main(given.parse_args()))
