"""Which files of a training folder belong together."""

import json

import numpy as np
import pytest

from medseg.errors import InputError
from medseg.grid import Grid
from medseg.io.dataset import find_pairs
from medseg.io.dataset_json import read_dataset_file
from medseg.io.nifti_write import write_nifti
from medseg.io.suffixes import split_suffix
from medseg.labels import LabelMap


@pytest.fixture
def put(tmp_path, oblique_grid):
    """Return a function that writes small images by their path below the folder."""

    def write(*names, grid: Grid = oblique_grid):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_nifti(LabelMap(np.ones(grid.shape, np.uint8), grid), path)
        return tmp_path

    return write


def test_equal_names_are_pairs_whatever_their_ending(put):
    root = put("images/b.nii.gz", "labels/b.nii", "images/pat.01.nii.gz", "labels/pat.01.nii.gz")
    found = find_pairs(root)
    assert [case.id for case in found.cases] == ["b", "pat.01"]
    assert found.cases[0].images == (root / "images/b.nii.gz",)
    assert found.cases[0].label == root / "labels/b.nii"
    assert found.channels == ("0",)
    assert found.classes == {}
    assert found.problems == ()


def test_orphans_litter_and_twins_are_named_and_left_out(put):
    root = put("images/a.nii.gz", "labels/a.nii.gz", "images/c.nii.gz", "labels/d.nii.gz", "images/a.nii")
    (root / "images" / ".DS_Store").write_bytes(b"x")
    (root / "images" / "._a.nii.gz").write_bytes(b"x")
    (root / "labels" / "Thumbs.db").write_bytes(b"x")
    found = find_pairs(root)
    assert [case.id for case in found.cases] == ["a"]
    told = "\n".join(map(str, found.problems))
    assert "images/c.nii.gz (11x9x7 voxels) has no label; it was left out." in told
    assert "labels/d.nii.gz (11x9x7 voxels) has no image; it was left out." in told
    assert "has the same name as a.nii" in told
    for litter in (".DS_Store", "._a.nii.gz", "Thumbs.db"):
        assert f"{litter} is no image" in told
    assert len(found.problems) == 6


def test_pairs_on_different_grids_or_unreadable_are_named_and_left_out(put, oblique_grid):
    larger = Grid((12, 9, 7), oblique_grid.world_from_index)
    moved = Grid((11, 9, 7), oblique_grid.world_from_index + np.eye(4, k=3) * 2)
    root = put("images/a.nii.gz", "images/b.nii.gz", "images/c.nii.gz", "labels/c.nii.gz")
    put("labels/a.nii.gz", grid=larger)
    put("labels/b.nii.gz", grid=moved)
    (root / "images/c.nii.gz").write_bytes(b"")
    found = find_pairs(root)
    assert found.cases == ()
    assert "differ in size (11x9x7 and 12x9x7)" in found.problems[0].text
    assert "lie at different places" in found.problems[1].text
    assert "[E_INPUT_EMPTY]" in found.problems[2].text


def test_channel_suffixes_make_one_case_of_several_images(put):
    root = put("images/a_0000.nii.gz", "images/a_0001.nii.gz", "labels/a.nii.gz")
    put("images/b_0001.nii.gz", "images/b_0000.nii.gz", "labels/b.nii.gz")
    put("images/c_0000.nii.gz", "labels/c.nii.gz", "images/d_0007.nii.gz", "labels/d_0007.nii.gz")
    found = find_pairs(root)
    assert [case.id for case in found.cases] == ["a", "b"]
    assert [path.name for path in found.cases[1].images] == ["b_0000.nii.gz", "b_0001.nii.gz"]
    assert found.channels == ("0", "1")
    assert found.problems[0].text == "Case c has channel 0 where others have channels 0, 1."
    # a name that ends in digits is a case of its own where its label does too
    assert "d_0007" in found.problems[1].text


def test_an_msd_folder_is_read_from_its_description(put):
    root = put("imagesTr/a.nii.gz", "labelsTr/a.nii.gz", "imagesTr/extra.nii.gz")
    content = {
        "modality": {"0": "MRI"},
        "labels": {"0": "background", "1": "Anterior", "2": "Posterior"},
        "training": [
            {"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"},
            {"image": "./imagesTr/gone.nii.gz", "label": "./labelsTr/gone.nii.gz"},
        ],
    }
    (root / "dataset.json").write_text(json.dumps(content))
    found = find_pairs(root)
    assert [case.id for case in found.cases] == ["a"]
    assert found.classes == {1: "Anterior", 2: "Posterior"}
    assert found.channels == ("MRI",)
    told = "\n".join(map(str, found.problems))
    assert "imagesTr/gone.nii.gz is listed in dataset.json but is not there." in told
    assert "imagesTr/extra.nii.gz (11x9x7 voxels) is not listed" in told


