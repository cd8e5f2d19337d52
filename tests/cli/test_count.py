"""``medseg count`` on pictures of discs, with a small model that the test has trained."""

import csv
import json
import shutil
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image

from medseg.io.read import read, read_labels

_spec = spec_from_file_location("disc_pictures", Path(__file__).parents[1] / "instance" / "conftest.py")
pictures = sys.modules["disc_pictures"] = module_from_spec(_spec)
_spec.loader.exec_module(pictures)


@pytest.fixture(scope="session")
def disc_model(tmp_path_factory) -> Path:
    """Return the folder of a small model for objects, trained for a few seconds."""
    from medseg.instance.train import train_steps
    from medseg.io.dataset import find_pairs
    from medseg.progress import finish
    from medseg.training.options import TrainOptions

    root = tmp_path_factory.mktemp("discs")
    for name in ("images", "labels"):
        (root / name).mkdir()
    for case in range(10):
        labels = pictures.discs(case)
        drawn = pictures.picture(labels, case, colour=case % 3 == 2)
        Image.fromarray(drawn).save(root / "images" / f"c{case}.png")
        Image.fromarray(labels).save(root / "labels" / f"c{case}.png")
    options = TrainOptions("discs", epochs=4, device="cpu", threads=1, plan=pictures.small_plan(root))
    return finish(train_steps(find_pairs(root), root / "model", options=options))


@pytest.fixture
def folder(tmp_path) -> tuple[Path, dict[str, np.ndarray]]:
    """Write pictures that the model has not seen, some with a pixel size; return the folder and the truth."""
    images = tmp_path / "images"
    images.mkdir()
    truth = {name: pictures.discs(seed) for seed, name in enumerate(("a_0001", "a_0002", "stained"), start=50)}
    for seed, (name, labels) in enumerate(truth.items(), start=50):
        array = pictures.picture(labels, seed, colour=name == "stained")
        resolution = {"resolution": (2.0, 2.0), "metadata": {"unit": "um", "axes": "YX"}, "imagej": True}
        tifffile.imwrite(images / f"{name}.tif", array, **({} if name == "stained" else resolution))
    return images, truth


def counted(medseg, model, images, out, *words):
    return medseg("count", images, "-o", out, "-m", model, "--device", "cpu", *words)


def rows(out: Path) -> dict[str, dict[str, str]]:
    with open(out / "summary.csv", newline="", encoding="utf-8") as file:
        return {row["case"]: row for row in csv.DictReader(file)}


def test_a_folder_gives_counts_tables_numbered_objects_and_a_page(medseg, disc_model, folder, tmp_path):
    images, truth = folder
    out = tmp_path / "out"
    done = counted(medseg, disc_model, images, out)
    assert done.code == 0, done.err
    found = rows(out)
    assert set(found) == set(truth)
    for name, labels in truth.items():
        n = len(np.unique(labels)) - 1
        assert abs(int(found[name]["count"]) - n) <= max(2, 0.25 * n), (name, n)
        objects = read_labels(out / f"{name}_instances.tif")
        assert objects.grid.same_as(read(images / f"{name}.tif").grid)
        table = pd.read_csv(out / f"{name}_objects.csv")
        assert sorted(table["object_id"]) == sorted(set(np.unique(objects.array)) - {0})
        assert (out / f"{name}_overlay.png").stat().st_size > 10_000
    assert "area_um2" in pd.read_csv(out / "a_0001_objects.csv")
    assert "area_px" in pd.read_csv(out / "stained_objects.csv")
    assert found["stained"]["density_per_mm2"] == ""
    assert done.err.count("W_SPACING_UNTRUSTED") == 1
    assert "objects in all" in done.out
    assert "report.html" in done.out
    assert (out / "report.html").is_file()
    assert medseg("verify", out).code == 0
    for name, labels in truth.items():
        Image.fromarray(labels).save(tmp_path / f"{name}.png")
    report = tmp_path / "report.json"
    (tmp_path / "truth").mkdir()
    for name in truth:
        tifffile.imwrite(
            tmp_path / "truth" / f"{name}.tif", truth[name],
            **({} if name == "stained" else {"resolution": (2.0, 2.0), "metadata": {"unit": "um"}, "imagej": True}),
        )  # fmt: skip
    judged = medseg("evaluate", out, tmp_path / "truth", "--kind", "instances", "-o", report)
    assert judged.code == 0, judged.err
    assert json.loads(report.read_text())["instances"]["pooled"]["ap_50"] > 0.7


