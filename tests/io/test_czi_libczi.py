"""CZI files that Zeiss's own library wrote come back as they were given to it, and as it reads them itself."""

import json
from collections.abc import Iterator

import numpy as np
import pytest
from libczi_files import (
    FOLDER,
    KINDS,
    READINGS,
    RECIPES,
    Put,
    Recipe,
    digest,
    planes_by_libczi,
    random_recipe,
    write_by_libczi,
)

from medseg.errors import SeriesAmbiguousError
from medseg.io.options import ReadOptions
from medseg.io.probe import probe
from medseg.io.read import read
from medseg.volume import Volume

MISREAD_BY_LIBCZI = {"bgr48_split"}
"""Version 6.1.0 reads back other values than it was given (its issue 167); ZEN and we read those that were given."""
SPACING = {2: (0.3, 0.25), 3: (1.5, 0.3, 0.25)}


def scenes_of(recipe: Recipe) -> dict[int, list[Put]]:
    return {s: [put for put in recipe.puts if put.scene == s] for s in sorted({put.scene for put in recipe.puts})}


def volumes(path, recipe: Recipe) -> Iterator[tuple[int, int, Volume]]:
    """Yield scene, time and volume."""
    scenes = scenes_of(recipe)
    for scene, puts in scenes.items():
        times = sorted({put.plane[0] for put in puts})
        for frame, t in enumerate(times):
            series = str(scene) if len(scenes) > 1 else None
            yield scene, t, read(path, series=series, frame=frame if len(times) > 1 else None)


def planes(path, recipe: Recipe) -> Iterator[tuple[str, np.ndarray]]:
    """Yield our planes in the type and order in which they were given, with their keys."""
    for scene, t, volume in volumes(path, recipe):
        puts = [put for put in recipe.puts if put.scene == scene]
        array = volume.array if volume.array.ndim == 4 else volume.array[:, np.newaxis]
        at = 0
        for c in sorted({put.plane[1] for put in puts}):
            name, colours = KINDS[next(put.kind for put in puts if put.plane[1] == c)]
            n = colours[0] if colours else 1
            for k, z in enumerate(sorted({put.plane[2] for put in puts})):
                found = array[at : at + n, k].astype(name)
                np.testing.assert_array_equal(found, array[at : at + n, k])
                yield f"{scene} {t} {c} {z}", np.moveaxis(found[::-1], 0, -1) if colours else found[0]
            at += n
        assert at == len(array)


def painted(recipe: Recipe, key: str) -> np.ndarray:
    """Return a plane as the recipe tells it: each tile over those before it."""
    scene, *plane = map(int, key.split())
    of_scene = [put for put in recipe.puts if put.scene == scene]
    x, y = (min(put.at[a] for put in of_scene) for a in (0, 1))
    width = max(put.at[0] + put.shape[1] for put in of_scene) - x
    height = max(put.at[1] + put.shape[0] for put in of_scene) - y
    tiles = [put for put in of_scene if put.plane == tuple(plane)]
    out = np.zeros((height, width, *tiles[0].values.shape[2:]), tiles[0].values.dtype)
    for put in tiles:
        top, left = put.at[1] - y, put.at[0] - x
        out[top : top + put.shape[0], left : left + put.shape[1]] = put.values
    return out


@pytest.fixture(params=RECIPES)
def name(request):
    return request.param


def test_every_plane_is_what_was_given_to_libczi(name):
    found = dict(planes(FOLDER / f"{name}.czi", RECIPES[name]))
    assert len(found) == len({(put.scene, put.plane) for put in RECIPES[name].puts})
    for key, plane in found.items():
        np.testing.assert_array_equal(plane, painted(RECIPES[name], key), err_msg=key)


def test_every_plane_is_what_libczi_reads(name):
    readings = json.loads(READINGS.read_text(encoding="utf-8"))[name]
    found = {key: digest(plane) for key, plane in planes(FOLDER / f"{name}.czi", RECIPES[name])}
    assert set(readings) <= set(found)
    assert bool(readings) is (name != "bgr96f")  # a kind that it writes and does not read
    assert {found[key] == sha256 for key, sha256 in readings.items()} <= {name not in MISREAD_BY_LIBCZI}


def test_files_that_libczi_writes_now_are_read_as_it_reads_them(tmp_path):
    pytest.importorskip("pylibCZIrw", reason="libCZI is not installed; the files that it once wrote are tested")
    rng = np.random.default_rng(6)
    kept = [RECIPES[name] for name in sorted(RECIPES.keys() - MISREAD_BY_LIBCZI)]
    for number, recipe in enumerate([*kept, *(random_recipe(rng) for _ in range(60))]):
        path = write_by_libczi(tmp_path / f"{number}.czi", recipe)
        theirs = planes_by_libczi(path, recipe)
        for key, plane in planes(path, recipe):
            np.testing.assert_array_equal(plane, painted(recipe, key))
            np.testing.assert_array_equal(plane, theirs.get(key, plane))


def test_pixel_sizes_are_those_that_libczi_was_told(name):
    recipe = RECIPES[name]
    for _, _, volume in volumes(FOLDER / f"{name}.czi", recipe):
        if recipe.scale_um == (0, 0, 0):
            assert volume.grid.unit == "px"
        else:
            assert volume.grid.unit == "um"
            np.testing.assert_allclose(volume.grid.spacing, SPACING[len(volume.grid.shape)])


CHANNELS = {
    "gray16_split": ("DAPI", "GFP"),
    "gray16": ("0", "1"),  # both were called EGFP
    "bgr24_zstd": ("red", "green", "blue"),
    "two_depths": ("DAPI", "GFP"),
}


@pytest.mark.parametrize("name", CHANNELS)
def test_channels_have_the_names_that_libczi_was_told(name):
    (volume,) = [v for _, t, v in volumes(FOLDER / f"{name}.czi", RECIPES[name]) if t == 0]
    assert volume.channels == CHANNELS[name]


def test_a_scene_without_the_first_channel_names_the_one_that_it_has():
    assert read(FOLDER / "scene_with_one_channel.czi", series="1").channels == ("GFP",)


def test_a_channel_in_colour_stands_beside_a_grey_one():
    path = FOLDER / "colour_beside_grey.czi"
    with pytest.raises(SeriesAmbiguousError) as caught:
        probe(path)
    assert [about for _, about in caught.value.choices] == ["scene 0, 11 x 9, 4 channels", "scene 1, 5 x 4, 1 channel"]
    volume = read(path, series="0")
    assert volume.channels == ("DAPI", "GFP red", "GFP green", "GFP blue")
    np.testing.assert_array_equal(read(path, series="0", channel="GFP green").array[0], volume.array[2])
    assert probe(path, options=ReadOptions(series="1")).channels == ("DAPI",)


def test_the_bare_part_of_a_mosaic_is_told():
    (notice,) = probe(FOLDER / "mosaic_with_gaps.czi").warnings
    covered = np.zeros((37, 50), bool)
    for x, y in ((0, 0), (13, 2), (35, 25)):
        covered[y : y + 12, x : x + 15] = True
    assert notice.code == "W_CHUNKS_MISSING"
    assert notice.text.startswith(f"{100 * (1 - covered.mean()):.2g} %")
