"""Files, folders, trees and patterns become ordered cases with lossless names."""

import os
from pathlib import Path

import numpy as np
import pytest

from medseg.errors import UsageError
from medseg.workflow.inputs import find_cases
from medseg.workflow.names import MAX_NAME_BYTES


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"anything")
    return root


def names(found) -> list[str]:
    return [case.name for case in found.cases]


def write_slices(folder: Path, *, uid: str, n: int = 3, suffix: str = ".dcm", modality: str = "CT") -> None:
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    folder.mkdir(parents=True, exist_ok=True)
    for k in range(n):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[uid, str(k)])
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        data.SeriesInstanceUID, data.StudyInstanceUID, data.FrameOfReferenceUID = uid, "1.2.3", "1.2.4"
        data.Modality, data.PatientName, data.PatientID = modality, "Doe^Jane", "MRN4711"
        data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        data.Rows, data.Columns, data.SamplesPerPixel = 7, 9, 1
        data.PhotometricInterpretation, data.PixelRepresentation = "MONOCHROME2", 1
        data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
        data.PixelSpacing, data.ImageOrientationPatient = [1.5, 0.75], [1, 0, 0, 0, 1, 0]
        data.ImagePositionPatient, data.InstanceNumber = [5, -6, 3.0 * k], k + 1
        data.PixelData = np.arange(63, dtype=np.int16).reshape(7, 9).tobytes()
        data.save_as(folder / f"{uid.rpartition('.')[2]}_{k}{suffix}", enforce_file_format=True)


def test_the_name_is_the_relative_path_without_suffix(tmp_path):
    touch(tmp_path / "in", "b.nii.gz", "a.mha", "sub/deep/pat.01.v2.nii.gz", "pictures/cells.OME.TIFF")
    found = find_cases([tmp_path / "in"], tmp_path / "out")
    assert names(found) == ["a", "b", "pictures__cells", "sub__deep__pat.01.v2"]
    assert [case.input for case in found.cases] == [
        "a.mha",
        "b.nii.gz",
        "pictures/cells.OME.TIFF",
        "sub/deep/pat.01.v2.nii.gz",
    ]


def test_files_are_taken_in_the_order_given(tmp_path):
    touch(tmp_path, "z.nii", "a.nii", "-rf.nii.gz")
    given = [tmp_path / name for name in ("z.nii", "-rf.nii.gz", "a.nii")]
    assert names(find_cases(given, tmp_path / "out")) == ["z", "-rf", "a"]


@pytest.mark.parametrize(
    "members",
    [
        ("scan.nii", "scan.nii.gz"),
        ("Scan.nii.gz", "scan.nii.gz"),
        ("a__b.nii", "a/b.nii"),
        ("\u00e9.nii", "e\u0301.nii"),
    ],
    ids=["suffix", "case", "joined folder", "composition of accents"],
)
def test_two_inputs_with_one_result_name_are_refused(tmp_path, members):
    touch(tmp_path / "in", *members)
    with pytest.raises(UsageError, match="E_OUTPUT_COLLISION") as caught:
        find_cases([tmp_path / "in"], tmp_path / "out")
    assert all(Path(member).name in str(caught.value) for member in members)
    assert not (tmp_path / "out").exists()


def test_inputs_whose_names_differ_do_not_collide(tmp_path):
    touch(tmp_path / "in", "scan.nii", "scan_labels.nii", "scan2.nii")
    assert names(find_cases([tmp_path / "in"], tmp_path / "out")) == ["scan", "scan2", "scan_labels"]


def test_litter_is_listed_with_a_reason_and_never_a_case(tmp_path):
    litter = ("._good.nii.gz", ".DS_Store", "Thumbs.db", ".good.nii.gz.tmp-1234", "notes.txt", "good.json", "DICOMDIR")
    touch(tmp_path / "in", "good.nii.gz", *litter, "__MACOSX/x.nii", ".hidden/y.nii")
    found = find_cases([tmp_path / "in"], tmp_path / "out")
    assert names(found) == ["good"]
    assert {item.path for item in found.skipped} == {*litter, "__MACOSX", ".hidden"}
    assert all(item.reason for item in found.skipped)


def test_a_companion_of_a_header_is_no_case_of_its_own(tmp_path):
    touch(tmp_path / "in", "a.mhd", "a.raw", "b.hdr", "b.img", "c.nhdr", "c.raw.gz")
    found = find_cases([tmp_path / "in"], tmp_path / "out")
    assert names(found) == ["a", "b", "c"]
    assert {item.path for item in found.skipped} == {"a.raw", "b.img", "c.raw.gz"}


