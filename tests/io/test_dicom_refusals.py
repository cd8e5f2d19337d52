"""Damaged, hostile and foreign DICOM files: each one is refused in words, fast, and nothing is guessed."""

import importlib.util
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, generate_uid

from medseg.errors import InputError, MedsegError
from medseg.io.dicom import probe_dicom, read_dicom
from medseg.io.options import ReadOptions

_SPEC = importlib.util.spec_from_file_location("dicom_phantom", Path(__file__).with_name("dicom_phantom.py"))
phantom = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(phantom)

OPTIONS = ReadOptions()


def saved(dataset):
    stream = io.BytesIO()
    dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


def one_slice():
    return phantom.series()[0]


def refusal(tmp_path, data, function=read_dicom):
    path = tmp_path / "slice.dcm"
    path.write_bytes(data if isinstance(data, bytes) else saved(data))
    with pytest.raises(MedsegError) as caught:
        function(path, OPTIONS)
    sentence = str(caught.value)
    assert not any(text in sentence for text in phantom.PATIENT)
    assert all((caught.value.found, caught.value.expected, caught.value.not_done, caught.value.remedy))
    return caught.value


def test_a_truncated_file_is_refused_at_every_length(tmp_path):
    whole = saved(one_slice())
    for n in np.linspace(0, len(whole) - 1, 64).astype(int):
        for function in (probe_dicom, read_dicom):
            error = refusal(tmp_path, whole[:n], function)
            assert error.code in ("E_INPUT_UNREADABLE", "E_INPUT_EMPTY", "E_INPUT_FORMAT")


def test_a_truncated_member_stops_its_series_at_every_length(tmp_path):
    phantom.write(phantom.series(), tmp_path)
    whole = (tmp_path / "IM004.dcm").read_bytes()
    for n in np.linspace(0, len(whole) - 1, 16).astype(int):
        (tmp_path / "IM004.dcm").write_bytes(whole[:n])
        with pytest.raises(InputError, match=r"IM004\.dcm.*E_INPUT_UNREADABLE"):
            probe_dicom(tmp_path, OPTIONS)


def test_flipped_bytes_in_the_header_never_crash_and_never_change_the_matrix(tmp_path):
    whole = bytearray(saved(one_slice()))
    path = tmp_path / "slice.dcm"
    path.write_bytes(whole)
    good = read_dicom(path, OPTIONS)
    chance = np.random.default_rng(5)
    n_read = 0
    for at in chance.integers(0, len(whole) - 250, 400):
        spoiled = whole.copy()
        spoiled[at] ^= int(chance.integers(1, 256))
        path.write_bytes(spoiled)
        try:
            volume = read_dicom(path, OPTIONS)
        except MedsegError:
            continue
        n_read += 1
        assert volume.array.shape == good.array.shape
    assert 0 < n_read < 400


def test_sequences_nested_beyond_reason_are_refused(tmp_path):
    inner = Dataset()
    for _ in range(60):
        outer = Dataset()
        outer.ContentSequence = Sequence([inner])
        inner = outer
    dataset = one_slice()
    dataset.ContentSequence = Sequence([inner])
    for length in (False, True):
        for element in dataset.iterall():
            if element.VR == "SQ":
                element.is_undefined_length = length
        assert refusal(tmp_path, dataset).code == "E_INPUT_UNREADABLE"


def test_sequences_nested_within_reason_are_read(tmp_path):
    inner = Dataset()
    for _ in range(12):
        outer = Dataset()
        outer.ContentSequence = Sequence([inner])
        inner = outer
    dataset = one_slice()
    dataset.ContentSequence = Sequence([inner])
    phantom.write([dataset], tmp_path)
    assert read_dicom(tmp_path, OPTIONS).grid.shape[2] == 1


def test_an_unknown_value_type_in_the_file_header_is_refused(tmp_path):
    data = bytearray(saved(one_slice()))
    at = data.index(b"UI", 132)
    data[at : at + 2] = b"ZZ"
    assert refusal(tmp_path, bytes(data)).code == "E_INPUT_UNREADABLE"


def test_a_huge_length_in_the_header_allocates_nothing(tmp_path):
    data = bytearray(saved(one_slice()))
    at = data.index(b"\x28\x00\x30\x00DS")
    data[at : at + 8] = b"\x28\x00\x30\x00OB\0\0"
    data[at + 8 : at + 12] = struct.pack("<I", 0xFFFFFFF0)
    assert refusal(tmp_path, bytes(data)).code == "E_INPUT_UNREADABLE"


def deflated(dataset):
    """Return the head of a deflated file, its plain data set, and the function that squeezes one."""
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    whole = saved(dataset)
    start = 132 + 12 + dcmread(io.BytesIO(whole)).file_meta.FileMetaInformationGroupLength
    plain = zlib.decompress(whole[start:], -zlib.MAX_WBITS)
    machine = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return whole[:start], plain, lambda data: machine.compress(data) + machine.flush()


def test_a_deflated_file_that_inflates_without_end_is_refused(tmp_path):
    head, plain, squeeze = deflated(one_slice())
    bomb = head + squeeze(plain + bytes(64 * 2**20))
    assert refusal(tmp_path, bomb).code == "E_INPUT_UNREADABLE"