def test_a_recipe_repeats_the_count(medseg, disc_model, folder, tmp_path):
    images, _ = folder
    out, recipe = tmp_path / "out", tmp_path / "count.yaml"
    words = ("--pixel-size", "0.5", "--diameter", "8", "--overwrite", "--save-recipe", recipe)
    assert counted(medseg, disc_model, images / "stained.tif", out, *words).code == 0
    first = (out / "stained_instances.tif").read_bytes()
    assert "verb: count" in recipe.read_text()
    assert medseg("run", recipe).code == 0
    assert (out / "stained_instances.tif").read_bytes() == first


def test_the_recipe_that_is_shipped_runs_and_runs_again(medseg, disc_model, folder, tmp_path, monkeypatch):
    shutil.copytree(disc_model, tmp_path / "models" / "nuclei")
    monkeypatch.setenv("MEDSEG_MODELS", str(tmp_path / "models"))
    monkeypatch.chdir(tmp_path)
    (folder[0] / "stained.tif").unlink()
    recipe = Path(__file__).parents[2] / "workflows" / "count_folder.yaml"
    done = medseg("run", recipe)
    assert done.code == 0, done.err
    record = tmp_path / "counts" / "a_0001.medseg.json"
    written = record.stat().st_mtime_ns
    assert medseg("run", recipe).code == 0
    assert record.stat().st_mtime_ns == written


def test_saved_maps_give_the_same_objects_again(medseg, disc_model, folder, tmp_path):
    images, _ = folder
    out = tmp_path / "out"
    words = ("--save-maps", "--diameter", "12")
    assert counted(medseg, disc_model, images / "a_0001.tif", out, *words).code == 0
    done = medseg("split", out / "a_0001_maps.ome.zarr", "-o", tmp_path / "again")
    assert done.code == 0, done.err
    again, first = (int(rows(folder)["a_0001"]["count"]) for folder in (tmp_path / "again", out))
    assert abs(again - first) <= 2


def test_a_part_of_the_picture_is_counted_on_the_whole_grid(medseg, disc_model, folder, tmp_path):
    images, _ = folder
    out = tmp_path / "out"
    assert counted(medseg, disc_model, images / "a_0001.tif", out, "--roi", "0:48,0:96").code == 0
    array = read(out / "a_0001_instances.tif").array[0]
    assert array.shape == (96, 96)
    assert array[:48].any()
    assert not array[48:].any()


def test_a_number_of_the_splitting_is_obeyed_recorded_and_repeated_by_a_recipe(medseg, disc_model, folder, tmp_path):
    image, out, recipe = folder[0] / "stained.tif", tmp_path / "out", tmp_path / "count.yaml"
    assert counted(medseg, disc_model, image, tmp_path / "plain", "--diameter", "16").code == 0
    sizes = pd.read_csv(tmp_path / "plain" / "stained_objects.csv")["area_px"]
    least = int(sizes.median()) + 1
    words = ("--diameter", "16", "--min-size", least, "--overwrite", "--save-recipe", recipe)
    done = counted(medseg, disc_model, image, out, *words)
    assert done.code == 0, done.err
    table = pd.read_csv(out / "stained_objects.csv")
    assert 0 < len(table) < len(sizes)
    assert table["area_px"].min() >= 0.9 * least  # sizes are judged on the network's own grid
    assert json.loads((out / "stained.medseg.json").read_text())["options"]["splitting"] == {"min_size": least}
    first = (out / "stained_instances.tif").read_bytes()
    assert medseg("run", recipe).code == 0
    assert (out / "stained_instances.tif").read_bytes() == first