def test_a_damaged_image_is_a_case_and_not_litter(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "zero.nii.gz").touch()
    os.symlink("nowhere.nii.gz", tmp_path / "in" / "dangling.nii.gz")
    found = find_cases([tmp_path / "in"], tmp_path / "out")
    assert names(found) == ["dangling", "zero"]


def test_a_long_name_is_shortened_with_a_hash_and_the_full_one_kept(tmp_path):
    longest = "ü" * 124
    touch(tmp_path / "in", f"{longest}.nii", f"{longest[:-1]}u.nii")
    cases = find_cases([tmp_path / "in"], tmp_path / "out").cases
    assert len({case.name for case in cases}) == 2
    assert {case.full_name for case in cases} == {longest, f"{longest[:-1]}u"}
    for case in cases:
        assert len(os.fsencode(case.name)) <= MAX_NAME_BYTES
        assert len(os.fsencode(f"{case.name}_instances.ome.zarr")) < 255


def test_a_name_that_is_no_text_survives(tmp_path):
    name = os.fsdecode(b"caf\xe9.nii")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(b"x")
    (case,) = find_cases([tmp_path / "in"], tmp_path / "out").cases
    assert os.fsencode(case.name) == b"caf\xe9"


def test_channel_files_are_one_case_in_order(tmp_path):
    touch(tmp_path / "in", "p1_0001.nii.gz", "p1_0000.nii.gz", "p2_0000.nii.gz", "p2_0001.nii.gz", "both.nii.gz")
    cases = find_cases([tmp_path / "in"], tmp_path / "out", n_channels=2).cases
    assert {case.name: [f.name for f in case.files] for case in cases} == {
        "both": ["both.nii.gz"],
        "p1": ["p1_0000.nii.gz", "p1_0001.nii.gz"],
        "p2": ["p2_0000.nii.gz", "p2_0001.nii.gz"],
    }
    assert all(case.problem is None for case in cases)


@pytest.mark.parametrize(
    "members", [("p_0000.nii", "p_0002.nii"), ("p_0001.nii",), ("p_0000.nii", "p_0001.nii", "p_0002.nii")]
)
def test_missing_or_surplus_channels_are_a_refusal_that_names_them(tmp_path, members):
    touch(tmp_path / "in", *members)
    (case,) = find_cases([tmp_path / "in"], tmp_path / "out", n_channels=2).cases
    assert case.name == "p"
    assert case.problem.code == "E_DIMENSIONS_UNSUPPORTED"
    assert all(Path(m).stem[1:] in case.problem.found for m in members)


def test_a_model_of_one_channel_takes_numbered_files_one_by_one(tmp_path):
    touch(tmp_path / "in", "t_0000.tif", "t_0001.tif", "alone_0000.nii.gz")
    assert names(find_cases([tmp_path / "in"], tmp_path / "out")) == ["alone", "t_0000", "t_0001"]


def test_each_folder_of_slices_is_a_case(tmp_path):
    write_slices(tmp_path / "in" / "Study1" / "head", uid="1.2.11")
    write_slices(tmp_path / "in" / "Study2" / "head", uid="1.2.12", suffix="")
    touch(tmp_path / "in", "Study1/head/report.txt", "other.nii")
    found = find_cases([tmp_path / "in"], tmp_path / "out")
    assert names(found) == ["other", "Study1__head", "Study2__head"]
    assert found.cases[1].files == (tmp_path / "in" / "Study1" / "head",)
    assert [item.path for item in found.skipped] == ["Study1/head/report.txt"]


def test_a_folder_of_slices_given_itself_has_its_own_name(tmp_path):
    write_slices(tmp_path / "head", uid="1.2.11")
    (case,) = find_cases([tmp_path / "head"], tmp_path / "out").cases
    assert (case.name, case.input) == ("head", "head")


def test_several_series_in_a_folder_are_cases_named_by_their_keys(tmp_path):
    write_slices(tmp_path / "in" / "mixed", uid="1.2.21")
    write_slices(tmp_path / "in" / "mixed", uid="1.2.22", n=4)
    cases = find_cases([tmp_path / "in"], tmp_path / "out").cases
    assert len(cases) == 2
    assert {case.name for case in cases} == {f"mixed__{case.series}" for case in cases}
    assert len({case.series for case in cases}) == 2


def test_a_series_that_the_user_named_is_the_only_case(tmp_path):
    write_slices(tmp_path / "in" / "mixed", uid="1.2.21")
    write_slices(tmp_path / "in" / "mixed", uid="1.2.22")
    assert names(find_cases([tmp_path / "in"], tmp_path / "out", split_series=False)) == ["mixed"]


