"""A tree of several patients and series, as a disc from a clinic holds it: one case per series, nothing mixed."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import generate_uid

from medseg.errors import InputError, SeriesAmbiguousError
from medseg.io.options import ReadOptions
from medseg.io.probe import probe
from medseg.io.read import read_labels
from medseg.progress import finish
from medseg.workflow.inputs import find_cases
from medseg.workflow.options import RunOptions
from medseg.workflow.reading import read_case
from medseg.workflow.run import run_steps


def beside(path: str, name: str):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / path)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


phantom = beside("../io/dicom_phantom.py", "dicom_phantom_of_trees")
mean = beside("mean_segmenter.py", "mean_segmenter_of_trees")

DICOMDIR = "1.2.840.10008.1.3.10"
OBJECTS = {"SEG": "1.2.840.10008.5.1.4.1.1.66.4", "RTSTRUCT": "1.2.840.10008.5.1.4.1.1.481.3"}


def values_of(patient: int, number: int) -> np.ndarray:
    """Return values that tell patient and series apart, of a size of their own."""
    return phantom.stored_values(5 + number, seed=10 * patient + number) + 5 * patient


def a_series(patient: int, number: int) -> list:
    uid = f"{phantom.SERIES}.{patient}.{number}"

    def of_patient(k, dataset):
        dataset.PatientName, dataset.PatientID = f"Findme^Patient{patient}", f"ID-{patient}"
        dataset.StudyInstanceUID = f"1.2.{patient}"
        dataset.FrameOfReferenceUID = f"1.2.3.{patient}"

    return phantom.series(values_of(patient, number), uid=uid, spoil=of_patient)


def a_localizer(patient: int) -> list:
    def turned(k, dataset):
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]

    return phantom.series(phantom.stored_values(1), uid=f"{phantom.SERIES}.{patient}.9", spoil=turned)


def objects(patient: int) -> list:
    found = []
    for modality, sop_class in OBJECTS.items():
        dataset = phantom.header(generate_uid(), sop_class, generate_uid())
        dataset.Modality = modality
        found.append(dataset)
    return found


def dicomdir(folder: Path) -> None:
    """Write a directory file, which names the others and holds no image."""
    dataset = phantom.header(generate_uid(), DICOMDIR, generate_uid())
    dataset.file_meta.MediaStorageSOPClassUID = DICOMDIR
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    for name in ("SOPClassUID", "SOPInstanceUID", "Modality", "SeriesInstanceUID"):
        delattr(dataset, name)
    dataset.save_as(folder / "DICOMDIR", enforce_file_format=True)


@pytest.fixture
def tree(tmp_path):
    """Two patients with two series each in folders of their own, and what else a disc holds."""
    root = tmp_path / "disc of the clinic"
    for patient in (1, 2):
        folder = root / f"patient no {patient}"
        for number in (1, 2):
            phantom.write(a_series(patient, number), folder / f"series {number}")
        phantom.write(a_localizer(patient), folder / "scout")
        phantom.write(objects(patient), folder / "drawn later", ["seg.dcm", "rt.dcm"])
    dicomdir(root)
    (root / "autorun.inf").write_text("open=viewer.exe")
    return root


@pytest.fixture
def heap(tmp_path):
    """The same in one folder, under names that say nothing."""
    everything = [d for p in (1, 2) for d in (*a_series(p, 1), *a_series(p, 2), *a_localizer(p), *objects(p))]
    order = np.random.default_rng(4).permutation(len(everything))
    folder = phantom.write([everything[i] for i in order], tmp_path / "DICOM", [f"I{n:04}" for n in range(len(order))])
    dicomdir(folder)
    return folder


def whose(volume) -> tuple[int, int]:
    """Return patient and series by the values alone."""
    for patient in (1, 2):
        for number in (1, 2):
            wanted = values_of(patient, number)
            if volume.grid.shape[2] == len(wanted) and np.array_equal(volume.array[0].T, wanted):
                return patient, number
    raise AssertionError(f"values of no series, or of several: {volume!r}")


def test_a_tree_gives_one_case_per_series(tree, tmp_path):
    found = find_cases([tree], tmp_path / "out")
    whole = {case.name: case for case in found.cases}
    assert sorted(whole) == [f"patient no {p}__series {n}" for p in (1, 2) for n in (1, 2)]
    told = {name: whose(read_case(case, ReadOptions(), ("image",))[0]) for name, case in whole.items()}
    assert told == {f"patient no {p}__series {n}": (p, n) for p in (1, 2) for n in (1, 2)}
    skipped = {s.path: s.reason for s in found.skipped}
    others = {f"patient no {p}/{folder}" for p in (1, 2) for folder in ("scout", "drawn later")}
    assert set(skipped) == {"DICOMDIR", "autorun.inf", *others}
    assert all("no scan" in skipped[path] for path in others)


def test_a_heap_gives_one_case_per_series_named_without_the_patient(heap, tmp_path):
    found = find_cases([heap], tmp_path / "out")
    assert len(found.cases) == 4
    assert sorted(whose(read_case(case, ReadOptions(), ("image",))[0]) for case in found.cases) == [
        (1, 1), (1, 2), (2, 1), (2, 2)
    ]  # fmt: skip
    for case in found.cases:
        assert case.name == f"DICOM__{case.series}"
        assert not any(text in case.name for text in ("Findme", "Patient", "ID-"))


def test_the_whole_tree_is_never_read_as_one_image(tree, heap):
    for folder in (tree, heap):
        with pytest.raises(SeriesAmbiguousError) as caught:
            probe(folder)
        keys = [key for key, _ in caught.value.choices]
        assert len(keys) == len(set(keys)) == 4
        assert "Findme" not in str(caught.value) + str(caught.value.choices)
        assert {whose_key(folder, key) for key in keys} == {(1, 1), (1, 2), (2, 1), (2, 2)}


def whose_key(folder: Path, key: str) -> tuple[int, int]:
    from medseg.io.read import read

    return whose(read(folder, series=key))


def test_a_run_over_a_heap_writes_one_result_per_series_and_no_name(heap, tmp_path):
    out = tmp_path / "out"
    finish(run_steps([heap], out, options=RunOptions(model="mean"), segmenter=mean.MeanSegmenter()), None)
    labels = sorted(out.glob("*_labels.nii.gz"))
    assert len(labels) == 4
    assert sorted(read_labels(path).grid.shape[2] for path in labels) == [6, 6, 7, 7]
    rows = [json.loads(line) for line in (out / "report.jsonl").read_text().splitlines()]
    assert {row["state"] for row in rows if row.get("case")} <= {"ok", "ok_with_warnings"}
    text = "".join(
        p.read_text(errors="replace") for p in out.rglob("*") if p.suffix in (".json", ".jsonl", ".csv", ".html")
    )
    assert not any(name in text for name in ("Findme", "ID-1", "ID-2", *phantom.PATIENT))


@pytest.mark.parametrize("folder", ["scout", "drawn later"])
def test_what_lies_beside_scans_is_looked_at_where_it_is_asked_for(tree, tmp_path, folder):
    (case,) = find_cases([tree / "patient no 1" / folder], tmp_path / "out").cases
    if folder == "scout":
        assert read_case(case, ReadOptions(), ("image",))[0].grid.shape[2] == 1
    else:
        with pytest.raises(InputError, match="contours"):
            read_case(case, ReadOptions(), ("image",))


def test_a_localizer_above_the_folders_of_series_is_left_out(tree, tmp_path):
    phantom.write(a_localizer(3), tree / "patient no 1", ["scout.dcm"])
    assert len(find_cases([tree], tmp_path / "out").cases) == 4
