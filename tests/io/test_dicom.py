"""The DICOM door: places, values, encodings, and what the source remembers."""

import hashlib
import importlib.util
import io
import json
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread, dcmwrite
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from medseg.errors import InputError, UsageError
from medseg.io.dicom import list_series, probe_dicom, read_dicom
from medseg.io.dicom_pixels import ChangedFileError, read_pixels
from medseg.io.dicom_scan import scanned
from medseg.io.options import ReadOptions

_SPEC = importlib.util.spec_from_file_location("dicom_phantom", Path(__file__).with_name("dicom_phantom.py"))
phantom = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(phantom)

OPTIONS = ReadOptions()


def read(path, **options):
    return read_dicom(path, ReadOptions(**options))


def rescale(slope, intercept):
    def spoil(k, dataset):
        dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept

    return spoil


def test_an_oblique_series_lies_where_its_positions_say(tmp_path):
    volume = read(phantom.write(phantom.series(), tmp_path))
    np.testing.assert_allclose(volume.grid.world_from_index, phantom.ras_affine(), atol=1e-5)
    assert volume.grid.shape == (phantom.COLUMNS, phantom.ROWS, phantom.SLICES)
    assert volume.grid.space == "patient"
    np.testing.assert_array_equal(volume.array[0], phantom.stored_values().transpose(2, 1, 0))
    assert volume.warnings == ()


def test_names_and_instance_numbers_do_not_order_the_slices(tmp_path):
    there = read(phantom.write(phantom.series(), tmp_path / "a"))
    shuffled = [f"{n}" for n in (3, 6, 0, 5, 1, 4, 2)]
    back = read(phantom.write(phantom.series(), tmp_path / "b", shuffled))
    assert there.grid.same_as(back.grid)
    np.testing.assert_array_equal(there.array, back.array)


@pytest.mark.parametrize("oblique", [True, False])
def test_simpleitk_sees_the_same_volume(tmp_path, oblique):
    phantom.write(phantom.series(oblique=oblique, spoil=rescale(1.5, -7)), tmp_path)
    assert_same_as_simpleitk(tmp_path)


@pytest.mark.parametrize("folder", ["Study1/13_HCropVolume", "Study2/14_HCropVolume", "ct_totalseg"])
def test_simpleitk_sees_the_same_volume_in_real_series(data_pack, folder):
    assert_same_as_simpleitk(next(data_pack("dicom").joinpath(folder).rglob("*.dcm")).parent)


def test_simpleitk_sees_the_same_volume_in_a_real_oblique_series(data_pack):
    assert_same_as_simpleitk(data_pack("dicom_odd") / "rt-utils" / "oriented_data")


def assert_same_as_simpleitk(folder):
    import SimpleITK as sitk

    files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    image = sitk.ReadImage(files)
    volume = read(folder)
    lps = np.eye(4)
    lps[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing())
    lps[:3, 3] = image.GetOrigin()
    np.testing.assert_allclose(volume.grid.world_from_index, np.diag([-1, -1, 1, 1]) @ lps, atol=2e-4)
    theirs = sitk.GetArrayFromImage(image).transpose(2, 1, 0)
    np.testing.assert_allclose(volume.array[0].astype(float), theirs, atol=1e-4)


def test_the_probe_promises_what_the_reader_gives(tmp_path):
    folder = phantom.write(phantom.series(spoil=rescale(1, -1024)), tmp_path)
    probe, volume = probe_dicom(folder, OPTIONS), read(folder)
    assert probe.grid.same_as(volume.grid)
    assert (probe.dtype, probe.n_bytes) == (volume.array.dtype.name, volume.array.nbytes)
    assert probe.channels == volume.channels
    assert probe.series == list_series(folder)


@pytest.mark.parametrize(
    ("slope", "intercept", "bits", "kind"),
    [
        (1, 0, 12, "int16"),
        (1, 0, 16, "uint16"),
        (1, -1024, 12, "int16"),
        (1, -1024, 16, "float32"),
        (1, 0.5, 12, "float32"),
        (0.1, 3, 12, "float32"),
    ],
)
def test_values_are_exact_integers_where_they_fit_and_float32_otherwise(tmp_path, slope, intercept, bits, kind):
    folder = phantom.write(phantom.series(bits=bits, spoil=rescale(slope, intercept)), tmp_path)
    volume = read(folder)
    assert volume.array.dtype == kind
    expected = phantom.stored_values().transpose(2, 1, 0) * float(slope) + intercept
    np.testing.assert_allclose(volume.array[0], expected, rtol=1e-6)