def test_slices_below_slices_do_not_make_the_upper_folder_ambiguous(tmp_path):
    write_slices(tmp_path / "in" / "a", uid="1.2.31")
    write_slices(tmp_path / "in" / "a" / "b", uid="1.2.32")
    cases = find_cases([tmp_path / "in"], tmp_path / "out").cases
    assert [case.name for case in cases] == ["a", "a__b"]
    assert cases[0].series is not None


def test_objects_that_are_no_scan_above_folders_of_slices_are_listed(tmp_path):
    write_slices(tmp_path / "in" / "a" / "b", uid="1.2.32")
    write_slices(tmp_path / "in" / "a", uid="1.2.33", n=1, modality="SR")
    found = find_cases([tmp_path / "in"], tmp_path / "out")
    assert names(found) == ["a__b"]
    assert [item.path for item in found.skipped] == ["a"]


def test_a_skipped_file_is_told_by_what_it_holds(tmp_path):
    touch(tmp_path / "in", "a.nii")
    (tmp_path / "in" / "scan.mnc").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    (item,) = find_cases([tmp_path / "in"], tmp_path / "out").skipped
    assert "HDF5 or MINC" in item.reason


def test_the_output_folder_inside_the_input_is_never_searched(tmp_path):
    touch(tmp_path / "in", "a.nii", "out/a_labels.nii", "out/deep/b.nii")
    assert names(find_cases([tmp_path / "in"], tmp_path / "in" / "out")) == ["a"]
    assert names(find_cases([str(tmp_path / "in" / "*")], tmp_path / "in" / "out")) == ["a"]


def test_results_of_an_earlier_run_are_never_inputs(tmp_path):
    touch(tmp_path / "in", "a.nii", "old/a_labels.nii", "old/a.medseg.json")
    found = find_cases([tmp_path / "in"], tmp_path / "new")
    assert names(found) == ["a"]
    assert [(item.path, item.reason) for item in found.skipped] == [("old", "results of an earlier run")]


@pytest.mark.parametrize("given", ["in", "in/a.nii", "in/*.nii", "in/."])
def test_an_output_folder_that_is_the_inputs_is_refused(tmp_path, given):
    touch(tmp_path / "in", "a.nii")
    with pytest.raises(UsageError, match="E_USAGE"):
        find_cases([f"{tmp_path}/{given}"], tmp_path / "in")


def test_a_linked_output_folder_is_recognised(tmp_path):
    touch(tmp_path / "in", "a.nii")
    os.symlink(tmp_path / "in", tmp_path / "alias")
    with pytest.raises(UsageError, match="E_USAGE"):
        find_cases([tmp_path / "in"], tmp_path / "alias")


@pytest.mark.parametrize(
    ("given", "code"), [("empty", "E_INPUT_EMPTY"), ("gone.nii", "E_INPUT_UNREADABLE"), ("*.mha", "E_INPUT_EMPTY")]
)
def test_an_argument_without_a_case_is_reported_and_not_lost(tmp_path, given, code):
    touch(tmp_path, "a.nii", "empty/.DS_Store")
    found = find_cases([tmp_path / "a.nii", f"{tmp_path}/{given}"], tmp_path / "out")
    assert found.cases[0].problem is None
    assert found.cases[1].problem.code == code


def test_a_pattern_gives_names_relative_to_its_fixed_part(tmp_path):
    touch(tmp_path, "s1/t1.nii", "s2/t1.nii", "s2/t2.nii")
    assert names(find_cases([f"{tmp_path}/s*/t1.nii"], tmp_path / "out")) == ["s1__t1", "s2__t1"]
    assert names(find_cases([f"{tmp_path}/**/t2.nii"], tmp_path / "out")) == ["s2__t2"]


def test_a_name_with_brackets_is_a_file_before_it_is_a_pattern(tmp_path):
    touch(tmp_path, "scan[1].nii")
    assert names(find_cases([tmp_path / "scan[1].nii"], tmp_path / "out")) == ["scan[1]"]


def test_a_loop_of_links_ends(tmp_path):
    touch(tmp_path / "in", "a.nii")
    os.symlink(tmp_path / "in", tmp_path / "in" / "again")
    os.symlink("loop.nii", tmp_path / "in" / "loop.nii")
    assert names(find_cases([tmp_path / "in"], tmp_path / "out")) == ["a", "loop"]


def test_what_two_arguments_lead_to_is_one_case(tmp_path):
    touch(tmp_path / "in", "a.nii")
    found = find_cases([tmp_path / "in", tmp_path / "in" / "a.nii"], tmp_path / "out")
    assert names(found) == ["a"]
    assert [item.reason for item in found.skipped] == ["given twice"]
