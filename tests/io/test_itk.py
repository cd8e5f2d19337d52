"""NRRD and MetaImage: the geometry of SimpleITK, and none of its patience with damaged files."""

import bz2
import gzip
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from medseg.errors import MedsegError
from medseg.grid import Grid, image_grid
from medseg.io.itk import probe_itk, read_itk, write_itk
from medseg.io.options import ReadOptions
from medseg.labels import Instances, LabelMap
from medseg.volume import Volume

PLAIN = ReadOptions()
KINDS = ("uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64")


def phantom(grid: Grid, dtype: str = "int16") -> Volume:
    rng = np.random.default_rng(3)
    return Volume(rng.integers(0, 100, (1, *grid.shape)).astype(dtype), grid)


def oracle(path: Path) -> tuple[np.ndarray, Grid]:
    """Return what SimpleITK reads, turned from LPS and (k, j, i)."""
    image = sitk.ReadImage(str(path))
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    array = sitk.GetArrayFromImage(image).transpose()
    return array, Grid(array.shape, np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine)


def sitk_image(volume: Volume) -> sitk.Image:
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.numpy()[0].transpose()))
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.grid.world_from_index
    image.SetSpacing(volume.grid.spacing)
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / np.array(volume.grid.spacing)).ravel().tolist())
    return image


def refusal_of(path: Path, options: ReadOptions = PLAIN) -> MedsegError:
    with pytest.raises(MedsegError) as caught:
        read_itk(path, options)
    assert all((caught.value.found, caught.value.expected, caught.value.not_done, caught.value.remedy))
    return caught.value


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".mhd", ".nhdr"])
@pytest.mark.parametrize("compressed", [False, True])
def test_what_simpleitk_wrote_is_read_with_the_same_voxels_and_place(tmp_path, oblique_grid, suffix, compressed):
    volume = phantom(oblique_grid)
    path = tmp_path / f"scan{suffix}"
    sitk.WriteImage(sitk_image(volume), str(path), compressed)
    read = read_itk(path, PLAIN)
    np.testing.assert_array_equal(read.array, volume.array)
    assert read.grid.same_as(volume.grid)
    assert read.grid.same_as(oracle(path)[1])
    assert probe_itk(path, PLAIN).grid.same_as(read.grid)
    assert read.source is not None
    assert len(read.source.sha256) == 64


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_we_write_is_read_back_by_us_and_by_simpleitk(tmp_path, oblique_grid, suffix, kind):
    volume = phantom(oblique_grid, kind)
    path = tmp_path / f"scan{suffix}"
    write_itk(volume, path)
    read = read_itk(path, PLAIN)
    theirs, grid = oracle(path)
    assert read.array.dtype == volume.array.dtype
    np.testing.assert_array_equal(read.array, volume.array)
    np.testing.assert_array_equal(theirs, volume.array[0])
    assert read.grid.same_as(volume.grid)
    assert grid.same_as(volume.grid)


def test_the_same_value_gives_the_same_bytes(tmp_path, oblique_grid):
    for name in ("a.nrrd", "b.nrrd", "a.mha", "b.mha"):
        write_itk(phantom(oblique_grid), tmp_path / name)
    assert (tmp_path / "a.nrrd").read_bytes() == (tmp_path / "b.nrrd").read_bytes()
    assert (tmp_path / "a.mha").read_bytes() == (tmp_path / "b.mha").read_bytes()


@pytest.mark.parametrize(("highest", "kind"), [(200, "uint8"), (70_000, "uint32"), (2**40, "int64")])
def test_labels_take_the_smallest_sufficient_type(tmp_path, oblique_grid, highest, kind):
    array = np.zeros(oblique_grid.shape, np.int64)
    array[3, 2, 1] = highest
    for value in (LabelMap(array, oblique_grid), Instances(array, oblique_grid)):
        write_itk(value, tmp_path / "labels.nrrd")
        read = read_itk(tmp_path / "labels.nrrd", PLAIN)
        assert read.array.dtype == kind
        assert read.array[0, 3, 2, 1] == highest


