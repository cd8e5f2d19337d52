"""CZI files written by Zeiss's own library libCZI (pylibCZIrw), which is asked for only to make them anew.

Run ``python tests/libczi_files.py`` where pylibCZIrw is installed: it writes ``tests/io/libczi`` again, and beside the
files ``readings.json``, the SHA-256 of each plane as libCZI itself reads it.
"""

import hashlib
import json
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "io" / "libczi"
READINGS = FOLDER / "readings.json"
KINDS = {"gray8": ("uint8", ()), "gray16": ("uint16", ()), "gray32f": ("float32", ()),
         "bgr24": ("uint8", (3,)), "bgr48": ("uint16", (3,)), "bgr96f": ("float32", (3,))}  # fmt: skip
PLAIN, ZSTD = "uncompressed:", "zstd0:ExplicitLevel=3"
ZSTD_HEADED, ZSTD_SPLIT = "zstd1:ExplicitLevel=3;PreProcess=None", "zstd1:ExplicitLevel=3;PreProcess=HiLoByteUnpack"


@dataclass(frozen=True)
class Put:
    """A tile to write; its values follow from its fields."""

    kind: str
    shape: tuple[int, int]
    at: tuple[int, int] = (0, 0)
    plane: tuple[int, int, int] = (0, 0, 0)
    scene: int = 0
    packing: str = PLAIN

    @property
    def values(self) -> np.ndarray:
        """Return the stored values, (y, x) or (y, x, bgr): smooth enough to be packed, no two tiles alike."""
        name, colours = KINDS[self.kind]
        y, x, c = np.meshgrid(*map(np.arange, (*self.shape, *(colours or (1,)))), indexing="ij")
        t, channel, z = self.plane
        number = y * 211 + x * 37 + c * 59 + t * 1009 + channel * 757 + z * 401 + self.scene * 83 + sum(self.at) * 13
        found = number % 251 if name == "uint8" else number * 17 % 65_521
        if name == "float32":
            found = found / np.float32(64) - 300
        return found.astype(name).reshape(*self.shape, *colours)


@dataclass(frozen=True)
class Recipe:
    """What a file holds; `names` are those of its channels, `scale_um` the size of a pixel along (x, y, z)."""

    puts: list[Put]
    names: dict[int, str] = field(default_factory=lambda: {0: "DAPI", 1: "GFP"})
    scale_um: tuple[float, float, float] = (0.25, 0.3, 1.5)


def stack(kind: str, packing: str, n: tuple[int, int, int], shape: tuple[int, int] = (9, 11), **more) -> list[Put]:
    """Return a tile for each time, channel and slice."""
    return [Put(kind, shape, (-40, 25), plane, packing=packing, **more) for plane in product(*map(range, n))]


RECIPES = {
    "gray8": Recipe(stack("gray8", PLAIN, (1, 1, 1), (7, 13))),
    "gray8_zstd": Recipe(stack("gray8", ZSTD, (1, 1, 1), (1, 1))),
    "gray8_zstd_headed": Recipe(stack("gray8", ZSTD_HEADED, (1, 1, 1), (13, 1)), scale_um=(0, 0, 0)),
    "gray16_split": Recipe(stack("gray16", ZSTD_SPLIT, (2, 2, 3))),
    "gray16": Recipe(stack("gray16", PLAIN, (1, 2, 3)), names={0: "EGFP", 1: "EGFP"}),
    "gray32f": Recipe(stack("gray32f", ZSTD, (1, 2, 1))),
    "bgr24_zstd": Recipe(stack("bgr24", ZSTD_HEADED, (1, 1, 2)), names={0: "TL"}),
    "bgr48": Recipe(stack("bgr48", PLAIN, (1, 1, 1))),
    "bgr48_split": Recipe(stack("bgr48", ZSTD_SPLIT, (1, 1, 1))),
    "bgr96f": Recipe(stack("bgr96f", ZSTD, (1, 1, 1))),
    "mosaic": Recipe(
        [Put("gray16", (12, 15), (x, y), (0, c, 0), packing=ZSTD_SPLIT)
         for c in (0, 1) for x, y in ((-30, -7), (-18, -5), (-29, 2), (-17, 4))]
    ),
    "mosaic_with_gaps": Recipe(
        [Put("gray8", (12, 15), (x, y), (0, 0, z)) for z in (0, 1) for x, y in ((5, 5), (18, 7), (40, 30))]
    ),
    "scenes": Recipe([
        *stack("gray16", PLAIN, (1, 2, 2), (6, 8)),
        *[Put("gray16", (11, 5), (300, -200), (0, c, z), 1, ZSTD) for c in (0, 1) for z in (0, 1)],
        *[Put("gray16", (4, 20), at, (0, c, 0), 2) for c in (0, 1) for at in ((500, 0), (510, 2))],
    ]),
    "scene_with_one_channel": Recipe([
        *stack("gray8", PLAIN, (1, 2, 1), (6, 8)), Put("gray8", (5, 5), (100, 0), (0, 1, 0), 1),
    ]),
    "two_depths": Recipe([Put("gray8", (9, 11), (0, 0), (0, 0, 0)), Put("gray16", (9, 11), (0, 0), (0, 1, 0))]),
    "colour_beside_grey": Recipe([
        Put("gray8", (9, 11), (0, 0), (0, 0, 0)), Put("bgr24", (9, 11), (0, 0), (0, 1, 0)),
        Put("gray8", (4, 5), (50, 0), (0, 0, 0), 1),
    ]),
    "late_start": Recipe([Put("gray8", (6, 8), (2, 3), (t, 0, z)) for t in (3, 4) for z in (5, 6)]),
}  # fmt: skip