@pytest.mark.parametrize("function", [probe_dicom, read_dicom])
def test_a_deflated_file_that_hides_its_weight_before_the_pixels_is_refused(tmp_path, function):
    head, plain, squeeze = deflated(one_slice())
    at = plain.index(b"\xe0\x7f\x10\x00")
    weight = b"\x29\x00\x10\x10OB\0\0" + struct.pack("<I", 64 * 2**20) + bytes(64 * 2**20)
    error = refusal(tmp_path, head + squeeze(plain[:at] + weight + plain[at:]), function)
    assert error.code == "E_INPUT_UNREADABLE"
    assert "inflates" in error.found


@pytest.mark.parametrize("function", [probe_dicom, read_dicom])
def test_a_deflated_file_with_far_more_pixels_than_declared_is_refused(tmp_path, function):
    dataset = one_slice()
    dataset.PixelData = bytes(64 * 2**20)
    head, plain, squeeze = deflated(dataset)
    assert refusal(tmp_path, head + squeeze(plain), function).code == "E_INPUT_UNREADABLE"


def test_deflated_bytes_that_end_early_are_refused(tmp_path):
    head, plain, squeeze = deflated(one_slice())
    squeezed = squeeze(plain)
    assert refusal(tmp_path, head + squeezed[: len(squeezed) // 2]).code == "E_INPUT_UNREADABLE"


@pytest.mark.parametrize(("keyword", "change"), [("Rows", -1), ("Rows", 1), ("Columns", -1), ("Columns", 1)])
def test_a_matrix_that_is_wrong_by_one_line_is_refused(tmp_path, keyword, change):
    dataset = one_slice()
    setattr(dataset, keyword, getattr(dataset, keyword) + change)
    assert refusal(tmp_path, dataset).code == "E_INPUT_UNREADABLE"


def test_an_image_larger_than_its_bytes_is_refused_before_memory_is_asked_for(tmp_path):
    dataset = one_slice()
    dataset.Rows = dataset.Columns = 65535
    assert refusal(tmp_path, dataset, probe_dicom).code == "E_INPUT_UNREADABLE"


def test_compressed_pixels_of_another_size_than_declared_are_refused(tmp_path):
    dataset = phantom.series(phantom.stored_values(1, 40, 50), bits=16)[0]
    dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
    dataset.Rows, dataset.Columns = 20, 25
    error = refusal(tmp_path, dataset)
    assert error.code == "E_INPUT_UNREADABLE"
    assert "40 x 50" in error.found


def test_damaged_compressed_pixels_are_refused(tmp_path):
    dataset = phantom.series(phantom.stored_values(1, 40, 50), bits=16)[0]
    dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
    data = saved(dataset)
    assert refusal(tmp_path, data[:-400] + bytes(400)).code == "E_INPUT_UNREADABLE"


@pytest.mark.parametrize(
    ("keyword", "value"), [("BitsStored", 17), ("BitsAllocated", 12), ("Rows", 0), ("RescaleSlope", 0)]
)
def test_impossible_numbers_in_the_header_are_refused(tmp_path, keyword, value):
    dataset = one_slice()
    setattr(dataset, keyword, value)
    assert refusal(tmp_path, dataset).code == "E_INPUT_UNREADABLE"


def test_float_pixels_of_half_the_width_are_refused(tmp_path):
    dataset = one_slice()
    dataset.FloatPixelData = dataset.PixelData
    del dataset.PixelData
    assert refusal(tmp_path, dataset).code == "E_INPUT_UNREADABLE"


def test_colour_is_no_scan(tmp_path):
    dataset = one_slice()
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.PixelData = bytes(3 * phantom.ROWS * phantom.COLUMNS + 1)
    assert refusal(tmp_path, dataset).code == "E_DIMENSIONS_UNSUPPORTED"


@pytest.mark.parametrize(
    ("sop_class", "modality", "words"),
    [
        ("1.2.840.10008.5.1.4.1.1.66.4", "SEG", "segmentation"),
        ("1.2.840.10008.5.1.4.1.1.481.3", "RTSTRUCT", "contours"),
        ("1.2.840.10008.5.1.4.1.1.88.33", "SR", "structured report"),
        ("1.2.840.10008.5.1.4.1.1.481.2", "RTDOSE", "dose"),
        ("1.2.3.4.5", "SEG", "segmentation"),
        ("1.2.840.10008.5.1.4.1.1.4.2", "MR", "without an image"),
    ],
)
def test_objects_that_are_no_scans_are_called_by_name(tmp_path, sop_class, modality, words):
    dataset = phantom.header(generate_uid(), sop_class, phantom.SERIES)
    dataset.Modality = modality
    error = refusal(tmp_path, dataset)
    assert error.code == "E_INPUT_FORMAT"
    assert words in error.found
    folder = phantom.write([dataset, *phantom.series()], tmp_path / "beside")
    assert [n.code for n in read_dicom(folder, OPTIONS).warnings] == ["W_FILE_SKIPPED"]


def test_no_refusal_of_a_series_names_the_patient(tmp_path):
    phantom.write([d for k, d in enumerate(phantom.series()) if k != 3], tmp_path)
    with pytest.raises(InputError) as caught:
        read_dicom(tmp_path, OPTIONS)
    assert not any(text in str(caught.value) for text in (*phantom.PATIENT, "Findme"))