def test_a_picture_and_several_channels_are_not_written(tmp_path, oblique_grid):
    flat = Volume(np.zeros((1, 4, 5), np.uint8), image_grid((4, 5), (0.5, 0.5), "um"))
    two = Volume(np.zeros((2, *oblique_grid.shape), np.uint8), oblique_grid)
    for value in (flat, two):
        with pytest.raises(MedsegError) as caught:
            write_itk(value, tmp_path / "x.nrrd")
        assert caught.value.code == "E_USAGE"
    assert not list(tmp_path.iterdir())


# --- hand-made NRRD ---------------------------------------------------------------------------------------------

VOXELS = np.arange(24, dtype="<i2").reshape(4, 3, 2, order="F")
FIELDS = {
    "type": "int16", "dimension": "3", "space": "left-posterior-superior", "sizes": "4 3 2",
    "space directions": "(2,0,0) (0,3,0) (0,0,4)", "space origin": "(10,20,30)", "endian": "little", "encoding": "raw",
}  # fmt: skip


def nrrd(path: Path, data: bytes | None = None, **changes: str | None) -> Path:
    fields = FIELDS | {k.replace("_", " "): v for k, v in changes.items()}
    head = "NRRD0005\n# a comment\n" + "".join(f"{k}: {v}\n" for k, v in fields.items() if v is not None)
    path.write_bytes(
        head.encode() + b"key:=a value: with a colon\n\n" + (VOXELS.tobytes("F") if data is None else data)
    )
    return path


@pytest.mark.parametrize(
    ("space", "signs"),
    [
        ("left-posterior-superior", (-1, -1, 1)), ("LPS", (-1, -1, 1)), ("right-anterior-superior", (1, 1, 1)),
        ("RAS", (1, 1, 1)), ("left-anterior-superior", (-1, 1, 1)), ("LAS", (-1, 1, 1)),
    ],
)  # fmt: skip
def test_each_named_world_is_turned_to_ras(tmp_path, space, signs):
    read = read_itk(nrrd(tmp_path / "a.nrrd", space=space), PLAIN)
    np.testing.assert_allclose(np.diag(read.grid.world_from_index)[:3], np.array(signs) * (2, 3, 4))
    np.testing.assert_allclose(read.grid.origin, np.array(signs) * (10, 20, 30))
    np.testing.assert_array_equal(read.array[0], VOXELS)


@pytest.mark.parametrize("units", ['"um" "um" "um"', '"cm" "cm" "cm"', '"mm" "mm" "mm"'])
def test_units_of_the_world_become_millimetres(tmp_path, units):
    scale = {"um": 1e-3, "cm": 10.0, "mm": 1.0}[units[1:3]]
    read = read_itk(nrrd(tmp_path / "a.nrrd", space_units=units), PLAIN)
    np.testing.assert_allclose(read.grid.spacing, np.array((2, 3, 4)) * scale)
    np.testing.assert_allclose(read.grid.origin, np.array((-10, -20, 30)) * scale)


@pytest.mark.parametrize("missing", [{"space": None}, {"space_directions": None}, {"space_origin": None}])
def test_an_image_without_a_complete_position_is_read_only_on_the_users_word(tmp_path, missing):
    path = nrrd(tmp_path / "a.nrrd", spacings="2 3 4", **missing)
    assert refusal_of(path).code == "E_GEOMETRY_AMBIGUOUS"
    read = read_itk(path, ReadOptions(assume_orientation="LPS"))
    assert "".join(read.grid.axis_codes) == "LPS"
    assert read.grid.spacing == (2.0, 3.0, 4.0)