def random_recipe(rng: np.random.Generator) -> Recipe:
    """Return a random layout: scenes, times, slices, channels of several kinds, overlapping and missing tiles."""
    n_t, n_c, n_z, n_s = rng.integers(1, (3, 4, 4, 4)).tolist()
    kinds = rng.choice([kind for kind in KINDS if kind != "bgr96f"], n_c if rng.random() < 0.4 else 1).tolist() * n_c
    first_t, first_z = rng.integers(0, 4, 2).tolist()
    puts: list[Put] = []
    for scene in range(n_s):
        corner = rng.integers(-500, 500, 2)
        places = [(rng.integers(0, 25, 2) + corner, rng.integers(1, 30, 2)) for _ in range(rng.integers(1, 5))]
        for t, c, z in product(range(n_t), range(n_c), range(n_z)):
            kept = [place for place in places if rng.random() > 0.1] or places[:1]
            packings = [PLAIN, ZSTD, ZSTD_HEADED] + [ZSTD_SPLIT] * (kinds[c] == "gray16")
            puts += [
                Put(kinds[c], tuple(shape.tolist()), tuple(at.tolist()), (first_t + t, c, first_z + z), scene, packing)
                for (at, shape), packing in zip(kept, rng.choice(packings, len(kept)).tolist(), strict=True)
            ]
    return Recipe(puts, {c: f"channel {c}" for c in range(n_c)}, tuple(rng.uniform(0.05, 3, 3).tolist()))


def write_by_libczi(path: Path, recipe: Recipe) -> Path:
    """Let libCZI write a file."""
    from pylibCZIrw import czi

    with czi.create_czi(str(path), exist_ok=True) as file:
        for put in recipe.puts:
            plane = dict(zip("TCZ", put.plane, strict=True))
            file.write(put.values, put.at, plane, put.packing, put.scene)
        x, y, z = (size * 1e-6 for size in recipe.scale_um)
        file.write_metadata("cells", channel_names=recipe.names, scale_x=x, scale_y=y, scale_z=z)
    return path


def planes_by_libczi(path: Path, recipe: Recipe) -> dict[str, np.ndarray]:
    """Return the planes as libCZI reads them, by scene, time, channel and slice."""
    from pylibCZIrw import czi

    found: dict[str, np.ndarray] = {}
    has_scenes = any(put.scene for put in recipe.puts)
    with czi.open_czi(str(path)) as file:
        for scene, plane in sorted({(put.scene, put.plane) for put in recipe.puts}):
            where = dict(zip("TCZ", plane, strict=True))
            try:
                array = file.read(plane=where, scene=scene if has_scenes else None)
            except RuntimeError:  # it writes colours in float32 and does not read them
                continue
            found[" ".join(map(str, (scene, *plane)))] = array.reshape(array.shape[:2] + (3,) * (array.shape[2] == 3))
    return found


def digest(array: np.ndarray) -> str:
    """Return the SHA-256 of values, their type and shape."""
    head = f"{array.dtype.name} {array.shape} ".encode()
    return hashlib.sha256(head + np.ascontiguousarray(array).tobytes()).hexdigest()


def main() -> None:
    """Write the files anew."""
    FOLDER.mkdir(exist_ok=True)
    readings = {}
    for name, recipe in RECIPES.items():
        path = write_by_libczi(FOLDER / f"{name}.czi", recipe)
        readings[name] = {key: digest(plane) for key, plane in planes_by_libczi(path, recipe).items()}
    READINGS.write_text(json.dumps(readings, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
