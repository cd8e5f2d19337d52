"""What a written NIfTI file holds, read by nibabel and by ourselves."""

import gzip
import os

import nibabel as nib
import numpy as np
import pytest

from medseg.errors import MedsegError, OutputError
from medseg.grid import Grid, image_grid
from medseg.io.nifti_write import verify_nifti, write_nifti
from medseg.io.read import read, read_labels
from medseg.io.write import write
from medseg.labels import Instances, LabelMap
from medseg.volume import Source, Volume


def labels_of(grid: Grid, highest: int, dtype=np.int64) -> LabelMap:
    array = np.zeros(grid.shape, dtype)
    array[1, 2, 3] = highest
    array[4:6, 5, 6] = 1
    return LabelMap(array, grid, {1: "one", highest: "high"})


@pytest.mark.parametrize(
    ("highest", "dtype"), [(1, "u1"), (255, "u1"), (256, "u2"), (65536, "u4"), (2**32, "i8"), (2**53, "i8")]
)
def test_labels_take_the_smallest_sufficient_type_and_come_back_exactly(tmp_path, oblique_grid, highest, dtype):
    labels = labels_of(oblique_grid, highest)
    write(labels, tmp_path / "a.nii.gz")
    image = nib.load(tmp_path / "a.nii.gz")
    assert image.get_data_dtype() == np.dtype(dtype)
    assert image.dataobj.slope == 1.0
    assert image.dataobj.inter == 0.0
    np.testing.assert_array_equal(read_labels(tmp_path / "a.nii.gz").array, labels.array)


def test_both_forms_hold_the_grid_and_its_code(tmp_path, oblique_grid):
    source = Source("scan.nii", "nifti", details={"form": "sform", "sform_code": 4, "qform_code": 1})
    labels = LabelMap(labels_of(oblique_grid, 2).array, oblique_grid, source=source)
    write(labels, tmp_path / "a.nii")
    header = nib.load(tmp_path / "a.nii").header
    for affine in (header.get_qform(), header.get_sform()):
        assert Grid(oblique_grid.shape, affine).same_as(oblique_grid, tolerance=1e-5)
    assert int(header["qform_code"]) == int(header["sform_code"]) == 4
    assert header.get_xyzt_units()[0] == "mm"


def test_48_orientations_come_back_with_both_forms_and_no_notice(tmp_path, oblique_grid):
    for first in "RL":
        for second in "AP":
            for third in "SI":
                for order in ((0, 1, 2), (1, 2, 0), (2, 0, 1), (0, 2, 1), (2, 1, 0), (1, 0, 2)):
                    codes = "".join((first, second, third)[i] for i in order)
                    grid = oblique_grid.mapped(oblique_grid.axes_to(codes))
                    write_nifti(labels_of(Grid((7, 9, 11), grid.world_from_index), 2), tmp_path / "a.nii")
                    back = read(tmp_path / "a.nii")
                    assert "".join(back.grid.axis_codes) == codes
                    assert back.warnings == ()
                    qform = Grid((7, 9, 11), nib.load(tmp_path / "a.nii").header.get_qform())
                    assert qform.same_as(back.grid, tolerance=1e-3)


