"""``medseg info`` in words and as JSON."""

import json

import numpy as np
import pytest

from medseg.cli.info import NAMES


def test_the_json_has_the_keys_of_the_contract_and_the_truth(medseg, labelled):
    done = medseg("info", labelled[0], "--json")
    found = json.loads(done.out)
    assert done.code == 0
    assert tuple(found) == NAMES
    assert found["shape"] == [24, 20, 12]
    np.testing.assert_allclose(found["spacing"], [1.0, 1.25, 2.0], rtol=1e-6)
    np.testing.assert_allclose(np.array(found["world_from_index"])[:3, 3], [21.0, -40.0, 7.5])
    assert (found["unit"], found["space"], found["orientation"], found["error"]) == ("mm", "patient", "RAS", None)


def test_the_words_name_shape_spacing_and_orientation(medseg, labelled):
    done = medseg("info", labelled[0])
    assert done.code == 0
    assert "24 x 20 x 12 voxels" in done.out
    assert "1 x 1.25 x 2 mm" in done.out
    assert "right, front, head" in done.out


def test_a_truncated_file_is_refused_with_4_and_all_keys(medseg, labelled):
    path = labelled[0]
    path.write_bytes(path.read_bytes()[:-200])
    done = medseg("info", path, "--json")
    found = json.loads(done.out)
    assert done.code == 4
    assert tuple(found) == NAMES
    assert found["error"]["code"] == "E_INPUT_UNREADABLE"
    assert all(found["error"][part] for part in ("found", "expected", "not_done", "remedy"))


def test_a_refusal_in_words_goes_to_stderr_without_a_traceback(medseg, tmp_path):
    done = medseg("info", tmp_path / "nothing.nii.gz")
    assert done.code == 4
    assert done.out == ""
    assert "nothing.nii.gz" in done.err
    assert "remedy" in done.err
    assert "Traceback" not in done.err


def test_values_that_are_no_numbers_are_told(medseg, tmp_path):
    from medseg.grid import Grid
    from medseg.io.write import write
    from medseg.volume import Volume

    array = np.ones((1, 6, 5, 4), np.float32)
    array[0, 0, 0, 0] = np.nan
    array[0, 1] = 7
    write(Volume(array, Grid((6, 5, 4), np.eye(4))), tmp_path / "nan.nii.gz")
    found = json.loads(medseg("info", tmp_path / "nan.nii.gz", "--json").out)
    assert [w["code"] for w in found["warnings"]] == ["W_NONFINITE_REPLACED"]


@pytest.mark.data
def test_a_folder_of_several_series_lists_them(medseg, data_pack):
    done = medseg("info", data_pack("dicom"), "--json")
    found = json.loads(done.out)
    assert done.code == 4
    assert found["error"]["code"] == "E_SERIES_AMBIGUOUS"
    assert len(found["series"]) == 3
    key = found["series"][1]["key"]
    assert medseg("info", data_pack("dicom"), "--series", key).code == 0


def test_time_points_and_images_of_a_file_are_told(medseg, tmp_path):
    from lif_phantom import WrittenImage, write_lif

    lengths = {"x": 10 * 0.25e-6, "y": 8 * 0.3e-6}
    times = np.arange(3 * 9 * 11, dtype=np.uint16).reshape(3, 9, 11)
    images = [WrittenImage("flat", times[0], "yx", lengths), WrittenImage("film", times, "tyx", lengths)]
    path = write_lif(tmp_path / "cells.lif", images)
    listed = json.loads(medseg("info", path, "--json").out)
    assert listed["error"]["code"] == "E_SERIES_AMBIGUOUS"
    assert [s["key"] for s in listed["series"]] == ["0", "1"]
    asked = medseg("info", path, "--series", "1")
    assert asked.code == 4
    assert "--frame 0 to --frame 2" in asked.err
    found = json.loads(medseg("info", path, "--series", "1", "--frame", "2", "--json").out)
    assert (found["frames"], found["shape"], found["error"]) == (3, [9, 11], None)
    assert len(found["series"]) == 2
    words = medseg("info", path, "--series", "1", "--frame", "2").out
    assert "frames       3, of which one was read" in words
    assert "plate/film, 11 x 9, 1 channel, 3 time points" in words
