"""What `read_nifti` and `probe_nifti` give back, against nibabel and against the phantom itself."""

import gzip
import hashlib
import tracemalloc
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medseg.errors import GeometryError, InputError, MedsegError, UsageError
from medseg.grid import Grid
from medseg.io.nifti import probe_nifti, read_nifti
from medseg.io.options import ReadOptions

OPTIONS = ReadOptions()


@pytest.fixture
def values(oblique_grid: Grid) -> np.ndarray:
    """Asymmetric int16 values: every flip or permutation changes them."""
    return np.arange(oblique_grid.n_voxels, dtype=np.int16).reshape(oblique_grid.shape)


def image_of(values: np.ndarray, grid: Grid, kind: type = nib.Nifti1Image) -> nib.Nifti1Image:
    image = kind(values, grid.world_from_index, dtype=values.dtype)
    image.set_qform(grid.world_from_index, 1)
    image.set_sform(grid.world_from_index, 1)
    image.header.set_xyzt_units("mm")
    return image


def saved(path: Path, values: np.ndarray, grid: Grid, kind: type = nib.Nifti1Image) -> Path:
    nib.save(image_of(values, grid, kind), path)
    return path


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz", "scan.hdr"])
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_container_version_and_byte_order_gives_the_same_volume(
    tmp_path, values, oblique_grid, name, version, order
):
    single, pair = (nib.Nifti1Image, nib.Nifti1Pair) if version == 1 else (nib.Nifti2Image, nib.Nifti2Pair)
    kind = pair if name.endswith(".hdr") else single
    image = image_of(values, oblique_grid, kind)
    swapped = kind(values.astype(f"{order}i2"), image.affine, image.header.as_byteswapped(order))
    nib.save(swapped, tmp_path / name)

    volume = read_nifti(tmp_path / name, OPTIONS)

    np.testing.assert_array_equal(volume.array, values[np.newaxis])
    assert volume.array.dtype == np.int16
    assert volume.array.dtype.isnative
    assert volume.grid.same_as(oblique_grid, tolerance=1e-5)
    assert volume.warnings == ()
    assert volume.source.details["nifti_version"] == version


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"])
def test_stored_types_are_kept(tmp_path, oblique_grid, dtype):
    values = np.arange(oblique_grid.n_voxels).reshape(oblique_grid.shape).astype(dtype)
    volume = read_nifti(saved(tmp_path / "a.nii", values, oblique_grid), OPTIONS)
    assert volume.array.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(volume.array[0], values)


def test_scaled_values_become_float32_in_small_pieces(tmp_path, values, oblique_grid, monkeypatch):
    monkeypatch.setattr("medseg.io.nifti.PIECE", 100)  # pieces that do not divide the image
    image = image_of(values, oblique_grid)
    image.header.set_slope_inter(0.5, -1024)
    nib.save(image, tmp_path / "a.nii.gz")
    stored = np.asarray(nib.load(tmp_path / "a.nii.gz").dataobj)
    volume = read_nifti(tmp_path / "a.nii.gz", OPTIONS)
    assert volume.array.dtype == np.float32
    np.testing.assert_allclose(volume.array[0], stored, rtol=1e-6)
    assert volume.source.details["slope"] == 0.5


@pytest.mark.parametrize("slope", [0.0, np.nan])
def test_a_slope_of_zero_or_nan_means_unscaled_whatever_the_intercept(tmp_path, values, oblique_grid, slope):
    path = saved(tmp_path / "a.nii", values, oblique_grid)
    data = bytearray(path.read_bytes())
    data[112:120] = np.array([slope, 7.0], "<f4").tobytes()
    path.write_bytes(data)
    np.testing.assert_array_equal(read_nifti(path, OPTIONS).array[0], values)


def test_the_source_carries_the_hash_and_size_of_the_file_itself(tmp_path, values, oblique_grid):
    for name in ("a.nii", "a.nii.gz"):
        path = saved(tmp_path / name, values, oblique_grid)
        source = read_nifti(path, OPTIONS).source
        assert source.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert source.n_bytes == path.stat().st_size
        assert source.details["form"] == "sform"
        assert source.details["qform_code"] == source.details["sform_code"] == 1


def test_nothing_of_the_header_text_is_kept(tmp_path, values, oblique_grid):
    image = image_of(values, oblique_grid)
    image.header["descrip"] = b"DOE^JANE"
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"MRN4711"))
    nib.save(image, tmp_path / "a.nii")
    volume = read_nifti(tmp_path / "a.nii", OPTIONS)
    np.testing.assert_array_equal(volume.array[0], values)
    assert "DOE" not in repr(volume.source)
    assert "MRN4711" not in repr(volume.source)