@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "u1", ">i2", ">f4", "bool", "f2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_volumes_keep_their_values_whatever_their_memory_looks_like(tmp_path, oblique_grid, dtype, order, monkeypatch):
    monkeypatch.setattr("medseg.io.nifti_write._PIECE", 500)  # several pieces, the last one shorter
    numbers = np.random.default_rng(1).integers(0, 2 if dtype == "bool" else 100, oblique_grid.shape)
    array = np.asarray(numbers.astype(dtype), order=order)[np.newaxis]
    write(Volume(array, oblique_grid), tmp_path / "a.nii.gz")
    back = read(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(back.array, array)
    assert back.grid.same_as(oblique_grid, tolerance=1e-5)
    assert back.array.dtype == {"bool": np.uint8, "f2": np.float32}.get(dtype, np.dtype(dtype).newbyteorder("="))


def test_values_that_are_not_numbers_survive(tmp_path, oblique_grid):
    array = np.full((1, *oblique_grid.shape), np.nan, np.float32)
    array[0, 1, 1, 1] = np.inf
    write(Volume(array, oblique_grid), tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(read(tmp_path / "a.nii.gz").array, array)


def test_capital_letters_in_the_ending_change_nothing(tmp_path, oblique_grid):
    write(labels_of(oblique_grid, 3), tmp_path / "A.NII.GZ")
    assert (tmp_path / "A.NII.GZ").read_bytes()[:2] == b"\x1f\x8b"
    np.testing.assert_array_equal(read(tmp_path / "A.NII.GZ").array[0], labels_of(oblique_grid, 3).array)


def test_the_same_value_gives_the_same_bytes(tmp_path, oblique_grid):
    one = write(labels_of(oblique_grid, 3), tmp_path / "a.nii.gz")
    two = write(labels_of(oblique_grid, 3), tmp_path / "other_name.nii.gz")
    assert one.sha256 == two.sha256
    assert (tmp_path / "a.nii.gz").read_bytes()[4:8] == bytes(4)


def test_no_text_of_the_input_reaches_the_output(tmp_path, oblique_grid):
    image = nib.Nifti1Image(np.ones(oblique_grid.shape, np.uint8), oblique_grid.world_from_index)
    image.header.set_xyzt_units("mm")
    image.header["descrip"], image.header["aux_file"] = b"DOE^JANE", b"MRN4711"
    nib.save(image, tmp_path / "scan_of_DOE.nii")
    labels = read_labels(tmp_path / "scan_of_DOE.nii", classes={1: "liver"})
    write(labels, tmp_path / "out.nii.gz")
    content = gzip.decompress((tmp_path / "out.nii.gz").read_bytes())
    assert b"DOE" not in content
    assert b"MRN" not in content


def test_a_sheared_rounding_is_left_out_of_the_qform(tmp_path):
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    affine[0, 1] = 9e-4  # within the tolerance of a grid, but half a voxel at the far end
    grid = Grid((4, 600, 4), affine)
    write(Volume(np.zeros((1, 4, 600, 4), np.uint8), grid), tmp_path / "a.nii.gz")
    assert int(nib.load(tmp_path / "a.nii.gz").header["qform_code"]) == 0
    assert read(tmp_path / "a.nii.gz").grid.same_as(grid, tolerance=1e-4)


def test_what_nifti_cannot_hold_is_refused_in_words(tmp_path, oblique_grid):
    flat = image_grid((4, 5), (0.25, 0.25), "um")
    cases = [
        (Volume(np.zeros((1, 4, 5), np.uint8), flat), "Write it as .tif"),
        (Volume(np.zeros((2, *oblique_grid.shape), np.uint8), oblique_grid), "one channel"),
        (LabelMap(np.full(oblique_grid.shape, -1, np.int8), oblique_grid), "the label -1"),
    ]
    for value, words in cases:
        with pytest.raises(MedsegError, match=words):
            write(value, tmp_path / "a.nii.gz")
    assert os.listdir(tmp_path) == []


def test_an_unknown_ending_is_refused(tmp_path, oblique_grid):
    with pytest.raises(MedsegError, match=r"the ending '\.xyz'") as caught:
        write(labels_of(oblique_grid, 1), tmp_path / "a.xyz")
    assert caught.value.code == "E_USAGE"


def test_instances_are_written_as_labels_are(tmp_path, oblique_grid):
    labels = labels_of(oblique_grid, 90_000)
    write(Instances(labels.array, oblique_grid), tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(read_labels(tmp_path / "a.nii.gz").array, labels.array)


def test_reading_back_notices_every_difference(tmp_path, oblique_grid):
    labels = labels_of(oblique_grid, 2)
    write_nifti(labels, tmp_path / "a.nii")
    verify_nifti(labels, tmp_path / "a.nii")
    other = labels.array.copy()
    other[0, 0, 0] = 1
    wider = labels.array.copy()
    wider[0, 0, 0] = 300
    last = labels.array.copy()
    last[-1, -1, -1] = 1
    moved = Grid(oblique_grid.shape, oblique_grid.world_from_index + np.eye(4, k=3) * 0.01)
    changed = [LabelMap(array, oblique_grid) for array in (other, wider, last)]
    for value in (*changed, LabelMap(labels.array, moved)):
        with pytest.raises(OutputError, match="on reading the file back"):
            verify_nifti(value, tmp_path / "a.nii")


def test_a_writer_that_lies_is_caught_before_the_rename(tmp_path, oblique_grid, monkeypatch):
    def stump(value, path):
        write_nifti(value, path)
        path.write_bytes(path.read_bytes()[:-20])

    monkeypatch.setattr("medseg.io.nifti_write.write_nifti", stump)
    with pytest.raises(MedsegError):
        write(labels_of(oblique_grid, 2), tmp_path / "a.nii.gz")
    assert os.listdir(tmp_path) == []