@pytest.mark.parametrize("word", ["RA", "RAX", "RRS"])
def test_an_assumed_orientation_that_is_none_is_refused(tmp_path, word):
    path = nrrd(tmp_path / "a.nrrd", space=None)
    assert refusal_of(path, ReadOptions(assume_orientation=word)).code == "E_USAGE"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"space_directions": "(2,0,0) (0,3,0) (0,0,0)"}, "E_GEOMETRY_INVALID"),
        ({"space_directions": "(2,0,0) (0,3,0) (0,0,nan)"}, "E_GEOMETRY_INVALID"),
        ({"space_directions": "(2,0,0) (1,3,0) (0,0,4)"}, "E_GEOMETRY_INVALID"),
        ({"space_directions": "(2,0,0) (0,3,0) (0,0,9000)"}, "E_GEOMETRY_INVALID"),
        ({"space_directions": "(2,0,0) (0,3,0) (0,0,four)"}, "E_INPUT_UNREADABLE"),
        ({"space": "scanner-xyz"}, "E_GEOMETRY_AMBIGUOUS"),
        ({"space_units": '"furlong" "mm" "mm"'}, "E_GEOMETRY_INVALID"),
        ({"sizes": "4 3 2000000000"}, "E_TOO_LARGE"),
        ({"sizes": "4 -3 2"}, "E_INPUT_UNREADABLE"),
        ({"sizes": "4 0 2"}, "E_INPUT_UNREADABLE"),
        ({"sizes": "4 3"}, "E_INPUT_UNREADABLE"),
        ({"sizes": "4 3 3"}, "E_INPUT_UNREADABLE"),
        ({"type": "block"}, "E_INPUT_FORMAT"),
        ({"endian": None}, "E_INPUT_UNREADABLE"),
        ({"encoding": "hex"}, "E_INPUT_FORMAT"),
        ({"byte_skip": "-7"}, "E_INPUT_UNREADABLE"),
        ({"kinds": "vector domain domain"}, "E_DIMENSIONS_UNSUPPORTED"),
        ({"sizes": "4 6", "dimension": "2"}, "E_DIMENSIONS_UNSUPPORTED"),
        ({"data_file": "../outside.raw"}, "E_PATH_UNSAFE"),
        ({"data_file": "/etc/hostname"}, "E_PATH_UNSAFE"),
        ({"data_file": "..\\outside.raw"}, "E_PATH_UNSAFE"),
        ({"data_file": "../%03d.raw 1 9 1"}, "E_PATH_UNSAFE"),
        ({"data_file": "slice%03d.raw 1 9 1"}, "E_INPUT_FORMAT"),
        ({"data_file": "LIST"}, "E_INPUT_FORMAT"),
        ({"data_file": "absent.raw"}, "E_INPUT_UNREADABLE"),
    ],
)
def test_a_spoiled_header_is_refused(tmp_path, changes, code):
    assert refusal_of(nrrd(tmp_path / "a.nrrd", **changes)).code == code


def test_a_companion_outside_the_folder_is_refused_by_name_even_where_it_exists(tmp_path):
    (tmp_path / "outside.raw").write_bytes(VOXELS.tobytes("F"))
    inner = tmp_path / "inner"
    inner.mkdir()
    assert refusal_of(nrrd(inner / "a.nhdr", data_file="../outside.raw")).code == "E_PATH_UNSAFE"
    (inner / "link.raw").symlink_to(tmp_path / "outside.raw")
    assert refusal_of(nrrd(inner / "b.nhdr", data_file="link.raw")).code == "E_PATH_UNSAFE"


def test_a_companion_beside_its_header_is_read_and_hashed_with_it(tmp_path):
    (tmp_path / "data.raw").write_bytes(b"12\n3" + VOXELS.tobytes("F"))
    read = read_itk(nrrd(tmp_path / "a.nhdr", b"", data_file="data.raw", line_skip="1", byte_skip="1"), PLAIN)
    np.testing.assert_array_equal(read.array[0], VOXELS)
    before = read.source.sha256
    (tmp_path / "data.raw").write_bytes(b"99\n3" + VOXELS.tobytes("F"))
    assert read_itk(tmp_path / "a.nhdr", PLAIN).source.sha256 != before


def test_raw_data_counted_from_the_end_are_found(tmp_path):
    read = read_itk(nrrd(tmp_path / "a.nrrd", b"anything" + VOXELS.tobytes("F"), byte_skip="-1"), PLAIN)
    np.testing.assert_array_equal(read.array[0], VOXELS)


def test_big_endian_voxels_arrive_in_the_machines_order(tmp_path):
    read = read_itk(nrrd(tmp_path / "a.nrrd", VOXELS.astype(">i2").tobytes("F"), endian="big"), PLAIN)
    np.testing.assert_array_equal(read.array[0], VOXELS)
    assert read.array.dtype.isnative


@pytest.mark.parametrize("encoding", ["gzip", "bzip2"])
def test_each_compression_is_read_and_trailing_bytes_are_named(tmp_path, encoding):
    packed = {"gzip": gzip.compress, "bzip2": bz2.compress}[encoding](VOXELS.tobytes("F"))
    read = read_itk(nrrd(tmp_path / "a.nrrd", packed, encoding=encoding), PLAIN)
    np.testing.assert_array_equal(read.array[0], VOXELS)
    assert not read.warnings
    read = read_itk(nrrd(tmp_path / "a.nrrd", packed + b"more", encoding=encoding), PLAIN)
    assert [w.code for w in read.warnings] == ["W_TRAILING_DATA"]