def test_an_nnunet_folder_is_read_by_its_suffixes(put):
    root = put("imagesTr/a_0000.nii.gz", "imagesTr/a_0001.nii.gz", "labelsTr/a.nii.gz")
    content = {"channel_names": {"0": "T1", "1": "T2"}, "labels": {"background": 0, "lesion": 1, "ignore": 2}}
    (root / "dataset.json").write_text(json.dumps(content))
    found = find_pairs(root)
    assert found.channels == ("T1", "T2")
    assert found.classes == {1: "lesion"}
    assert len(found.cases[0].images) == 2


def test_the_split_table_is_obeyed(put):
    root = put("images/a.nii.gz", "labels/a.nii.gz", "images/b.nii.gz", "labels/b.nii.gz")
    put("images/c.nii.gz", "labels/c.nii.gz")
    (root / "split.csv").write_text("\ufeffid,split,group\na,train,g1\nb,val,\nz,train,g9\n", encoding="utf-8")
    found = find_pairs(root)
    assert found.split == {"a": "train", "b": "val"}
    assert found.groups == {"a": "g1"}
    assert [p.text for p in found.problems] == ["split.csv does not name 1 of the cases: c."]
    (root / "split.csv").write_text("name,fold\na,1\n")
    with pytest.raises(InputError, match="columns id and split"):
        find_pairs(root)


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        ("{", "E_INPUT_UNREADABLE", "not valid JSON"),
        ("[" * 100_000, "E_INPUT_UNREADABLE", "not valid JSON"),
        ("[]", "E_INPUT_UNREADABLE", "no object"),
        ('{"labels": [1]}', "E_INPUT_UNREADABLE", "labels that are no table"),
        ('{"labels": {"region": [1, 2]}}', "E_INPUT_UNREADABLE", "the label 'region'"),
        ('{"training": {}}', "E_INPUT_UNREADABLE", "no list"),
        ('{"training": ["a"]}', "E_INPUT_UNREADABLE", "the training case 'a'"),
        ('{"training": [{"image": "../x.nii", "label": "y.nii"}]}', "E_PATH_UNSAFE", "'../x.nii'"),
        ('{"training": [{"image": "a/x.nii", "label": "/etc/y.nii"}]}', "E_PATH_UNSAFE", "'/etc/y.nii'"),
        ('{"training": [{"image": "a\\\\..\\\\..\\\\x.nii", "label": "y"}]}', "E_PATH_UNSAFE", "inside the folder"),
    ],
)
def test_a_description_that_cannot_be_used_is_refused_in_words(tmp_path, content, code, words):
    (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(InputError) as caught:
        read_dataset_file(tmp_path)
    assert caught.value.code == code
    assert words in str(caught.value)


def test_a_folder_without_the_layout_says_what_it_should_hold(tmp_path):
    with pytest.raises(InputError, match="images and labels, or imagesTr and labelsTr") as caught:
        find_pairs(tmp_path)
    assert caught.value.code == "E_INPUT_EMPTY"
    with pytest.raises(InputError, match="nothing there"):
        find_pairs(tmp_path / "gone")


def test_names_lose_their_image_ending_as_one_piece(tmp_path):
    names = ("a.nii.gz", "a.b.nii", "a.ome.tif", "a.PNG", "a", ".nii.gz", "a.txt")
    assert [split_suffix(name)[0] for name in names] == ["a", "a.b", "a", "a", "a", ".nii.gz", "a.txt"]


@pytest.mark.data
def test_the_hippocampus_pack_is_208_pairs(data_pack):
    found = find_pairs(data_pack("hippocampus"))
    assert len(found.cases) == 208
    assert found.problems == ()


@pytest.mark.data
def test_every_fault_of_the_dirty_pack_is_named(data_pack):
    found = find_pairs(data_pack("hippocampus_dirty"))
    assert found.cases == ()
    told = "\n".join(map(str, found.problems))
    for words in ("dot_DS_Store is no image", "118.nii.gz (37x52x33 voxels) has no label", "(512x512x94 voxels)"):
        assert words in told
    assert len(found.problems) == 4


@pytest.mark.data
def test_the_nuclei_pack_keeps_its_split_and_groups(data_pack):
    found = find_pairs(data_pack("dsb2018"))
    assert len(found.cases) == 583
    assert sorted(set(found.split.values())) == ["train", "val"]
    assert len(found.groups) == 583
    assert len(set(found.groups.values())) == 190
    assert found.problems == ()
