"""Choose how the maps of a model become objects, on pictures whose objects are known.

    python workflows/tune_splitting.py DATASET SPLIT.csv MODEL [--part val] [--also-train 35] [--write]
        [--decoders distance,offsets] [--cache FOLDER] [--looks] [--tta] [--diameter 32] [-o numbers.json]

The maps of each picture are made once and kept in the cache. Each decoder's numbers are then chosen one after the
other, twice around. The goal of a setting is the mean over pictures of (AP at IoU .5 + mean AP over .5:.05:.95) / 2; of
a number's values the one wins whose goal is best together with its two neighbours' (half weight each), so that a value
on a broad height is preferred to a sharp peak. --also-train adds training pictures, one of a group, that count as
much. --looks also tries other working diameters, and mirroring, with the numbers that won. --write puts the numbers on
the model's card. The part `test` is refused: what is chosen on its pictures could no longer be scored on them.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from known_pictures import Cache, Picture, chosen_names, groups_of

Numbers = dict[str, Any]
LENGTHS = ("smoothing", "min_distance")
ORDER = ("seed_threshold", "min_depth", "smoothing", "foreground_threshold", "min_size", "min_distance")
COMMON: dict[str, tuple[float, ...]] = {
    "foreground_threshold": (0.4, 0.45, 0.5, 0.55, 0.6),
    "seed_threshold": (0.2, 0.3, 0.4, 0.5, 0.6),
    "min_depth": (0.05, 0.1, 0.2, 0.3, 0.4),
    "smoothing": (0.0, 0.75, 1.0, 1.5, 2.0),
    "min_size": (0.0, 20.0, 40.0, 60.0),
    "min_distance": (0.0, 4.0, 8.0),
}
CHOICES: dict[str, dict[str, tuple[float, ...]]] = {
    "distance": COMMON,
    "combined": COMMON,
    "boundary": COMMON | {"seed_threshold": (0.4, 0.5, 0.6, 0.7, 0.8)},
    "offsets": COMMON | {"seed_threshold": (0.4, 0.5, 0.6, 0.7, 0.8), "smoothing": (0.75, 1.0, 1.25, 1.5, 2.0)},
}
START = {
    "distance": (0.5, 0.4, 0.2, 0.75, 20.0, 0.0),
    "combined": (0.5, 0.3, 0.1, 0.75, 20.0, 0.0),
    "boundary": (0.5, 0.6, 0.2, 0.75, 20.0, 0.0),
    "offsets": (0.5, 0.6, 0.2, 1.25, 20.0, 4.0),
}
LOOKS = (28.0, 32.0, 36.0)
GAIN = 2e-4
"""A number is changed when its broad goal rises by more than this."""


def main(arguments: list[str]) -> Numbers:
    """Tune as the command line says; return the numbers of the best decoder as a card keeps them."""
    given = _parsed(arguments)
    from medseg.models.bundle import load_bundle
    from medseg.models.registry import find

    folder = Path(given.model) if Path(given.model).is_dir() else find(given.model)
    bundle = load_bundle(folder)
    diameter = given.diameter or float(bundle.card.split.get("diameter", 32.0))
    names = chosen_names(given.split, given.part, given.also_train, groups_of(given.dataset / "split.csv"))
    cache = Cache(bundle, given.dataset, given.cache)
    pictures = cache.pictures(names, diameter, tta=given.tta)
    goals = Goals(pictures)
    found = {decoder: tuned(goals, decoder) for decoder in given.decoders.split(",")}
    now = {k: v for k, v in bundle.card.split.items() if k != "diameter"}
    print_table(goals, ([("on the card", now)] if "decoder" in now else []) + list(found.items()))
    best = max(found.values(), key=goals.mean)
    if given.looks:
        print_looks(cache, names, best, diameter, mirrored=given.tta)
    numbers: Numbers = {"diameter": diameter, **best}
    print(f"\nbest: {json.dumps(numbers)}")
    if given.out:
        given.out.write_text(json.dumps(numbers, indent=2) + "\n")
    if given.write:
        write_card(folder, numbers)
    return numbers


class Goals:
    """The goal of every setting that was tried, computed once."""

    def __init__(self, pictures: list[Picture]) -> None:
        self.pictures = pictures
        self._known: dict[str, Any] = {}

    def mean(self, numbers: Numbers) -> float:
        """Return the goal of a setting."""
        return float(np.mean(self.each(numbers)))

    def each(self, numbers: Numbers) -> Any:
        """Return the goal of a setting in each picture."""
        key = json.dumps(numbers, sort_keys=True)
        if key not in self._known:
            scores = [scores_of(picture, numbers) for picture in self.pictures]
            self._known[key] = np.array([((s.at[0].ap or 0.0) + (s.mean_ap or 0.0)) / 2 for s in scores])
        return self._known[key]


def scores_of(picture: Picture, numbers: Numbers) -> Any:
    """Return the scores of a picture whose maps are split by these numbers, lengths in voxels of the working grid."""
    from medseg.instance.options import SplitOptions
    from medseg.instance.stitch import objects_steps
    from medseg.instance.watershed import map_scene
    from medseg.labels import Instances
    from medseg.metrics.instances import instance_scores
    from medseg.progress import finish

    grid = picture.maps.grid
    units = {**dict.fromkeys(LENGTHS, picture.step), "min_size": picture.step**grid.ndim}
    options = SplitOptions.from_dict({k: v * units[k] if k in units else v for k, v in numbers.items()})
    objects = finish(objects_steps(map_scene(picture.maps, options)))
    return instance_scores(Instances(objects.array, grid), picture.truth)


def tuned(goals: Goals, decoder: str) -> Numbers:
    """Choose the numbers of a decoder one after the other, twice around."""
    start = perf_counter()
    first = ("foreground_threshold", "seed_threshold", "min_depth", "smoothing", "min_size", "min_distance")
    best: Numbers = {"decoder": decoder, **dict(zip(first, START[decoder], strict=True))}
    for _ in range(2):
        before = dict(best)
        for name in ORDER:
            values = sorted({*CHOICES[decoder][name], best[name]})
            broad = neighbourly([goals.mean({**best, name: value}) for value in values])
            if max(broad) > broad[values.index(best[name])] + GAIN:
                best[name] = values[int(np.argmax(broad))]
        if best == before:
            break
    print(f"{decoder}: {goals.mean(best):.4f} in {perf_counter() - start:.0f} s: {json.dumps(best)}", flush=True)
    return best


def neighbourly(heights: list[float]) -> list[float]:
    """Return the mean of each value and its neighbours', which count half; an end has one neighbour.

    Examples
    --------
    >>> neighbourly([0.0, 1.0, 0.0])
    [0.3333333333333333, 0.5, 0.3333333333333333]
    """
    found = []
    for k, own in enumerate(heights):
        beside = heights[max(0, k - 1) : k] + heights[k + 1 : k + 2]
        found.append((own + 0.5 * sum(beside)) / (1 + 0.5 * len(beside)))
    return found


def print_table(goals: Goals, settings: list[tuple[str, Numbers]]) -> None:
    """Print each setting's scores by kind of picture; ± is the standard error of the difference to the first."""
    from medseg.metrics.instances import pooled

    kinds = [picture.kind for picture in goals.pictures]
    first = goals.each(settings[0][1])
    print("\n| setting | kind | pictures | goal | AP.5 | mean AP | pooled AP.5 | pooled mean AP | count error | ± |")
    print("| --- | --- | --: | --: | --: | --: | --: | --: | --: | --: |")
    for title, numbers in settings:
        scores = [scores_of(picture, numbers) for picture in goals.pictures]
        each = goals.each(numbers)
        for kind in ("all", *sorted(set(kinds) - {"all"})):
            own = [k for k, other in enumerate(kinds) if kind in ("all", other)]
            some = [scores[k] for k in own]
            whole = pooled(some)
            means = [
                each[own].mean(),
                np.mean([s.at[0].ap or 0.0 for s in some]),
                np.mean([s.mean_ap or 0.0 for s in some]),
            ]
            shown = [*means, whole.at[0].ap or 0.0, whole.mean_ap or 0.0, whole.relative_count_error or 0.0]
            error = (each - first)[own].std(ddof=1) / np.sqrt(len(own)) if len(own) > 1 else 0.0
            print(
                f"| {title} | {kind} | {len(own)} | {' | '.join(f'{v:.4f}' for v in shown)} | {error:.4f} |", flush=True
            )


