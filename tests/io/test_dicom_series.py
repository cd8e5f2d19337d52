"""Which slices belong together, which series to choose from, and when a stack is refused."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from medseg.errors import GeometryError, InputError, MedsegError, SeriesAmbiguousError, UsageError
from medseg.io.dicom import list_series, probe_dicom, read_dicom
from medseg.io.options import ReadOptions

_SPEC = importlib.util.spec_from_file_location("dicom_phantom", Path(__file__).with_name("dicom_phantom.py"))
phantom = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(phantom)

OTHER = phantom.SERIES + ".5"


def read(path, **options):
    return read_dicom(path, ReadOptions(**options))


def codes(volume):
    return [n.code for n in volume.warnings]


def moved(offsets_mm):
    """Return a spoiler that puts slice k at `offsets_mm[k]` along the normal."""
    normal = phantom.directions()[2]

    def spoil(k, dataset):
        dataset.ImagePositionPatient = [round(float(x), 6) for x in phantom.ORIGIN + offsets_mm[k] * normal]

    return spoil


@pytest.fixture
def two_series(tmp_path):
    phantom.write(phantom.series(), tmp_path / "study" / "first")
    phantom.write(phantom.series(phantom.stored_values(4, seed=3), uid=OTHER), tmp_path / "study" / "second")
    return tmp_path / "study"


def test_two_series_are_refused_with_the_list_to_choose_from(two_series):
    for function in (probe_dicom, read_dicom):
        with pytest.raises(SeriesAmbiguousError, match=r"2 series: .*--series.*E_SERIES_AMBIGUOUS") as caught:
            function(two_series, ReadOptions())
        assert [key for key, _ in caught.value.choices] == [s.key for s in list_series(two_series)]


def test_a_series_is_chosen_by_key_by_its_beginning_or_by_uid(two_series):
    for info in list_series(two_series):
        for name in (info.key, info.key[:6]):
            assert read(two_series, series=name).grid.shape == info.shape
    assert read(two_series, series=OTHER).grid.shape[2] == 4


def test_an_unknown_series_is_refused_with_the_list(two_series):
    with pytest.raises(SeriesAmbiguousError, match="no series 'zzz'") as caught:
        read(two_series, series="zzz")
    assert len(caught.value.choices) == 2


def test_keys_do_not_depend_on_where_the_folder_lies(two_series, tmp_path):
    phantom.write(phantom.series(), tmp_path / "elsewhere", [f"{k}" for k in range(phantom.SLICES)])
    assert {s.key for s in list_series(tmp_path / "elsewhere")} < {s.key for s in list_series(two_series)}


@pytest.mark.parametrize(
    "keyword", ["TemporalPositionIdentifier", "AcquisitionNumber", "TriggerTime", "EchoTime", "EchoNumbers"]
)
def test_phases_and_echoes_at_one_position_become_stacks_of_their_own(tmp_path, keyword):
    for phase in range(3):

        def spoil(k, dataset, phase=phase):
            setattr(dataset, keyword, 10 + phase)
            dataset.SOPInstanceUID += f".{phase}"

        phantom.write(phantom.series(phantom.stored_values(seed=phase), spoil=spoil), tmp_path / str(phase))
    with pytest.raises(SeriesAmbiguousError, match="3 series"):
        read(tmp_path)
    for phase, info in enumerate(list_series(tmp_path)):
        expected = phantom.stored_values(seed=phase).transpose(2, 1, 0)
        np.testing.assert_array_equal(read(tmp_path, series=info.key).array[0], expected)
        np.testing.assert_array_equal(read(tmp_path, frame=phase).array[0], expected)
    with pytest.raises(UsageError, match="stack 3 of 3"):
        read(tmp_path, frame=3)


def test_an_acquisition_number_that_differs_along_one_even_stack_does_not_split_it(tmp_path):
    def spoil(k, dataset):
        dataset.AcquisitionNumber, dataset.TriggerTime = k // 3, 100 * k

    assert read(phantom.write(phantom.series(spoil=spoil), tmp_path)).grid.shape[2] == phantom.SLICES


def test_a_localizer_inside_the_series_is_split_off(tmp_path):
    def spoil(k, dataset):
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
        dataset.SOPInstanceUID += ".7"

    phantom.write(phantom.series(), tmp_path)
    phantom.write(phantom.series(phantom.stored_values(1), spoil=spoil), tmp_path, ["scout.dcm"])
    volume = read(tmp_path)
    np.testing.assert_allclose(volume.grid.world_from_index, phantom.ras_affine(), atol=1e-5)
    assert codes(volume) == ["W_FILE_SKIPPED"]
    assert len(list_series(tmp_path)) == 1
    scout = next(s.key for s in probe_dicom(tmp_path, ReadOptions()).series if "localizer" in s.description)
    assert read(tmp_path, series=scout).grid.shape[2] == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda k, d: setattr(d, "ImageOrientationPatient", [1, 0, 0, 0, 1, 0]) if k > 3 else None,
        lambda k, d: setattr(d, "FrameOfReferenceUID", "9.9") if k > 3 else None,
        lambda k, d: phantom.fill(d, np.zeros((6, 6), np.uint16), 12) if k > 3 else None,
    ],
    ids=["orientation", "frame of reference", "matrix"],
)
def test_slices_of_different_kind_are_never_fused(tmp_path, spoil):
    phantom.write(phantom.series(spoil=spoil), tmp_path)
    with pytest.raises(SeriesAmbiguousError, match="2 series"):
        read(tmp_path)


def test_missing_slices_are_named_by_the_gap(tmp_path):
    datasets = phantom.series(oblique=False)
    phantom.write([d for k, d in enumerate(datasets) if k not in (2, 3)], tmp_path)
    with pytest.raises(InputError, match=r"between z = 11\.2 and z = 20\.2, 2 slices missing.*E_SERIES_INCOMPLETE"):
        read(tmp_path)


def test_several_gaps_are_all_named(tmp_path):
    offsets = [0, 3, 9, 12, 21, 24, 27]
    with pytest.raises(InputError, match=r", 1 slice missing; .*, 2 slices missing") as caught:
        read(phantom.write(phantom.series(spoil=moved(offsets)), tmp_path))
    assert caught.value.code == "E_SERIES_INCOMPLETE"


@pytest.mark.parametrize("offsets", [[0, 3, 6, 9.4, 12, 15, 18], [0, 3, 6, 9, 11, 13, 15], [0, 1, 3, 6, 10, 15, 21.5]])
def test_uneven_slices_are_refused(tmp_path, offsets):
    with pytest.raises(InputError, match="E_SERIES_NONUNIFORM"):
        read(phantom.write(phantom.series(spoil=moved(offsets)), tmp_path))


def test_positions_rounded_by_the_scanner_are_even(tmp_path):
    offsets = [0, 2.97, 6.04, 8.99, 12.03, 14.98, 18]
    volume = read(phantom.write(phantom.series(spoil=moved(offsets)), tmp_path))
    assert volume.grid.spacing[2] == pytest.approx(3.0)


def test_the_same_file_twice_is_used_once(tmp_path):
    phantom.write(phantom.series(), tmp_path)
    (tmp_path / "copy.dcm").write_bytes((tmp_path / "IM003.dcm").read_bytes())
    volume = read(tmp_path)
    assert codes(volume) == ["W_DUPLICATE_SOP"]
    np.testing.assert_array_equal(volume.array[0], phantom.stored_values().transpose(2, 1, 0))


def test_copies_are_recognised_without_identities(tmp_path):
    def spoil(k, dataset):
        dataset.SOPInstanceUID = ""

    datasets = phantom.series(spoil=spoil)
    for dataset in datasets:
        dataset.preamble = bytes(128)
        dataset.save_as(tmp_path / f"{len(list(tmp_path.iterdir()))}.dcm")
    (tmp_path / "copy.dcm").write_bytes((tmp_path / "3.dcm").read_bytes())
    assert codes(read(tmp_path)) == ["W_DUPLICATE_SOP"]


@pytest.mark.parametrize("same_uid", [True, False])
def test_two_different_slices_at_one_position_are_ambiguous(tmp_path, same_uid):
    phantom.write(phantom.series(), tmp_path)
    extra = phantom.series(phantom.stored_values(seed=9))[2]
    if not same_uid:
        extra.SOPInstanceUID += ".9"
    phantom.write([extra], tmp_path, ["extra.dcm"])
    with pytest.raises(InputError, match=r"different slices at .*E_SERIES_AMBIGUOUS"):
        read(tmp_path)


def test_a_tilted_stack_is_refused(tmp_path):
    _, column, normal = phantom.directions()
    step = normal * 3 + column * 3 * np.tan(np.deg2rad(2))

    def spoil(k, dataset):
        dataset.ImagePositionPatient = [round(float(x), 6) for x in phantom.ORIGIN + k * step]

    with pytest.raises(GeometryError, match=r"gantry tilt.*E_GEOMETRY_INVALID"):
        read(phantom.write(phantom.series(spoil=spoil), tmp_path))


def without(keyword, only=None):
    return lambda k, d: delattr(d, keyword) if only is None or k == only else None


def with_value(keyword, value, only=None):
    return lambda k, d: setattr(d, keyword, value) if only is None or k == only else None


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (without("PixelSpacing"), "without a pixel spacing"),
        (without("PixelSpacing", 2), "without a pixel spacing"),
        (with_value("PixelSpacing", [0, 0]), "pixel spacing of 0 x 0"),
        (with_value("PixelSpacing", [-1, 1]), "pixel spacing of -1"),
        (with_value("PixelSpacing", [5000, 5000]), "pixel spacing of 5000"),
        (with_value("PixelSpacing", [1.6, 0.8], 3), "pixel spacings from"),
        (without("ImagePositionPatient"), "7 of 7 slices without a position"),
        (without("ImagePositionPatient", 4), "1 of 7 slices without a position"),
        (without("ImageOrientationPatient"), "without an orientation"),
        (with_value("ImageOrientationPatient", [1, 0, 0, 0.5, 0.866025, 0]), "cosine of 0.5"),
        (with_value("ImageOrientationPatient", [2, 0, 0, 0, 1, 0]), "length 2"),
        (with_value("ImageOrientationPatient", [0, 0, 0, 0, 0, 0]), "length 0"),
    ],
)
def test_an_impossible_place_is_refused(tmp_path, spoil, words):
    with pytest.raises(GeometryError, match=words) as caught:
        read(phantom.write(phantom.series(spoil=spoil), tmp_path))
    assert caught.value.code == "E_GEOMETRY_INVALID"


def test_a_series_that_declares_more_images_than_there_are_is_read_with_a_notice(tmp_path):
    phantom.write(phantom.series(spoil=with_value("ImagesInAcquisition", 9)), tmp_path)
    assert codes(read(tmp_path)) == ["W_FEWER_THAN_DECLARED"]


def test_litter_beside_the_slices_is_left_out_and_listed(tmp_path):
    phantom.write(phantom.series(), tmp_path)
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / ".DS_Store").write_bytes(b"\0\1\2")
    (tmp_path / "._IM003.dcm").write_bytes(b"\0\5\26\7")
    volume = read(tmp_path)
    assert codes(volume) == ["W_FILE_SKIPPED"]
    assert "each of 3 files" in volume.warnings[0].text


@pytest.mark.parametrize("content", [b"", b"\0\1\2\3" * 50, b"<html>not found</html>"])
def test_a_file_that_was_a_slice_is_no_litter(tmp_path, content):
    phantom.write(phantom.series(), tmp_path)
    (tmp_path / "IM003.dcm").write_bytes(content)
    with pytest.raises(InputError, match="slice would be missing") as caught:
        read(tmp_path)
    assert caught.value.code == "E_INPUT_UNREADABLE"
    assert caught.value.path.endswith("IM003.dcm")


def test_a_readme_without_suffix_beside_slices_without_suffix_is_litter(tmp_path):
    phantom.write(phantom.series(), tmp_path, [f"{k:03d}" for k in range(phantom.SLICES)])
    (tmp_path / "README").write_text("text")
    assert codes(read(tmp_path)) == ["W_FILE_SKIPPED"]
    (tmp_path / "007").write_bytes(b"")
    with pytest.raises(InputError, match="is empty"):
        read(tmp_path)


def test_damage_in_another_folder_does_not_stop_a_series(two_series):
    (two_series / "second" / "IM001.dcm").write_bytes(b"")
    good, bad = sorted(list_series(two_series), key=lambda s: -s.n_images)
    assert read(two_series, series=good.key).grid.shape[2] == phantom.SLICES
    with pytest.raises(MedsegError, match="E_INPUT_UNREADABLE"):
        read(two_series, series=bad.key)


def test_a_pipe_in_the_folder_does_not_hang(tmp_path):
    import os

    phantom.write(phantom.series(), tmp_path)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to("nowhere")
    assert codes(read(tmp_path)) == ["W_FILE_SKIPPED"]


def test_an_empty_folder_and_a_folder_without_dicom_are_refused(tmp_path):
    with pytest.raises(InputError, match="E_INPUT_EMPTY"):
        read(tmp_path)
    assert list_series(tmp_path) == ()
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(InputError, match="E_INPUT_FORMAT"):
        read(tmp_path)