def test_maps_with_their_image_are_split_into_the_very_objects_that_were_counted(
    medseg, disc_model, folder, tmp_path, monkeypatch
):
    shutil.copytree(disc_model, tmp_path / "models" / "discs")
    monkeypatch.setenv("MEDSEG_MODELS", str(tmp_path / "models"))
    image, out = folder[0] / "a_0001.tif", tmp_path / "out"
    assert counted(medseg, "discs", image, out, "--diameter", "6", "--save-maps").code == 0
    done = medseg("split", out / "a_0001_maps.ome.zarr", "--image", image, "-o", tmp_path / "again")
    assert done.code == 0, done.err
    first, again = (read_labels(folder / "a_0001_instances.tif").array for folder in (out, tmp_path / "again"))
    np.testing.assert_array_equal(again, first)
    pd.testing.assert_series_equal(
        *(pd.read_csv(folder / "a_0001_objects.csv")["intensity_mean"] for folder in (out, tmp_path / "again"))
    )


def test_components_join_what_touches(medseg, disc_model, folder, tmp_path):
    images, _ = folder
    counts = {}
    for way in ("watershed", "components"):
        assert counted(medseg, disc_model, images / "a_0001.tif", tmp_path / way, "--split", way).code == 0
        counts[way] = int(rows(tmp_path / way)["a_0001"]["count"])
    assert 0 < counts["components"] <= counts["watershed"]


def test_pictures_that_need_a_word_are_refused_or_read_right(medseg, disc_model, folder, tmp_path):
    images = tmp_path / "odd"
    images.mkdir()
    grey = pictures.picture(pictures.discs(60), 60, colour=False)
    colour = pictures.picture(pictures.discs(61), 61, colour=True)
    Image.fromarray(np.dstack([colour, np.full(colour.shape[:2], 255, np.uint8)])).save(images / "rgba.png")
    tifffile.imwrite(images / "deep.tif", grey.astype(np.uint16) * 200)
    holes = grey.astype(np.float32)
    holes[:3, :3] = np.nan
    tifffile.imwrite(images / "holes.tif", holes)
    tifffile.imwrite(images / "flat.tif", np.full((64, 64), 7, np.uint8))
    tifffile.imwrite(images / "movie.ome.tif", np.stack([grey] * 3), metadata={"axes": "TYX"}, ome=True)
    two = {"axes": "CYX", "Channel": {"Name": ["DAPI", "GFP"]}}
    tifffile.imwrite(images / "two.ome.tif", np.stack([grey, grey]), metadata=two, ome=True)
    done = counted(medseg, disc_model, images, tmp_path / "out")
    assert done.code == 3
    assert "Traceback" not in done.err
    found = rows(tmp_path / "out")
    states = {name: row["state"].split("_")[0] for name, row in found.items()}
    assert states == {"rgba": "ok", "deep": "ok", "holes": "ok", "flat": "ok", "movie": "refused", "two": "refused"}
    assert "W_NONFINITE_REPLACED" in found["holes"]["codes"]
    assert (found["flat"]["count"], found["flat"]["codes"]) == ("0", "W_CONSTANT_IMAGE")
    assert "--frame" in found["movie"]["message"]
    assert "DAPI" in found["two"]["message"]
    assert "--channel" in found["two"]["message"]
    assert int(found["deep"]["count"]) > 5
    named = counted(medseg, disc_model, images / "two.ome.tif", tmp_path / "two", "--channel", "DAPI")
    assert named.code == 0, named.err
    framed = counted(medseg, disc_model, images / "movie.ome.tif", tmp_path / "movie", "--frame", "1")
    assert framed.code == 0, framed.err


