"""OME-Zarr: maps come back on their own grid, and what is missing on disk is counted."""

import json
import resource
from pathlib import Path

import numpy as np
import pytest
import zarr

from medseg.errors import MedsegError
from medseg.grid import image_grid
from medseg.io.npz import probe_npz, read_npz
from medseg.io.options import ReadOptions
from medseg.io.zarr import probe_zarr, read_zarr, write_maps
from medseg.volume import Volume

PLAIN = ReadOptions()
STACK = np.random.default_rng(9).integers(0, 60_000, (6, 32, 40), dtype=np.uint16)


def image(
    folder: Path,
    array: np.ndarray = STACK,
    axes: str = "zyx",
    *,
    unit: str | None = "micrometer",
    version: int = 2,
    chunks: tuple[int, ...] = (6, 16, 40),
    **changes: object,
) -> Path:
    """Write a small OME-Zarr image; `changes` spoil the description."""
    lead = (1,) * (array.ndim - len(chunks))
    encoding = {"name": "v2", "separator": "/"} if version == 2 else {"name": "default", "separator": "/"}
    zarr.create_array(
        folder / "0", data=array, chunks=(*lead, *chunks), zarr_format=version, chunk_key_encoding=encoding
    )
    kinds = {"t": "time", "c": "channel"}
    named = [{"name": a, "type": kinds.get(a, "space")} | ({"unit": unit} if unit and a in "zyx" else {}) for a in axes]
    sizes = {"z": 1.5, "y": 0.5, "x": 0.25}
    steps = [{"type": "scale", "scale": [sizes.get(a, 1.0) for a in axes]}]
    scale = {"axes": named, "datasets": [{"path": "0", "coordinateTransformations": steps}]} | changes
    if version == 2:
        (folder / ".zgroup").write_text('{"zarr_format": 2}')
        (folder / ".zattrs").write_text(json.dumps({"multiscales": [scale]}))
    else:
        meta = {
            "zarr_format": 3,
            "node_type": "group",
            "attributes": {"ome": {"version": "0.5", "multiscales": [scale]}},
        }
        (folder / "zarr.json").write_text(json.dumps(meta))
    return folder


def refusal_of(path: Path, options: ReadOptions = PLAIN) -> MedsegError:
    with pytest.raises(MedsegError) as caught:
        read_zarr(path, options)
    assert all((caught.value.found, caught.value.expected, caught.value.not_done, caught.value.remedy))
    return caught.value


def edited(path: Path, file: str, **changes: object) -> Path:
    meta = json.loads((path / file).read_text())
    (path / file).write_text(json.dumps(meta | changes))
    return path


def maps_of(grid, dtype="float32") -> Volume:
    rng = np.random.default_rng(1)
    return Volume(rng.random((3, *grid.shape)).astype(dtype), grid, ("background", "anterior", "posterior"))


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
def test_maps_of_a_scan_come_back_in_the_patient(tmp_path, oblique_grid, dtype):
    maps = maps_of(oblique_grid, dtype)
    write_maps(maps, tmp_path / "a_maps.ome.zarr")
    read = read_zarr(tmp_path / "a_maps.ome.zarr", PLAIN)
    np.testing.assert_array_equal(read.array, maps.array)
    assert read.grid.same_as(oblique_grid)
    assert (read.channels, read.array.dtype, read.warnings) == (maps.channels, dtype, ())
    assert [p.name for p in tmp_path.iterdir()] == ["a_maps.ome.zarr"]


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("unit", ["um", "px"])
def test_maps_of_a_micrograph_come_back_with_their_unit(tmp_path, ndim, unit):
    grid = image_grid((70, 33, 300)[-ndim:], (1.5, 0.5, 0.25)[-ndim:] if unit == "um" else (1.0,) * ndim, unit)
    maps = maps_of(grid)
    write_maps(maps, tmp_path / "a.ome.zarr")
    read = read_zarr(tmp_path / "a.ome.zarr", PLAIN)
    np.testing.assert_array_equal(read.array, maps.array)
    assert read.grid.same_as(grid)


def test_other_readers_find_channels_scale_and_unit(tmp_path, oblique_grid):
    maps = maps_of(oblique_grid)
    write_maps(maps, tmp_path / "a.ome.zarr")
    group = zarr.open_group(tmp_path / "a.ome.zarr", mode="r", zarr_format=2)
    scale = group.attrs["multiscales"][0]
    assert [a["name"] for a in scale["axes"]] == ["c", "z", "y", "x"]
    assert {a["unit"] for a in scale["axes"][1:]} == {"millimeter"}
    np.testing.assert_allclose(scale["datasets"][0]["coordinateTransformations"][0]["scale"], (1, 3.0, 1.5, 0.8))
    assert [c["label"] for c in group.attrs["omero"]["channels"]] == list(maps.channels)
    np.testing.assert_array_equal(group["0"][:], maps.array.transpose(0, 3, 2, 1))


