"""Does a loss find a class that fills less than half a percent of the image? Trains one network per loss and tells.

    python benchmarks/imbalance.py OUT [--losses ce dice_ce ...] [--epochs 12] [--seeds 2]

The pictures are computed: a noisy head-like disc with a bright rim (class 1, "tissue") and a few faint spots (class 2,
"lesion", about 0.3 % of the voxels). Everything but the loss is equal: network, patches (drawn anywhere: no patch is
centred on a lesion on purpose), steps, seeds. Scores are from pictures that the training did not see.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from statistics import mean

import numpy as np
from PIL import Image
from scipy import ndimage
from side_by_side import describe, set_threads

SIZE = 128
COLOURS = {1: (70, 130, 180), 2: (230, 60, 40)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--losses", nargs="*", default=None)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    set_threads(options.threads)
    describe(options.threads, "torch", "monai")
    from medseg.nets.losses import LOSSES

    data = options.out / "data"
    share = make_data(data)
    print(f"class 'lesion' fills {100 * share:.2f} % of the voxels\n")
    print(f"{'loss':<22}{'Dice tissue':>12}{'Dice lesion':>12}{'lesions found %':>17}{'false per picture':>19}")
    rows = []
    for loss in options.losses or LOSSES:
        scores = [score(data, train(data, options.out, loss, options.epochs, seed)) for seed in range(options.seeds)]
        row = [mean(values) for values in zip(*scores, strict=True)]
        rows.append((loss, *row))
        print(f"{loss:<22}{row[0]:>12.3f}{row[1]:>12.3f}{100 * row[2]:>17.1f}{row[3]:>19.2f}", flush=True)
    picture(data, options.out, [r[0] for r in rows], options.epochs)
    with (options.out / "imbalance.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("loss", "dice_tissue", "dice_lesion", "found", "false_per_picture"), *rows])
    print(f"\npicture: {options.out / 'imbalance.png'}")


def make_data(folder: Path, n: int = 80) -> float:
    """Write images/, labels/ and split.csv; return the share of the rare class."""
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    filled = []
    rows = [("id", "split", "group")]
    for i in range(n):
        image, labels = scene(np.random.default_rng(i))
        Image.fromarray(image).save(folder / "images" / f"case{i:03}.png")
        Image.fromarray(labels).save(folder / "labels" / f"case{i:03}.png")
        rows.append((f"case{i:03}", "train" if i < 40 else "val" if i < 48 else "test", str(i)))
        filled.append((labels == 2).mean())
    with (folder / "split.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return float(np.mean(filled))


def scene(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return an 8-bit picture and its classes: 0 ground, 1 tissue, 2 lesion."""
    y, x = np.mgrid[:SIZE, :SIZE]
    centre, radii = SIZE / 2 + rng.uniform(-6, 6, 2), rng.uniform(44, 56, 2)
    depth = np.hypot((y - centre[0]) / radii[0], (x - centre[1]) / radii[1])
    labels = (depth < 1).astype(np.uint8)
    light = 0.45 * labels + 0.3 * ((depth > 0.86) & (depth < 1))
    texture = ndimage.gaussian_filter(rng.standard_normal((SIZE, SIZE)), 5)
    light = light + 0.08 * labels * texture / texture.std()
    for _ in range(rng.integers(2, 6)):
        at, size = centre + rng.uniform(-0.65, 0.65, 2) * radii, rng.uniform(1.3, 2.6)
        spot = (np.hypot(y - at[0], x - at[1]) < size) & (depth < 0.84)
        labels[spot] = 2
        light[spot] += 0.22
    light = ndimage.gaussian_filter(light, 0.8) + 0.06 * rng.standard_normal((SIZE, SIZE))
    return (255 * np.clip(light, 0, 1)).astype(np.uint8), labels


def train(data: Path, out: Path, loss: str, epochs: int, seed: int) -> Path:
    import medseg
    from medseg.models.card import Architecture

    folder = out / f"{loss}_{seed}"
    if (folder / "card.json").exists():
        return folder
    plan = medseg.plan(data, name=loss)
    levels = {"filters": [8, 16, 32, 64], "strides": [[1, 1], [2, 2], [2, 2], [2, 2]], "kernels": [[3, 3]] * 4}
    plan = plan.model_copy(
        update={
            "architecture": Architecture(name="dynunet", options=levels),
            "input": plan.input.model_copy(update={"patch": (96, 96)}),
            "training": plan.training.model_copy(
                update={"loss": loss, "batch": 4, "samples_per_epoch": 160, "foreground_share": 0.0}
            ),
            "classes": {1: "tissue", 2: "lesion"},
        }
    )
    begun = (folder.with_name(f"{folder.name}.training") / "checkpoint.pt").exists()
    return medseg.train(data, folder, epochs=epochs, plan=plan, seed=seed, device="cpu", threads=1, resume=begun)


def score(data: Path, model: Path) -> tuple[float, float, float, float]:
    """Return pooled Dice of both classes, the share of lesions that are touched, and false ones per picture."""
    hits = {1: np.zeros(2), 2: np.zeros(2)}
    found = lesions = false = 0
    cases = _test_cases(data)
    for name in cases:
        result, truth = predicted(data, model, name), np.asarray(Image.open(data / "labels" / f"{name}.png"))
        for class_id, total in hits.items():
            a, b = result == class_id, truth == class_id
            total += (2 * (a & b).sum(), a.sum() + b.sum())
        own, n = ndimage.label(truth == 2)
        found += len(np.unique(own[(result == 2) & (own > 0)]))
        lesions += n
        other, m = ndimage.label(result == 2)
        false += m - len(np.unique(other[(truth == 2) & (other > 0)]))
    dice = [float(h[0] / max(h[1], 1)) for h in hits.values()]
    return dice[0], dice[1], found / lesions, false / len(cases)


def predicted(data: Path, model: Path, name: str) -> np.ndarray:
    import medseg

    volume = medseg.read(data / "images" / f"{name}.png")
    return np.asarray(medseg.segment(volume, str(model), device="cpu").labels.array)


def picture(data: Path, out: Path, losses: list[str], epochs: int) -> None:
    """Write one unseen picture, its truth, and what each loss makes of it, side by side."""
    name = _test_cases(data)[1]
    image = np.asarray(Image.open(data / "images" / f"{name}.png"))
    truth = np.asarray(Image.open(data / "labels" / f"{name}.png"))
    parts = [image, _painted(image, truth)]
    parts += [_painted(image, predicted(data, out / f"{loss}_0", name)) for loss in losses]
    tiles = [np.kron(_rgb(p), np.ones((2, 2, 1), np.uint8)) for p in parts]
    gap = np.full((tiles[0].shape[0], 6, 3), 255, np.uint8)
    row = np.concatenate([part for tile in tiles for part in (tile, gap)][:-1], axis=1)
    Image.fromarray(row).save(out / "imbalance.png")
    print("\nfrom left to right: picture, truth, " + ", ".join(losses) + f" (after {epochs} epochs)")


def _painted(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    out = _rgb(image).astype(float)
    for class_id, colour in COLOURS.items():
        inside = labels == class_id
        strength = 0.25 if class_id == 1 else 0.9
        out[inside] = (1 - strength) * out[inside] + strength * np.array(colour)
    return out.astype(np.uint8)


def _rgb(image: np.ndarray) -> np.ndarray:
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def _test_cases(data: Path) -> list[str]:
    with (data / "split.csv").open(newline="") as file:
        return [row["id"] for row in csv.DictReader(file) if row["split"] == "test"]


if __name__ == "__main__":
    main()