def test_a_stack_is_counted_by_a_model_for_flat_pictures(medseg, disc_model, tmp_path):
    flat = pictures.picture(pictures.discs(70, side=48, n=4), 70, colour=False)
    stack = np.stack([flat * 0 + 20] * 2 + [flat] * 8 + [flat * 0 + 20] * 2)
    tifffile.imwrite(tmp_path / "stack.tif", stack, imagej=True, metadata={"axes": "ZYX", "spacing": 1.0, "unit": "um"},
                     resolution=(1.0, 1.0))  # fmt: skip
    done = counted(medseg, disc_model, tmp_path / "stack.tif", tmp_path / "out", "--diameter", "14")
    assert done.code == 0, done.err
    assert "volume_um3" in pd.read_csv(tmp_path / "out" / "stack_objects.csv")
    assert "density_per_mm3" in rows(tmp_path / "out")["stack"]


def test_positive_cells_are_counted_in_a_second_channel(medseg, disc_model, tmp_path):
    labels = pictures.discs(80)
    nuclei = pictures.picture(labels, 80, colour=False)
    marker = np.full_like(nuclei, 10)
    marker[:, :48] = 120
    two = {"axes": "CYX", "Channel": {"Name": ["DAPI", "Ki67"]}}
    tifffile.imwrite(tmp_path / "two.ome.tif", np.stack([nuclei, marker]), metadata=two, ome=True)
    done = counted(medseg, disc_model, tmp_path / "two.ome.tif", tmp_path / "out", "--positive-stain", "Ki67")
    assert done.code == 0, done.err
    row = rows(tmp_path / "out")["two"]
    assert 0 < int(row["positive"]) < int(row["count"])
    table = pd.read_csv(tmp_path / "out" / "two_objects.csv")
    assert table.loc[table["centroid_x_px"] < 40, "positive"].all()
    assert not table.loc[table["centroid_x_px"] > 56, "positive"].any()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["-m", "no_such_model"], 5),
        (["--split", "none"], 2),
        (["--split", "magic"], 2),
        (["--diameter", "-3"], 2),
        (["--min-depth", "1.5"], 2),
        (["--min-size", "nan"], 2),
        (["--decoder", "magic"], 2),
        (["--split", "components", "--min-depth", "0.3"], 2),
        (["--positive-threshold", "0.1"], 2),
    ],
)
def test_a_wrong_request_writes_nothing(medseg, disc_model, folder, tmp_path, words, code):
    given = [] if "-m" in words else ["-m", disc_model]
    done = medseg("count", folder[0], "-o", tmp_path / "out", "--device", "cpu", *given, *words)
    assert done.code == code, done.err
    assert not (tmp_path / "out").exists()


def test_lesions_of_a_segmentation_are_told_apart_with_split(medseg, model, scans, tmp_path):
    out = tmp_path / "out"
    words = ("-m", model, "--device", "cpu", "--split", "components")
    done = medseg("segment", scans / "a.nii.gz", "-o", out, *words)
    assert done.code == 0, done.err
    table = pd.read_csv(out / "a_objects.csv")
    assert {"volume_ml", "longest_axial_diameter_mm", "name"} <= set(table)
    assert (out / "a_labels.nii.gz").is_file()
    assert read_labels(out / "a_instances.nii.gz").grid.same_as(read(scans / "a.nii.gz").grid)
    large = (table["volume_ml"].max() + table["volume_ml"].min()) / 2
    done = medseg("segment", scans / "a.nii.gz", "-o", tmp_path / "large", *words, "--min-size", 1000 * large)
    assert done.code == 0, done.err
    kept = pd.read_csv(tmp_path / "large" / "a_objects.csv")["volume_ml"]
    assert sorted(kept) == sorted(table.loc[table["volume_ml"] >= large, "volume_ml"])
    watershed = ("--split", "watershed")
    for wrong in ((*watershed, "--diameter", "5"), ("--min-size", "5"), (*watershed, "--decoder", "distance")):
        refused = medseg("segment", scans / "a.nii.gz", "-o", tmp_path / "no", *words[:-2], *wrong)
        assert refused.code == 4
        assert wrong[-2] in refused.err
