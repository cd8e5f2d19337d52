"""Every DICOM case of the hostile corpus, and every odd DICOM file of the data packs, ends as it must."""

import json
import time
import warnings

import numpy as np
import pytest

from medseg.errors import MedsegError
from medseg.io.dicom import list_series, probe_dicom, read_dicom
from medseg.io.options import ReadOptions

OPTIONS = ReadOptions()
ALLOWED = {
    "E_INPUT_FORMAT",
    "E_INPUT_UNREADABLE",
    "E_INPUT_EMPTY",
    "E_DIMENSIONS_UNSUPPORTED",
    "E_GEOMETRY_INVALID",
    "E_SERIES_AMBIGUOUS",
    "E_SERIES_INCOMPLETE",
    "E_SERIES_NONUNIFORM",
}


def outcome(path):
    """Return the volume or the refusal, and check that the probe says the same."""
    try:
        volume = read_dicom(path, OPTIONS)
    except MedsegError as error:
        return error
    probe = probe_dicom(path, OPTIONS)
    assert probe.grid.same_as(volume.grid)
    assert (probe.dtype, probe.n_bytes) == (volume.array.dtype.name, volume.array.nbytes)
    assert probe.warnings == volume.warnings
    return volume


def test_every_hostile_case_ends_as_the_manifest_says(hostile):
    corpus, cases = hostile
    cases = [case for case in cases if case["group"] == "dicom"]
    assert cases
    wrong = [problem for case in cases for problem in problems(case, outcome(corpus / case["path"]))]
    assert wrong == []


def problems(case, found):
    """Yield what is not as the manifest says."""
    expect, name = case["expect"], case["id"]
    if isinstance(found, MedsegError) and not all((found.found, found.expected, found.not_done, found.remedy)):
        yield f"{name}: a refusal without its four parts"
    if expect["action"] == "refuse":
        if not isinstance(found, MedsegError) or found.code != expect["code"]:
            yield f"{name}: {found!r}, not {expect['code']}"
        return
    if isinstance(found, MedsegError):
        yield f"{name}: {found}"
        return
    if found.grid.shape != tuple(expect["shape"]):
        yield f"{name}: shape {found.grid.shape}"
    if not np.allclose(found.grid.spacing, expect.get("spacing_mm", found.grid.spacing)):
        yield f"{name}: spacing {found.grid.spacing}"
    if [n.code for n in found.warnings] != list(filter(None, [expect.get("code")])):
        yield f"{name}: {found.warnings}"
    for *place, value in expect.get("value_at_ras", []):
        index = tuple(int(i) for i in np.rint(found.grid.index(place)))
        if found.array[0][index] != value:
            yield f"{name}: {found.array[0][index]} at {place}, not {value}"


def test_nothing_of_the_patient_leaves_the_hostile_series(hostile):
    corpus, cases = hostile
    manifest = json.loads((corpus.parent / "manifest.json").read_text())
    for case in cases:
        if case["group"] != "dicom":
            continue
        found = outcome(corpus / case["path"])
        words = (
            str(found) if isinstance(found, MedsegError) else repr(found) + repr(found.source) + repr(found.warnings)
        )
        assert not any(text in words for text in manifest["phi_strings"]), case["id"]


def test_every_odd_file_ends_in_a_volume_or_a_named_refusal(data_pack):
    files = [f for f in sorted(data_pack("dicom_odd").rglob("*")) if f.is_file()]
    assert len(files) > 200
    n_read = 0
    for file in files:
        start = time.process_time()
        found = outcome(file)
        assert time.process_time() - start < 5, file
        if isinstance(found, MedsegError):
            assert found.code in ALLOWED, (file, found)
        else:
            n_read += 1
    assert n_read > 40


def test_pydicom_decodes_the_odd_files_to_the_same_values(data_pack):
    import pydicom

    n_compared = 0
    for file in sorted(data_pack("dicom_odd").rglob("*")):
        found = outcome(file) if file.is_file() else None
        if found is None or isinstance(found, MedsegError) or found.grid.shape[2] != 1:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(file, force=True)
            theirs = dataset.pixel_array.T * float(dataset.get("RescaleSlope", 1)) + dataset.get("RescaleIntercept", 0)
        if found.source.details["n_padding_replaced"] == 0:
            np.testing.assert_allclose(found.array[0, :, :, 0], theirs.astype(float), rtol=1e-6, err_msg=str(file))
            n_compared += 1
    assert n_compared > 30


def test_every_odd_folder_ends_in_a_volume_or_a_named_refusal(data_pack):
    root = data_pack("dicom_odd")
    for folder in sorted({root, *(f for f in root.rglob("*") if f.is_dir())}):
        found = outcome(folder)
        if isinstance(found, MedsegError):
            assert found.code in ALLOWED, (folder, found)


def test_every_listed_series_of_the_odd_tree_can_be_asked_for_by_its_key(data_pack):
    root = data_pack("dicom_odd")
    listed = list_series(root / "rt-utils")
    assert len({s.key for s in listed}) == len(listed) > 1
    for info in listed:
        assert read_dicom(root / "rt-utils", ReadOptions(series=info.key)).grid.shape == info.shape


def test_the_crop_series_and_the_ct_are_read_from_their_tree(data_pack):
    root = data_pack("dicom")
    shapes = {info.shape for info in list_series(root)}
    assert shapes == {(35, 51, 32), (36, 48, 35), (512, 512, 20)}


def test_the_ct_series_lies_on_its_nifti_twin(data_pack):
    import nibabel

    folder = data_pack("ct_mr_organs") / "totalseg"
    volume = read_dicom(folder / "example_ct_dicom", OPTIONS)
    assert volume.grid.spacing == pytest.approx((0.9765625, 0.9765625, 2.0), abs=1e-4)
    assert volume.array.dtype == np.int16
    labels = nibabel.load(folder / "example_seg_dicom.nii.gz")
    assert sorted(labels.shape) == sorted(volume.grid.shape)
    ends = np.array([labels.affine @ [*(np.array(c) * (np.array(labels.shape) - 1)), 1] for c in np.ndindex(2, 2, 2)])
    corners = volume.grid.corners()
    np.testing.assert_allclose(ends[:, :3].min(axis=0), corners.min(axis=0), atol=1e-2)
    np.testing.assert_allclose(ends[:, :3].max(axis=0), corners.max(axis=0), atol=1e-2)