def test_every_slice_has_its_own_rescale(tmp_path):
    def spoil(k, dataset):
        dataset.RescaleSlope, dataset.RescaleIntercept = 1 + 0.25 * k, -10 * k

    volume = read(phantom.write(phantom.series(spoil=spoil), tmp_path))
    k = np.arange(phantom.SLICES)
    expected = phantom.stored_values().transpose(2, 1, 0) * (1 + 0.25 * k) - 10 * k
    np.testing.assert_allclose(volume.array[0], expected, rtol=1e-6)


def test_monochrome1_keeps_its_values_and_says_so(tmp_path):
    def spoil(k, dataset):
        dataset.PhotometricInterpretation = "MONOCHROME1"

    volume = read(phantom.write(phantom.series(spoil=spoil), tmp_path))
    np.testing.assert_array_equal(volume.array[0], phantom.stored_values().transpose(2, 1, 0))
    assert [n.code for n in volume.warnings] == ["W_MONOCHROME1"]


def padded(value, dtype):
    values = phantom.stored_values().astype(dtype) + 50
    values[:, :2, :3] = value
    tag = "PixelPaddingValue"

    def spoil(k, dataset):
        dataset.add_new(tag_of(tag), "SS" if np.dtype(dtype).kind == "i" else "US", value)

    return values, spoil


def tag_of(keyword):
    from pydicom.datadict import tag_for_keyword

    return tag_for_keyword(keyword)


def test_padding_far_outside_becomes_the_lowest_valid_value(tmp_path):
    values, spoil = padded(-2000, np.int16)
    volume = read(phantom.write(phantom.series(values, bits=16, spoil=spoil), tmp_path))
    lowest = values[values != -2000].min()
    assert volume.array.min() == lowest
    assert (volume.array[0, :3, :2] == lowest).all()
    assert volume.source.details["n_padding_replaced"] == (values == -2000).sum()


def test_padding_of_zero_in_a_scan_without_negative_values_stays(tmp_path):
    values, spoil = padded(0, np.uint16)
    volume = read(phantom.write(phantom.series(values, spoil=spoil), tmp_path))
    np.testing.assert_array_equal(volume.array[0], values.transpose(2, 1, 0))
    assert volume.source.details["n_padding_replaced"] == 0


def test_padding_within_the_range_of_the_scan_stays(tmp_path):
    values, spoil = padded(1500, np.int16)
    volume = read(phantom.write(phantom.series(values, bits=16, spoil=spoil), tmp_path))
    np.testing.assert_array_equal(volume.array[0], values.transpose(2, 1, 0))


def implicit(dataset):
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    return saved(dataset)


def big_endian(dataset):
    dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    return saved(dataset)


def deflated(dataset):
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    return saved(dataset)


def jpeg2000(dataset):
    dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
    return saved(dataset)


def run_length(dataset):
    dataset.compress(RLELossless, generate_instance_uid=False)
    return saved(dataset)


def saved(dataset):
    stream = io.BytesIO()
    dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


@pytest.mark.parametrize("encode", [implicit, big_endian, deflated, jpeg2000, run_length])
def test_every_encoding_gives_the_same_volume(tmp_path, encode):
    values = phantom.stored_values(3, 40, 51)
    for k, dataset in enumerate(phantom.series(values, bits=16)):
        (tmp_path / f"{k}.dcm").write_bytes(encode(dataset))
    volume = read(tmp_path)
    np.testing.assert_array_equal(volume.array[0], values.transpose(2, 1, 0))
    np.testing.assert_allclose(volume.grid.world_from_index, phantom.ras_affine(), atol=1e-5)
    assert volume.warnings == ()


@pytest.mark.parametrize("n_removed", [132, 132 + 200])
def test_files_without_preamble_are_read_with_a_notice(tmp_path, n_removed):
    for k, dataset in enumerate(phantom.series()):
        whole = saved(dataset)
        end_of_meta = 132 + 12 + dcmread(io.BytesIO(whole)).file_meta.FileMetaInformationGroupLength
        (tmp_path / f"{k}.dcm").write_bytes(whole[132 if n_removed == 132 else end_of_meta :])
    volume = read(tmp_path)
    np.testing.assert_array_equal(volume.array[0], phantom.stored_values().transpose(2, 1, 0))
    assert [n.code for n in volume.warnings] == ["W_NOT_PART10"]


def test_other_data_in_spare_bits_is_masked_and_signs_are_kept(tmp_path):
    values = phantom.stored_values().astype(np.int16) - 1500

    def spoil(k, dataset):
        dirty = (values[k].astype(np.uint16) & 0x1FFF) | 0xA000  # 13 bits are the image, 3 are an overlay
        dataset.PixelRepresentation, dataset.PixelData = 1, dirty.tobytes()

    volume = read(phantom.write(phantom.series(bits=13, spoil=spoil), tmp_path))
    np.testing.assert_array_equal(volume.array[0], values.transpose(2, 1, 0))