def print_looks(cache: Cache, names: list[str], numbers: Numbers, own: float, *, mirrored: bool) -> None:
    """Print the goal at other working diameters than its own (lengths grow with them), and mirrored or not."""
    print("\n| diameter | mirrored | goal | AP.5 | mean AP |\n| --: | --- | --: | --: | --: |")
    for diameter, tta in [*((d, mirrored) for d in sorted({*LOOKS, own})), (own, not mirrored)]:
        scale = diameter / own
        grown = {**{k: numbers[k] * scale for k in LENGTHS}, "min_size": numbers["min_size"] * scale**2}
        scores = [scores_of(picture, {**numbers, **grown}) for picture in cache.pictures(names, diameter, tta=tta)]
        ap, mean = (
            np.mean([v or 0.0 for v in vs]) for vs in ([s.at[0].ap for s in scores], [s.mean_ap for s in scores])
        )
        shown = f"{(ap + mean) / 2:.4f} | {ap:.4f} | {mean:.4f}"
        print(f"| {diameter:g} | {'yes' if tta else 'no'} | {shown} |", flush=True)


def write_card(folder: Path, numbers: Numbers) -> None:
    """Put the numbers on the card; the weights stay as they are."""
    from medseg.instance.options import SplitOptions
    from medseg.models.bundle import load_bundle, with_card

    SplitOptions.from_dict({k: v for k, v in numbers.items() if k != "diameter"})
    weights = load_bundle(folder).card.weights_sha256
    with_card(folder, split=numbers)
    assert load_bundle(folder).card.weights_sha256 == weights
    print(f"written to the card in {folder}")


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("split", type=Path)
    parser.add_argument("model")
    parser.add_argument("--part", default="val")
    parser.add_argument("--also-train", type=int, default=0)
    parser.add_argument("--decoders", default=",".join(CHOICES))
    parser.add_argument("--cache", type=Path, default=Path("tune_splitting_cache"))
    parser.add_argument("--looks", action="store_true")
    parser.add_argument("--tta", action="store_true")
    parser.add_argument("--diameter", type=float)
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--write", action="store_true")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