def test_a_probe_says_what_a_read_gives(tmp_path, values, oblique_grid):
    path = saved(tmp_path / "a.nii.gz", values, oblique_grid)
    found, volume = probe_nifti(path, OPTIONS), read_nifti(path, OPTIONS)
    assert found.grid.same_as(volume.grid)
    assert found.dtype == volume.array.dtype.name
    assert found.n_bytes == volume.array.nbytes
    assert found.channels == volume.channels


def test_axes_of_length_one_are_dropped_and_others_refused_until_one_is_chosen(tmp_path, values, oblique_grid):
    path = saved(tmp_path / "one.nii", values[..., np.newaxis, np.newaxis], oblique_grid)
    assert read_nifti(path, OPTIONS).grid.shape == oblique_grid.shape
    phases = np.stack([values, values + 1000, values + 2000], axis=-1)
    path = saved(tmp_path / "three.nii.gz", phases, oblique_grid)
    with pytest.raises(InputError, match="3 volumes in one file") as caught:
        read_nifti(path, OPTIONS)
    assert caught.value.code == "E_DIMENSIONS_UNSUPPORTED"
    for frame in range(3):
        volume = read_nifti(path, ReadOptions(frame=frame))
        np.testing.assert_array_equal(volume.array[0], phases[..., frame])
        assert volume.warnings == ()
    with pytest.raises(UsageError, match="from 0 to 2"):
        read_nifti(path, ReadOptions(frame=3))


def test_two_further_axes_cannot_be_chosen_from_by_one_number(tmp_path, oblique_grid):
    path = saved(tmp_path / "a.nii", np.zeros((3, 4, 5, 2, 3), np.uint8), oblique_grid)
    with pytest.raises(InputError, match="one volume per file"):
        probe_nifti(path, ReadOptions(frame=1))


def test_a_claim_of_terabytes_is_refused_whatever_its_numbers(tmp_path, values, oblique_grid):
    raw = bytearray(saved(tmp_path / "a.nii", values, oblique_grid, nib.Nifti2Image).read_bytes())
    for sizes in ((32767, 32767, 32767), (2**62, 2**62, 2**62), (2**40, 2, 2)):
        raw[24:48] = np.array(sizes, "<i8").tobytes()
        (tmp_path / "b.nii").write_bytes(raw)
        with pytest.raises(InputError) as caught:
            probe_nifti(tmp_path / "b.nii", OPTIONS)
        assert caught.value.code == "E_TOO_LARGE"


def test_an_image_of_two_axes_is_refused(tmp_path, oblique_grid):
    path = saved(tmp_path / "flat.nii", np.ones((5, 6), np.uint8), oblique_grid)
    with pytest.raises(InputError, match="2 axes") as caught:
        probe_nifti(path, OPTIONS)
    assert caught.value.code == "E_DIMENSIONS_UNSUPPORTED"


def test_a_stream_cut_anywhere_is_refused(tmp_path, values, oblique_grid):
    whole = saved(tmp_path / "whole.nii.gz", values, oblique_grid).read_bytes()
    path = tmp_path / "cut.nii.gz"
    for length in np.linspace(0, len(whole) - 1, 64).astype(int):
        path.write_bytes(whole[:length])
        with pytest.raises(MedsegError) as caught:
            read_nifti(path, OPTIONS)
        assert caught.value.code == "E_INPUT_UNREADABLE"
        assert str(path) in str(caught.value)