def test_a_gzip_stream_of_two_members_is_read_whole(tmp_path):
    body = VOXELS.tobytes("F")
    read = read_itk(
        nrrd(tmp_path / "a.nrrd", gzip.compress(body[:17]) + gzip.compress(body[17:]), encoding="gz"), PLAIN
    )
    np.testing.assert_array_equal(read.array[0], VOXELS)


@pytest.mark.parametrize("encoding", ["gzip", "bzip2"])
@pytest.mark.parametrize("where", [-1, -6, 14])
def test_one_flipped_bit_in_a_compressed_stream_is_refused(tmp_path, encoding, where):
    packed = bytearray({"gzip": gzip.compress, "bzip2": bz2.compress}[encoding](VOXELS.tobytes("F")))
    packed[where] ^= 0x10
    assert refusal_of(nrrd(tmp_path / "a.nrrd", bytes(packed), encoding=encoding)).code == "E_INPUT_UNREADABLE"


def test_a_stream_that_unpacks_to_more_than_promised_is_stopped(tmp_path):
    packed = gzip.compress(bytes(50_000_000))
    refusal = refusal_of(nrrd(tmp_path / "a.nrrd", packed, encoding="gzip"))
    assert refusal.code == "E_INPUT_UNREADABLE"
    assert "49 bytes" in refusal.found  # one more than the header promises, and not fifty million


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_a_file_cut_anywhere_is_refused(tmp_path, oblique_grid, suffix):
    whole, cut = tmp_path / f"whole{suffix}", tmp_path / f"cut{suffix}"
    write_itk(phantom(oblique_grid), whole)
    data = whole.read_bytes()
    for length in np.linspace(1, len(data) - 1, 64).astype(int):
        cut.write_bytes(data[:length])
        assert refusal_of(cut).code in ("E_INPUT_UNREADABLE", "E_INPUT_FORMAT"), length


def test_bytes_of_a_header_may_change_but_never_crash_the_reader(tmp_path, oblique_grid):
    volume = phantom(oblique_grid)
    path = tmp_path / "a.nrrd"
    write_itk(volume, path)
    data = path.read_bytes()
    end = data.index(b"\n\n")
    rng = np.random.default_rng(0)
    n_refused = 0
    for _ in range(300):
        spoiled = bytearray(data)
        spoiled[rng.integers(end)] = rng.integers(256)
        path.write_bytes(spoiled)
        try:
            read = read_itk(path, PLAIN)
        except MedsegError:
            n_refused += 1
        else:
            assert np.isfinite(read.grid.world_from_index).all()
    assert n_refused > 100


def test_a_channel_axis_of_length_one_is_dropped_and_a_longer_one_refused(tmp_path):
    directions = "none (2,0,0) (0,3,0) (0,0,4)"
    four = {"dimension": "4", "space_directions": directions, "kinds": "list domain domain domain"}
    read = read_itk(nrrd(tmp_path / "a.nrrd", sizes="1 4 3 2", **four), PLAIN)
    np.testing.assert_array_equal(read.array[0], VOXELS)
    path = nrrd(tmp_path / "b.nrrd", VOXELS.tobytes("F") * 3, sizes="3 4 3 2", **four)
    assert refusal_of(path).code == "E_DIMENSIONS_UNSUPPORTED"


def test_a_pipe_named_as_companion_is_refused_and_does_not_hang(tmp_path):
    import os

    os.mkfifo(tmp_path / "pipe.raw")
    assert refusal_of(nrrd(tmp_path / "a.nhdr", b"", data_file="pipe.raw")).code == "E_INPUT_FORMAT"


# --- hand-made MetaImage ----------------------------------------------------------------------------------------

META = {
    "ObjectType": "Image", "NDims": "3", "BinaryData": "True", "TransformMatrix": "1 0 0 0 1 0 0 0 1",
    "Offset": "10 20 30", "ElementSpacing": "2 3 4", "DimSize": "4 3 2", "ElementType": "MET_SHORT",
}  # fmt: skip


