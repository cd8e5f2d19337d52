"""Segment the cases that were kept for the score, and compare them with their references.

    python workflows/score_held_out.py DATASET SPLIT.csv MODEL OUT [medseg segment's options]

SPLIT.csv is the one in the training folder. Prints the table of `medseg evaluate`; the report is OUT/report.json.
"""

import csv
import shutil
import subprocess
import sys
from pathlib import Path

from medseg.io.dataset import find_pairs


def main(dataset: Path, split_file: Path, model: str, out: Path, *options: str) -> int:
    """Copy the held-out pairs to `out`, segment and evaluate them; returns the exit code."""
    with split_file.open(newline="") as file:
        held_out = {row["id"] for row in csv.DictReader(file) if row["split"] == "test"}
    for part in ("images", "labels"):
        (out / part).mkdir(parents=True, exist_ok=True)
    for case in find_pairs(dataset).cases:
        if case.id in held_out:
            for image in case.images:
                shutil.copy(image, out / "images" / image.name)
            shutil.copy(case.label, out / "labels" / case.label.name)
    medseg = [sys.executable, "-m", "medseg.cli"]
    results, report = str(out / "results"), str(out / "report.json")
    segment = [*medseg, "segment", str(out / "images"), "-o", results, "-m", model, "--overwrite", *options]
    code = subprocess.run(segment, check=False).returncode
    if code:
        return code
    return subprocess.run([*medseg, "evaluate", results, str(out / "labels"), "-o", report], check=False).returncode


if __name__ == "__main__":
    dataset, split_file, model, out, *options = sys.argv[1:]
    sys.exit(main(Path(dataset), Path(split_file), model, Path(out), *options))
