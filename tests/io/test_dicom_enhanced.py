"""Enhanced multi-frame objects: geometry and rescale of every frame from its functional groups."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from medseg.errors import GeometryError, InputError, SeriesAmbiguousError
from medseg.io.dicom import list_series, read_dicom
from medseg.io.options import ReadOptions

_SPEC = importlib.util.spec_from_file_location("dicom_phantom", Path(__file__).with_name("dicom_phantom.py"))
phantom = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(phantom)

SHUFFLED = (3, 0, 6, 1, 5, 2, 4)


def read(path, **options):
    return read_dicom(path, ReadOptions(**options))


def write(dataset, folder, name="enhanced.dcm"):
    phantom.write([dataset], folder, [name])
    return folder / name


def expected():
    k = np.arange(phantom.SLICES)
    return phantom.stored_values().transpose(2, 1, 0) * 2.0 + 10.0 * k


@pytest.mark.parametrize("order", [tuple(range(7)), SHUFFLED, SHUFFLED[::-1]])
def test_frames_in_any_order_give_the_same_volume(tmp_path, order):
    path = write(phantom.enhanced(phantom.stored_values(), order), tmp_path)
    for place in (path, tmp_path):
        volume = read(place)
        np.testing.assert_allclose(volume.grid.world_from_index, phantom.ras_affine(), atol=1e-5)
        np.testing.assert_array_equal(volume.array[0], expected())
        assert volume.warnings == ()
        assert volume.source.details["n_files"] == 1


def test_a_missing_frame_is_a_missing_slice(tmp_path):
    path = write(phantom.enhanced(phantom.stored_values(), (0, 1, 3, 4, 6)), tmp_path)
    with pytest.raises(InputError, match="E_SERIES_INCOMPLETE"):
        read(path)


def test_phases_inside_one_file_are_stacks_of_their_own(tmp_path):
    phases = iter(np.repeat([1, 2], 7))

    def spoil(k, group):
        content = Dataset()
        content.TemporalPositionIndex = int(next(phases))
        group.FrameContentSequence = Sequence([content])

    dataset = phantom.enhanced(phantom.stored_values(), (*range(7), *SHUFFLED), spoil=spoil)
    path = write(dataset, tmp_path)
    with pytest.raises(SeriesAmbiguousError, match="2 series"):
        read(path)
    for info in list_series(tmp_path):
        np.testing.assert_array_equal(read(path, series=info.key).array[0], expected())


def test_two_files_of_one_series_are_told_apart_by_the_file(tmp_path):
    second = phantom.enhanced(phantom.stored_values(seed=4), SHUFFLED)
    second.SOPInstanceUID += ".1"
    write(phantom.enhanced(phantom.stored_values(), SHUFFLED), tmp_path)
    write(second, tmp_path, "second.dcm")
    with pytest.raises(SeriesAmbiguousError, match=r"file 1 of 2.*file 2 of 2"):
        read(tmp_path)


def test_frames_without_positions_are_refused(tmp_path):
    def spoil(k, group):
        del group.PlanePositionSequence

    with pytest.raises(GeometryError, match="7 of 7 slices without a position"):
        read(write(phantom.enhanced(phantom.stored_values(), SHUFFLED, spoil=spoil), tmp_path))


def test_one_position_for_all_frames_of_a_plain_multi_frame_file_is_no_position(tmp_path):
    dataset = phantom.series()[0]
    phantom.fill(dataset, phantom.stored_values(), 12)
    dataset.NumberOfFrames = phantom.SLICES
    with pytest.raises(GeometryError, match="7 of 7 slices without a position"):
        read(write(dataset, tmp_path))


@pytest.mark.parametrize("n_frames", [6, 8, 10**9])
def test_a_wrong_number_of_frames_is_refused(tmp_path, n_frames):
    dataset = phantom.enhanced(phantom.stored_values(), SHUFFLED)
    dataset.NumberOfFrames = n_frames
    with pytest.raises(InputError, match="E_INPUT_UNREADABLE"):
        read(write(dataset, tmp_path))


def test_frames_at_uneven_distances_are_refused(tmp_path):
    _, _, normal = phantom.directions()

    def spoil(k, group):
        place = phantom.ORIGIN + (k * phantom.STEP_MM + (1.1 if k == 3 else 0.0)) * normal
        group.PlanePositionSequence[0].ImagePositionPatient = [round(float(x), 6) for x in place]

    with pytest.raises(InputError, match="E_SERIES_NONUNIFORM"):
        read(write(phantom.enhanced(phantom.stored_values(), SHUFFLED, spoil=spoil), tmp_path))


def test_stacks_of_two_directions_in_one_file_are_never_fused(tmp_path):
    def spoil(k, group):
        if k < 3:
            plane = Dataset()
            plane.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
            group.PlaneOrientationSequence = Sequence([plane])

    path = write(phantom.enhanced(phantom.stored_values(), SHUFFLED, spoil=spoil), tmp_path)
    with pytest.raises(SeriesAmbiguousError, match="2 series"):
        read(path)
    upper = next(s.key for s in list_series(tmp_path) if s.n_images == 4)
    np.testing.assert_array_equal(read(path, series=upper).array[0], expected()[..., 3:])


def test_a_rescale_that_all_frames_share_stands_for_each(tmp_path):
    dataset = phantom.enhanced(phantom.stored_values(), SHUFFLED)
    for group in dataset.PerFrameFunctionalGroupsSequence:
        del group.PixelValueTransformationSequence
    shared = Dataset()
    shared.RescaleSlope, shared.RescaleIntercept = 1.0, -1024.0
    dataset.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence = Sequence([shared])
    array = read(write(dataset, tmp_path)).array[0]
    np.testing.assert_array_equal(array, phantom.stored_values().transpose(2, 1, 0).astype(np.int32) - 1024)


@pytest.mark.parametrize("spacing", [None, [0.0, 0.8], [-1.5, 0.8]])
def test_frames_without_a_possible_pixel_spacing_are_refused(tmp_path, spacing):
    dataset = phantom.enhanced(phantom.stored_values(), SHUFFLED)
    measures = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    if spacing is None:
        del measures.PixelSpacing
    else:
        measures.PixelSpacing = spacing
    with pytest.raises(GeometryError, match="pixel spacing"):
        read(write(dataset, tmp_path))