def test_writing_again_replaces_the_maps_whole(tmp_path, oblique_grid):
    write_maps(maps_of(oblique_grid), tmp_path / "a.ome.zarr")
    other = Volume(np.zeros((1, *oblique_grid.shape), np.float32), oblique_grid)
    write_maps(other, tmp_path / "a.ome.zarr")
    assert read_zarr(tmp_path / "a.ome.zarr", PLAIN).channels == ("0",)


def test_maps_that_cannot_be_written_leave_nothing_behind(tmp_path, oblique_grid):
    with pytest.raises(MedsegError) as caught:
        write_maps(maps_of(oblique_grid), tmp_path / "absent file" / "a.ome.zarr")
    assert caught.value.code == "E_PERMISSION"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        with pytest.raises(MedsegError) as caught:
            write_maps(maps_of(oblique_grid), tmp_path / "a.ome.zarr")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.code == "E_DISK_FULL"
    assert not list(tmp_path.glob("*.zarr")) + list(tmp_path.glob(".*"))


def test_one_slice_is_a_flat_image(tmp_path):
    read = read_zarr(image(tmp_path / "a.zarr", STACK[:1], chunks=(1, 16, 40)), PLAIN)
    np.testing.assert_array_equal(read.array, STACK[:1])
    assert read.grid.spacing == (0.5, 0.25)


@pytest.mark.parametrize("version", [2, 3])
def test_a_simple_image_is_read_with_its_spacing(tmp_path, version):
    path = image(tmp_path / "a.zarr", version=version)
    read = read_zarr(path, PLAIN)
    np.testing.assert_array_equal(read.array[0], STACK)
    assert (read.grid.spacing, read.grid.unit, read.warnings) == ((1.5, 0.5, 0.25), "um", ())
    assert probe_zarr(path, PLAIN).n_bytes == STACK.nbytes


@pytest.mark.parametrize(("unit", "um"), [("nanometer", 1e-3), ("millimeter", 1e3), ("micrometer", 1.0)])
def test_each_unit_becomes_micrometres(tmp_path, unit, um):
    read = read_zarr(image(tmp_path / "a.zarr", unit=unit), PLAIN)
    np.testing.assert_allclose(read.grid.spacing, np.array((1.5, 0.5, 0.25)) * um)


def test_axes_without_a_unit_give_pixels(tmp_path):
    path = image(tmp_path / "a.zarr", unit=None)
    read = read_zarr(path, PLAIN)
    assert (read.grid.unit, [w.code for w in read.warnings]) == ("px", ["W_SPACING_UNTRUSTED"])
    assert read_zarr(path, ReadOptions(pixel_size=(2.0, 1.0, 1.0))).grid.spacing == (2.0, 1.0, 1.0)


@pytest.mark.parametrize("version", [2, 3])
def test_time_and_channels_are_chosen(tmp_path, version):
    movie = np.stack([np.stack([STACK, STACK + 1]), np.stack([STACK + 2, STACK + 3])])
    path = image(tmp_path / "a.zarr", movie, "tczyx", version=version)
    assert refusal_of(path).code == "E_DIMENSIONS_UNSUPPORTED"
    np.testing.assert_array_equal(read_zarr(path, ReadOptions(frame=1)).array, movie[1])
    np.testing.assert_array_equal(read_zarr(path, ReadOptions(frame=1, channel=1)).array, movie[1, 1:])


def test_an_empty_list_of_filters_is_no_fault(tmp_path):
    path = edited(image(tmp_path / "a.zarr"), "0/.zarray", filters=[])
    np.testing.assert_array_equal(read_zarr(path, PLAIN).array[0], STACK)


def test_missing_chunks_are_counted(tmp_path):
    path = image(tmp_path / "a.zarr")
    (path / "0" / "0" / "1" / "0").unlink()
    read = read_zarr(path, PLAIN)
    assert [w.code for w in read.warnings] == ["W_CHUNKS_MISSING"]
    assert "1 of 2" in read.warnings[0].text
    np.testing.assert_array_equal(read.array[0, :, :16], STACK[:, :16])
    assert not read.array[0, :, 16:].any()
    (path / "0" / "0" / "0" / "0").unlink()
    assert refusal_of(path).code == "E_INPUT_UNREADABLE"