def test_damage_behind_the_last_voxel_is_seen_too(tmp_path, values, oblique_grid):
    whole = bytearray(saved(tmp_path / "a.nii.gz", values, oblique_grid).read_bytes())
    for at in (-1, -5, len(whole) // 2):
        spoiled = bytearray(whole)
        spoiled[at] ^= 0x10
        (tmp_path / "b.nii.gz").write_bytes(spoiled)
        with pytest.raises(InputError, match="compressed data") as caught:
            read_nifti(tmp_path / "b.nii.gz", OPTIONS)
        assert caught.value.code == "E_INPUT_UNREADABLE"


def test_gzip_members_are_joined_and_what_follows_them_is_named(tmp_path, values, oblique_grid):
    raw = saved(tmp_path / "a.nii", values, oblique_grid).read_bytes()
    members = gzip.compress(raw[:700]) + gzip.compress(raw[700:])
    path = tmp_path / "b.nii.gz"
    cases = [(b"", ()), (b"\0" * 600, ()), (b"x", "W"), (b"no gzip data" * 90, "W"), (b"\0" * 9 + b"tail", "W")]
    for tail, noticed in cases:
        path.write_bytes(members + tail)
        volume = read_nifti(path, OPTIONS)
        np.testing.assert_array_equal(volume.array[0], values)
        assert [n.code for n in volume.warnings] == (["W_TRAILING_DATA"] if noticed else [])
        assert volume.source.sha256 == hashlib.sha256(members + tail).hexdigest()


def test_voxels_beyond_the_last_are_named(tmp_path, values, oblique_grid):
    raw = saved(tmp_path / "a.nii", values, oblique_grid).read_bytes()
    for name, data in (("b.nii", raw + b"12345"), ("b.nii.gz", gzip.compress(raw + b"12345"))):
        (tmp_path / name).write_bytes(data)
        volume = read_nifti(tmp_path / name, OPTIONS)
        assert "5 bytes follow" in volume.warnings[0].text


def test_a_bomb_is_refused_before_memory_is_taken(tmp_path, values, oblique_grid):
    raw = bytearray(saved(tmp_path / "a.nii", values, oblique_grid).read_bytes())
    raw[42:48] = np.array([2048, 2048, 1024], "<i2").tobytes()
    for name, data in (("b.nii", bytes(raw)), ("b.nii.gz", gzip.compress(bytes(raw)))):
        (tmp_path / name).write_bytes(data)
        tracemalloc.start()
        with pytest.raises(InputError, match="8 GiB in memory") as caught:
            read_nifti(tmp_path / name, OPTIONS)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert caught.value.code == "E_TOO_LARGE"
        assert peak < 20e6


def test_a_header_that_promises_more_than_the_file_can_hold_is_refused_before_memory_is_taken(
    tmp_path, values, oblique_grid
):
    raw = bytearray(saved(tmp_path / "a.nii", values, oblique_grid).read_bytes())
    raw[42:48] = np.array([512, 512, 512], "<i2").tobytes()
    for name, data in (("b.nii", bytes(raw)), ("b.nii.gz", gzip.compress(bytes(raw)))):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match="as its header says") as caught:
            probe_nifti(tmp_path / name, OPTIONS)
        assert caught.value.code == "E_INPUT_UNREADABLE"


def test_a_pair_without_its_image_half_is_refused_in_words(tmp_path, values, oblique_grid):
    saved(tmp_path / "a.hdr", values, oblique_grid, nib.Nifti1Pair)
    (tmp_path / "a.img").unlink()
    with pytest.raises(InputError, match="without the image half"):
        read_nifti(tmp_path / "a.hdr", OPTIONS)


def test_analyze_needs_an_orientation_from_the_user(tmp_path, values):
    nib.save(nib.AnalyzeImage(values, np.diag([-0.8, 1.5, 3.0, 1.0])), tmp_path / "a.hdr")
    with pytest.raises(GeometryError, match="stores no orientation") as caught:
        read_nifti(tmp_path / "a.hdr", OPTIONS)
    assert caught.value.code == "E_GEOMETRY_AMBIGUOUS"
    volume = read_nifti(tmp_path / "a.hdr", ReadOptions(assume_orientation="LPS"))
    np.testing.assert_array_equal(volume.array[0], values)
    assert "".join(volume.grid.axis_codes) == "LPS"
    np.testing.assert_allclose(volume.grid.spacing, (0.8, 1.5, 3.0), rtol=1e-6)


def test_random_byte_flips_in_the_header_are_refused_or_leave_the_values_right(tmp_path, values, oblique_grid):
    whole = saved(tmp_path / "a.nii", values, oblique_grid).read_bytes()
    path = tmp_path / "flipped.nii"
    rng = np.random.default_rng(11)
    changes_values = set(range(70, 74)) | set(range(112, 120))  # data type and scaling: nothing stored contradicts them
    n_read = 0
    for at, flip in zip(rng.integers(0, 352, 2000), rng.integers(1, 256, 2000), strict=True):
        data = bytearray(whole)
        data[at] ^= int(flip)
        path.write_bytes(data)
        try:
            volume = read_nifti(path, OPTIONS)
        except MedsegError:
            continue
        n_read += 1
        if volume.grid.shape == oblique_grid.shape and at not in changes_values:
            assert np.array_equal(volume.array[0], values), f"byte {at} changed the values"
            gap = np.abs(volume.grid.corners() - oblique_grid.corners()).max() / min(oblique_grid.spacing)
            assert gap < 0.15 or at == 123, f"byte {at} moved the image by {gap} voxels"
        elif volume.grid.shape != oblique_grid.shape:
            assert "W_TRAILING_DATA" in {n.code for n in volume.warnings}, f"byte {at} cut the image in silence"
    assert n_read > 500