def meta(path: Path, data: bytes | None = None, file: str = "LOCAL", **changes: str | None) -> Path:
    head = "".join(f"{k} = {v}\n" for k, v in (META | changes).items() if v is not None)
    path.write_bytes(f"{head}ElementDataFile = {file}\n".encode() + (VOXELS.tobytes("F") if data is None else data))
    return path


def test_a_hand_made_metaimage_is_read_like_simpleitk_does(tmp_path):
    turned = meta(tmp_path / "a.mha", TransformMatrix="0 1 0 0 0 1 1 0 0")
    read = read_itk(turned, PLAIN)
    array, grid = oracle(turned)
    np.testing.assert_array_equal(read.array[0], array)
    assert read.grid.same_as(grid)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"TransformMatrix": None}, "E_GEOMETRY_AMBIGUOUS"),
        ({"Offset": None}, "E_GEOMETRY_AMBIGUOUS"),
        ({"TransformMatrix": "1 0 0 0.3 0.954 0 0 0 1"}, "E_GEOMETRY_INVALID"),
        ({"TransformMatrix": "1 0 0 0 1 0 0 0 0"}, "E_GEOMETRY_INVALID"),
        ({"TransformMatrix": "1 0 0 0 1 0"}, "E_INPUT_UNREADABLE"),
        ({"ElementSpacing": "2 0 4"}, "E_GEOMETRY_INVALID"),
        ({"ElementSpacing": "2 nan 4"}, "E_GEOMETRY_INVALID"),
        ({"ElementSpacing": None}, "E_GEOMETRY_INVALID"),
        ({"DimSize": "100000 100000 1000"}, "E_TOO_LARGE"),
        ({"DimSize": "4 3 3"}, "E_INPUT_UNREADABLE"),
        ({"DimSize": "4 3 2 5", "NDims": "4"}, "E_DIMENSIONS_UNSUPPORTED"),
        ({"ElementNumberOfChannels": "3"}, "E_DIMENSIONS_UNSUPPORTED"),
        ({"ElementNumberOfChannels": "many"}, "E_INPUT_UNREADABLE"),
        ({"ElementType": "MET_STRING"}, "E_INPUT_FORMAT"),
        ({"BinaryData": "False"}, "E_INPUT_FORMAT"),
        ({"CompressedData": "maybe"}, "E_INPUT_UNREADABLE"),
        ({"file": "../outside.raw"}, "E_PATH_UNSAFE"),
        ({"file": "LIST"}, "E_INPUT_FORMAT"),
    ],
)
def test_a_spoiled_metaimage_is_refused(tmp_path, changes, code):
    assert refusal_of(meta(tmp_path / "a.mha", **changes)).code == code


def test_a_damaged_zlib_stream_is_refused(tmp_path):
    packed = bytearray(zlib.compress(VOXELS.tobytes("F")))
    read = read_itk(meta(tmp_path / "a.mha", bytes(packed), CompressedData="True"), PLAIN)
    np.testing.assert_array_equal(read.array[0], VOXELS)
    packed[-1] ^= 1
    refusal = refusal_of(meta(tmp_path / "a.mha", bytes(packed), CompressedData="True"))
    assert refusal.code == "E_INPUT_UNREADABLE"


def test_probing_costs_no_decoding_and_predicts_the_size(tmp_path, oblique_grid):
    path = tmp_path / "a.nrrd"
    write_itk(phantom(oblique_grid, "float32"), path)
    probe = probe_itk(path, PLAIN)
    assert (probe.dtype, probe.n_bytes, probe.channels) == ("float32", 11 * 9 * 7 * 4, ("0",))
    with pytest.raises(MedsegError) as caught:
        probe_itk(path, ReadOptions(max_bytes=100))
    assert caught.value.code == "E_TOO_LARGE"


@pytest.mark.data
@pytest.mark.parametrize("name", ["prostate_phantom_subvolume_image.nrrd", "lung1_label.nrrd"])
def test_real_nrrd_files_agree_with_simpleitk(data_pack, name):
    path = data_pack("ct_mr_organs") / "pyradiomics" / name
    read = read_itk(path, PLAIN)
    array, grid = oracle(path)
    np.testing.assert_array_equal(read.array[0], array)
    assert read.grid.same_as(grid)
