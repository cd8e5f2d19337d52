"""``medseg demo`` and ``medseg doctor``."""

import json
import re
import shutil

import numpy as np
import pytest

from medseg.ops.contact import touching
from medseg.samples.cells import nuclei
from medseg.samples.phantom import ELLIPSOIDS, ellipsoids
from medseg.samples.shelf import samples


def test_the_demo_ends_with_tables_and_pictures(medseg, tmp_path, monkeypatch):
    monkeypatch.delenv("MEDSEG_DATA", raising=False)
    done = medseg("demo", "-o", tmp_path / "demo", "--device", "cpu")
    assert done.code == 0, done.err
    assert (tmp_path / "demo" / "phantom" / "phantom_overlay.png").stat().st_size > 10_000
    assert "measured ml" in done.out
    for sample in samples():
        assert list((tmp_path / "demo" / sample.model).glob("*_overlay.png"))
    counts = tmp_path / "demo" / "cells" / "counts"
    assert (counts / "cells_overlay.png").stat().st_size > 10_000
    assert (counts / "report.html").is_file()
    counted, drawn, found = (int(n) for n in re.search(r"Counted (\d+), drawn (\d+): (\d+)", done.out).groups())
    assert counted == len((counts / "cells_objects.csv").read_text().splitlines()) - 1
    assert found >= 0.9 * drawn
    assert abs(counted - drawn) <= 0.1 * drawn
    assert medseg("demo", "-o", tmp_path / "demo", "--device", "cpu").code == 0


def test_the_demo_segments_a_sample_with_its_model(medseg, tmp_path, monkeypatch, model, dataset):
    from medseg.samples import shelf

    shutil.copytree(model, tmp_path / "models" / "boxes")
    monkeypatch.setenv("MEDSEG_MODELS", str(tmp_path / "models"))
    one = shelf.Sample("a box", dataset / "images" / "case_0.nii.gz", "boxes", "Computed.")
    monkeypatch.setattr(shelf, "samples", lambda: (one,))
    done = medseg("demo", "-o", tmp_path / "demo", "--device", "cpu")
    assert done.code == 0, done.err
    assert "a box: Computed." in done.out
    assert (tmp_path / "demo" / "boxes" / "case_0_overlay.png").is_file()


def test_the_measured_phantom_agrees_with_its_formula():
    from medseg.measure import measure

    phantom = ellipsoids()
    rows = measure(phantom.labels).set_index("name")
    for body in ELLIPSOIDS:
        assert rows.loc[body.name, "volume_ml"] == pytest.approx(body.volume_ml, rel=0.03)
        middle = np.array(phantom.labels.grid.shape) / 2 - 0.5 + np.array(body.centre) / phantom.labels.grid.spacing
        centre = rows.loc[body.name, ["centroid_x_mm", "centroid_y_mm", "centroid_z_mm"]].to_numpy(float)
        np.testing.assert_allclose(centre, phantom.labels.grid.world(middle), atol=0.3)


def test_two_bodies_of_the_phantom_touch():
    labels = ellipsoids().labels.array
    pairs = np.stack([labels[:-1].ravel(), labels[1:].ravel()])
    assert ((pairs[0] == 1) & (pairs[1] == 2)).any()


def test_the_same_seed_gives_the_same_phantom_and_another_seed_another():
    assert np.array_equal(ellipsoids(seed=1).volume.array, ellipsoids(seed=1).volume.array)
    assert not np.array_equal(ellipsoids(seed=1).volume.array, ellipsoids(seed=2).volume.array)


def test_the_computed_nuclei_are_whole_numbered_and_many_touch():
    made = nuclei(seed=3, n=60)
    truth = made.instances.array
    assert made.volume.array.dtype == np.uint16
    assert made.volume.grid.unit == "um"
    assert made.volume.grid.same_as(made.instances.grid)
    assert np.unique(truth).tolist() == list(range(61))
    assert (touching(truth, np.arange(1, 61)) > 0).mean() > 0.4
    means = [made.volume.array[0][truth == number].mean() for number in range(1, 61)]
    dark = made.volume.array[0][truth == 0]
    assert min(means) > np.median(dark) + 3 * dark.std() / 10
    assert max(means) > 3 * min(means)
    np.testing.assert_array_equal(nuclei(seed=3, n=60).volume.array, made.volume.array)


def test_every_sample_file_is_there_and_says_where_it_comes_from():
    for sample in samples():
        assert sample.path.is_file()
        assert len(sample.about.split()) > 3


def test_the_doctor_names_versions_device_and_models_folder(medseg, tmp_path, monkeypatch):
    import torch

    monkeypatch.setenv("MEDSEG_MODELS", str(tmp_path / "my models"))
    done = medseg("doctor")
    assert done.code == 0, done.out
    assert torch.__version__ in done.out
    assert str(tmp_path / "my models") in done.out
    assert "device" in done.out


@pytest.mark.parametrize(("version", "told"), [("2026.4.1", "2026.4.1"), ("", 'pip install "medseg[openvino]"')])
def test_the_doctor_says_whether_the_quicker_backend_is_there(medseg, monkeypatch, version, told):
    import torch

    monkeypatch.setattr("medseg.nets.backend.openvino_version", lambda: version)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    done = medseg("doctor")
    assert done.code == 0, done.out
    assert any("OpenVINO" in line and told in line for line in done.out.splitlines())


def test_a_missing_library_is_found(medseg, monkeypatch):
    monkeypatch.setattr("medseg.cli.doctor._required", lambda: ("no-such-library",))
    done = medseg("doctor")
    assert done.code == 4
    assert "Not working: no-such-library" in done.out


def test_json_outputs_are_one_object(medseg):
    assert isinstance(json.loads(medseg("models", "--json").out), list)