@pytest.mark.parametrize("version", [2, 3])
def test_a_chunk_cut_short_is_refused(tmp_path, version):
    path = image(tmp_path / "a.zarr", version=version)
    chunks = sorted(p for p in (path / "0").rglob("0") if p.is_file())
    chunks[0].write_bytes(chunks[0].read_bytes()[:-40])
    assert refusal_of(path).code == "E_INPUT_UNREADABLE"


def test_a_plain_chunk_cut_short_is_refused(tmp_path):
    path = edited(image(tmp_path / "a.zarr"), "0/.zarray", compressor=None)
    for file in (path / "0" / "0" / "0" / "0", path / "0" / "0" / "1" / "0"):
        file.write_bytes(bytes(6 * 16 * 40 * 2))
    assert read_zarr(path, PLAIN).array.max() == 0
    file.write_bytes(bytes(100))
    assert refusal_of(path).code == "E_INPUT_UNREADABLE"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"shape": [10**6] * 3}, "E_TOO_LARGE"),
        ({"chunks": [10**5] * 3}, "E_TOO_LARGE"),
        ({"shape": [6, 32]}, "E_INPUT_UNREADABLE"),
        ({"shape": [6, -32, 40]}, "E_INPUT_UNREADABLE"),
        ({"shape": [6, True, 40]}, "E_INPUT_UNREADABLE"),
        ({"chunks": [0, 16, 40]}, "E_INPUT_UNREADABLE"),
        ({"dtype": "|O"}, "E_UNSAFE_CONTENT"),
        ({"dtype": "<U9"}, "E_INPUT_FORMAT"),
        ({"filters": [{"id": "pickle"}]}, "E_UNSAFE_CONTENT"),
        ({"filters": True}, "E_INPUT_UNREADABLE"),
        ({"compressor": {"id": "mystery"}}, "E_INPUT_FORMAT"),
    ],
)
def test_a_spoiled_array_header_is_refused(tmp_path, changes, code):
    assert refusal_of(edited(image(tmp_path / "a.zarr"), "0/.zarray", **changes)).code == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"datasets": [{"path": "../../elsewhere"}]}, "E_PATH_UNSAFE"),
        ({"datasets": [{"path": "/etc"}]}, "E_PATH_UNSAFE"),
        ({"datasets": [{"path": "7"}]}, "E_INPUT_UNREADABLE"),
        ({"datasets": []}, "E_INPUT_UNREADABLE"),
        ({"axes": ["z", "x", "y"]}, "E_DIMENSIONS_UNSUPPORTED"),
        ({"axes": ["y", "x"]}, "E_INPUT_UNREADABLE"),
        ({"axes": []}, "E_DIMENSIONS_UNSUPPORTED"),
        ({"coordinateTransformations": [{"type": "affine"}]}, "E_INPUT_UNREADABLE"),
        ({"coordinateTransformations": [{"type": "scale", "scale": [1, 1]}]}, "E_INPUT_UNREADABLE"),
    ],
)
def test_a_spoiled_description_is_refused(tmp_path, changes, code):
    assert refusal_of(image(tmp_path / "a.zarr", **changes)).code == code


def test_links_among_the_chunks_and_plain_zarr_are_refused(tmp_path):
    path = image(tmp_path / "a.zarr")
    chunk = path / "0" / "0" / "1" / "0"
    (tmp_path / "secret").write_bytes(chunk.read_bytes())
    chunk.unlink()
    chunk.symlink_to(tmp_path / "secret")
    assert refusal_of(path).code == "E_PATH_UNSAFE"
    zarr.create_array(tmp_path / "plain.zarr", data=STACK, zarr_format=2)
    assert refusal_of(tmp_path / "plain.zarr").code == "E_INPUT_FORMAT"
    (tmp_path / "a.zarr" / ".zattrs").write_text("[" * 100_000)
    assert refusal_of(path).code == "E_INPUT_UNREADABLE"


def test_numpy_files_are_refused_in_words(tmp_path):
    np.savez_compressed(tmp_path / "small.npz", a=STACK)
    np.savez_compressed(tmp_path / "bomb.npz", a=np.zeros((300, 1000, 1000), np.uint8))
    np.save(tmp_path / "a.npy", STACK)
    np.save(tmp_path / "objects.npy", np.array([{}, []], dtype=object), allow_pickle=True)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "small.npz").read_bytes()[:-100])
    expected = {"small.npz": "E_INPUT_FORMAT", "bomb.npz": "E_TOO_LARGE", "a.npy": "E_INPUT_FORMAT",
                "objects.npy": "E_UNSAFE_CONTENT", "cut.npz": "E_INPUT_UNREADABLE"}  # fmt: skip
    for name, code in expected.items():
        for function in (probe_npz, read_npz):
            with pytest.raises(MedsegError) as caught:
                function(tmp_path / name, PLAIN)
            assert caught.value.code == code
