"""Which of the positions in a NIfTI header is believed, and when none is."""

import nibabel as nib
import numpy as np
import pytest

from medseg.errors import GeometryError, UsageError
from medseg.grid import Grid
from medseg.io.nifti import probe_nifti
from medseg.io.options import ReadOptions


def saved(path, *, qform=None, sform=None, unit="mm", shape=(11, 9, 7)):
    """Save an image with the given affines; None leaves the code at 0."""
    image = nib.Nifti1Image(np.zeros(shape, np.uint8), None)
    known = qform if qform is not None else sform
    if known is not None:
        image.header.set_zooms(np.sqrt((np.asarray(known)[:3, :3] ** 2).sum(axis=0)))
    image.set_qform(qform, 0 if qform is None else 1)
    image.set_sform(sform, 0 if sform is None else 2)
    image.header.set_xyzt_units(unit)
    nib.save(image, path)
    return path


def moved(affine, mm):
    shifted = affine.copy()
    shifted[0, 3] += mm
    return shifted


def test_either_form_alone_gives_the_grid(tmp_path, oblique_grid):
    affine = oblique_grid.world_from_index
    for name in ("qform", "sform"):
        grid = probe_nifti(saved(tmp_path / f"{name}.nii", **{name: affine}), ReadOptions()).grid
        assert grid.same_as(oblique_grid, tolerance=1e-4)


@pytest.mark.parametrize(("mm", "outcome"), [(0.0, "same"), (0.04, "differ"), (0.2, "quarrel")])
def test_forms_that_differ_slightly_are_noticed_and_more_is_refused(tmp_path, oblique_grid, mm, outcome):
    affine = oblique_grid.world_from_index
    path = saved(tmp_path / "a.nii", qform=moved(affine, mm), sform=affine)
    if outcome == "quarrel":
        with pytest.raises(GeometryError, match=r"0\.2 mm apart.*--form qform or --form sform") as caught:
            probe_nifti(path, ReadOptions())
        assert caught.value.code == "E_GEOMETRY_AMBIGUOUS"
    else:
        found = probe_nifti(path, ReadOptions())
        assert [n.code for n in found.warnings] == (["W_QFORM_SFORM_DIFFER"] if outcome == "differ" else [])
        assert found.grid.same_as(oblique_grid, tolerance=1e-4)


def test_flipped_forms_are_refused_until_one_is_chosen(tmp_path, oblique_grid):
    affine = oblique_grid.world_from_index
    mirrored = np.diag([-1.0, 1.0, 1.0, 1.0]) @ affine
    path = saved(tmp_path / "a.nii", qform=mirrored, sform=affine)
    with pytest.raises(GeometryError, match="qform RAS, sform LAS"):
        probe_nifti(path, ReadOptions())
    assert probe_nifti(path, ReadOptions(form="sform")).grid.same_as(oblique_grid, tolerance=1e-4)
    other = Grid(oblique_grid.shape, mirrored)
    assert probe_nifti(path, ReadOptions(form="qform")).grid.same_as(other, tolerance=1e-4)


def test_a_form_that_is_not_stored_cannot_be_chosen(tmp_path, oblique_grid):
    path = saved(tmp_path / "a.nii", sform=oblique_grid.world_from_index)
    with pytest.raises(GeometryError, match="no qform in the header"):
        probe_nifti(path, ReadOptions(form="qform"))


@pytest.mark.parametrize("turn_deg", [179.9, 179.97, 179.99, 180.0, 180.02])
def test_rounding_of_a_half_turn_is_no_quarrel(tmp_path, turn_deg):
    # Near a half turn the quaternion's first part is the root of a rounding error, in any program that writes it.
    turn = np.deg2rad(turn_deg)
    affine = np.eye(4)
    affine[:3, :3] = [[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]]
    affine[:3, 3] = (120.3, 90.1, -400.7)
    path = saved(tmp_path / "a.nii.gz", qform=affine, sform=affine, shape=(400, 400, 20))
    assert probe_nifti(path, ReadOptions()).grid.same_as(Grid((400, 400, 20), affine), tolerance=1e-3)


def test_units_are_converted_and_missing_ones_named(tmp_path, oblique_grid):
    affine = oblique_grid.world_from_index
    scaled = {"mm": 1.0, "micron": 1000.0, "meter": 0.001, "unknown": 1.0}
    for unit, factor in scaled.items():
        stored = affine * np.array([[factor], [factor], [factor], [1.0]])
        found = probe_nifti(saved(tmp_path / f"{unit}.nii", qform=stored, sform=stored, unit=unit), ReadOptions())
        assert found.grid.unit == "mm"
        assert found.grid.same_as(oblique_grid, tolerance=1e-3)
        assert [n.code for n in found.warnings] == (["W_UNITS_ASSUMED_MM"] if unit == "unknown" else [])


def test_without_any_form_the_user_must_say_how_the_axes_run(tmp_path):
    path = saved(tmp_path / "a.nii")
    with pytest.raises(GeometryError, match="--assume-orientation") as caught:
        probe_nifti(path, ReadOptions())
    assert caught.value.code == "E_GEOMETRY_AMBIGUOUS"
    for codes in ("RAS", "LPS", "PIR", "sal"):
        found = probe_nifti(path, ReadOptions(assume_orientation=codes)).grid
        assert "".join(found.axis_codes) == codes.upper()
    for wrong in ("RRS", "RA", "XYZ", "RASA"):
        with pytest.raises(UsageError, match="three letters"):
            probe_nifti(path, ReadOptions(assume_orientation=wrong))


def test_a_spacing_beside_the_sform_that_differs_is_named(tmp_path, oblique_grid):
    path = saved(tmp_path / "a.nii", sform=oblique_grid.world_from_index)
    data = bytearray(path.read_bytes())
    data[88:92] = np.float32(9.0).tobytes()
    path.write_bytes(data)
    found = probe_nifti(path, ReadOptions())
    assert found.grid.same_as(oblique_grid, tolerance=1e-4)
    assert "9 mm beside the sform" in found.warnings[0].text


def test_absurd_places_are_refused(tmp_path, oblique_grid):
    affine = oblique_grid.world_from_index
    for stored in (affine * np.array([[1e-9]] * 3 + [[1.0]]), moved(affine, 1e7)):
        with pytest.raises(GeometryError) as caught:
            probe_nifti(saved(tmp_path / "a.nii", sform=stored), ReadOptions())
        assert caught.value.code == "E_GEOMETRY_INVALID"