def test_pixels_stored_as_floats_are_read_as_floats(tmp_path):
    values = phantom.stored_values() / np.float32(7)

    def spoil(k, dataset):
        del dataset.PixelData, dataset.BitsStored, dataset.HighBit
        dataset.BitsAllocated, dataset.FloatPixelData = 32, values[k].astype("<f4").tobytes()

    volume = read(phantom.write(phantom.series(spoil=spoil), tmp_path))
    assert volume.array.dtype == np.float32
    np.testing.assert_array_equal(volume.array[0], values.transpose(2, 1, 0))


def test_32_bit_integers_stay_exact(tmp_path):
    values = phantom.stored_values().astype(np.uint32) + 2**25

    def spoil(k, dataset):
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 32, 26, 25
        dataset.PixelData = values[k].astype("<u4").tobytes()

    volume = read(phantom.write(phantom.series(spoil=spoil), tmp_path))
    np.testing.assert_array_equal(volume.array[0], values.transpose(2, 1, 0))


def test_series_without_uid_are_told_apart_by_folder_and_named_by_content(tmp_path):
    def spoil(k, dataset):
        del dataset.SeriesInstanceUID
        dataset.StudyInstanceUID = study

    for study in ("1.1", "1.2"):
        for root in ("here", "there"):
            phantom.write(phantom.series(spoil=spoil), tmp_path / root / study)
    assert len(list_series(tmp_path / "here")) == 2
    assert list_series(tmp_path / "here") == list_series(tmp_path / "there")
    assert set(list_series(tmp_path / "here" / "1.1")) < set(list_series(tmp_path / "here"))


def test_a_channel_other_than_the_only_one_is_refused(tmp_path):
    folder = phantom.write(phantom.series(), tmp_path)
    assert read(folder, channel=0).channels == ("0",)
    with pytest.raises(UsageError, match="channel 1"):
        read(folder, channel=1)


def test_a_single_slice_takes_its_thickness_and_says_so(tmp_path):
    folder = phantom.write(phantom.series()[:1], tmp_path, ["only.dcm"])
    for path in (folder, folder / "only.dcm"):
        volume = read(path)
        assert volume.grid.shape == (phantom.COLUMNS, phantom.ROWS, 1)
        assert volume.grid.spacing[2] == pytest.approx(5.0)
        assert [n.code for n in volume.warnings] == ["W_SPACING_UNTRUSTED"]


def test_the_source_holds_hashes_and_no_patient(tmp_path):
    folder = phantom.write(phantom.series(), tmp_path)
    source = read(folder).source
    hashes = sorted(hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.iterdir())
    assert source.sha256 == hashlib.sha256("".join(hashes).encode()).hexdigest()
    assert source.n_bytes == sum(f.stat().st_size for f in folder.iterdir())
    assert source.details["series_uid_sha256"] == hashlib.sha256(phantom.SERIES.encode()).hexdigest()
    assert source.details["n_slices"] == phantom.SLICES
    everything = json.dumps(source.details) + repr(list_series(folder)) + repr(read(folder))
    assert not any(text in everything for text in (*phantom.PATIENT, "Findme", phantom.SERIES))


def test_a_file_that_changes_after_its_header_was_read_is_noticed(tmp_path):
    folder = phantom.write(phantom.series(), tmp_path)
    slices = scanned(folder).slices
    moved = dcmread(slices[2].path)
    moved.ImagePositionPatient[2] = 999.0
    moved.save_as(slices[2].path)
    with pytest.raises(ChangedFileError):
        read_pixels(slices)


def test_too_many_bytes_are_refused_before_pixels_are_read(tmp_path):
    folder = phantom.write(phantom.series(), tmp_path)
    for function in (probe_dicom, read_dicom):
        with pytest.raises(InputError, match=r"11x9x7.*E_TOO_LARGE"):
            function(folder, ReadOptions(max_bytes=1000))


def test_pydicom_never_warns_or_logs(tmp_path, caplog):
    def spoil(k, dataset):
        dataset.AcquisitionTime = phantom.PATIENT[0]

    with pytest.warns(UserWarning, match="Invalid value"):
        datasets = phantom.series(spoil=spoil)
    phantom.write(datasets, tmp_path)
    caplog.clear()
    read(tmp_path)  # warnings are errors here
    assert caplog.records == []
