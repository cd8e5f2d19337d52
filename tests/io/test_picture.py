"""PNG and JPEG: full depth, no silent transparency, and no pixel size that a screen invented."""

import io
import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from medseg.errors import MedsegError
from medseg.grid import image_grid
from medseg.io.options import ReadOptions
from medseg.io.picture import probe_picture, read_picture, write_picture
from medseg.labels import Instances, LabelMap
from medseg.volume import Volume

PLAIN = ReadOptions()
RNG = np.random.default_rng(7)


def pixels(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return RNG.integers(0, np.iinfo(dtype).max, shape, dtype=dtype)


def png(path: Path, array: np.ndarray) -> Path:
    path.write_bytes(imagecodecs.png_encode(array))
    return path


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def hand_made(bits: int, colour: int, rows: bytes, *more: bytes, size: tuple[int, int] = (8, 2)) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def refusal_of(path: Path, options: ReadOptions = PLAIN) -> MedsegError:
    with pytest.raises(MedsegError) as caught:
        read_picture(path, options)
    assert all((caught.value.found, caught.value.expected, caught.value.not_done, caught.value.remedy))
    return caught.value


def codes(volume: Volume) -> list[str]:
    return [notice.code for notice in volume.warnings]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_and_rgb_keep_every_bit(tmp_path, dtype):
    grey, rgb = pixels(13, 17, dtype=dtype), pixels(13, 17, 3, dtype=dtype)
    read = read_picture(png(tmp_path / "a.png", grey), PLAIN)
    assert (read.array.dtype, read.grid.shape, read.grid.axis_codes) == (dtype, (13, 17), ("y", "x"))
    np.testing.assert_array_equal(read.array[0], grey)
    read = read_picture(png(tmp_path / "b.png", rgb), PLAIN)
    assert (read.array.dtype, read.channels) == (dtype, ("red", "green", "blue"))
    np.testing.assert_array_equal(read.array, np.moveaxis(rgb, -1, 0))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("n", [2, 4])
def test_transparency_is_left_out_and_named(tmp_path, dtype, n):
    array = pixels(13, 17, n, dtype=dtype)
    read = read_picture(png(tmp_path / "a.png", array), PLAIN)
    assert "W_ALPHA_DROPPED" in codes(read)
    np.testing.assert_array_equal(read.array, np.moveaxis(array[..., :-1], -1, 0))


def test_a_palette_is_looked_up_unless_the_stored_numbers_are_asked_for(tmp_path):
    image = Image.fromarray(pixels(13, 17))
    image = image.convert("P", palette=Image.Palette.ADAPTIVE, colors=7)
    image.save(tmp_path / "a.png")
    read = read_picture(tmp_path / "a.png", PLAIN)
    np.testing.assert_array_equal(read.array, np.moveaxis(np.asarray(image.convert("RGB")), -1, 0))
    stored = read_picture(tmp_path / "a.png", ReadOptions(channel="index"))
    np.testing.assert_array_equal(stored.array[0], np.asarray(image))
    assert stored.channels == ("index",)
    blue = read_picture(tmp_path / "a.png", ReadOptions(channel="blue"))
    np.testing.assert_array_equal(blue.array[0], read.array[2])


@pytest.mark.parametrize(
    ("bits", "rows", "values"),
    [
        (1, b"\0\xa5\0\x0f", [[1, 0, 1, 0, 0, 1, 0, 1], [0, 0, 0, 0, 1, 1, 1, 1]]),
        (2, b"\0\x1b\x1b\0\xff\x00", [[0, 1, 2, 3, 0, 1, 2, 3], [3, 3, 3, 3, 0, 0, 0, 0]]),
        (4, b"\0\x01\x23\x45\x67\0\xff\xee\xdd\xcc", [[0, 1, 2, 3, 4, 5, 6, 7], [15, 15, 14, 14, 13, 13, 12, 12]]),
    ],
)
def test_few_bits_are_read_as_stored_and_not_stretched(tmp_path, bits, rows, values):
    (tmp_path / "a.png").write_bytes(hand_made(bits, 0, rows))
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png", PLAIN).array[0], values)


def test_a_transparent_colour_is_named(tmp_path):
    rows = b"\0" + bytes(range(8)) + b"\0" + bytes(range(8, 16))
    (tmp_path / "a.png").write_bytes(hand_made(8, 0, rows, chunk(b"tRNS", b"\0\x03")))
    read = read_picture(tmp_path / "a.png", PLAIN)
    np.testing.assert_array_equal(read.array[0].ravel(), np.arange(16))
    assert "W_ALPHA_DROPPED" in codes(read)


@pytest.mark.parametrize("dpi", [72, 96, 300, None])
def test_a_screens_resolution_is_no_pixel_size(tmp_path, dpi):
    for name in ("a.png", "a.jpg"):
        Image.fromarray(pixels(13, 17)).save(tmp_path / name, **({"dpi": (dpi, dpi)} if dpi else {}))
        read = read_picture(tmp_path / name, PLAIN)
        assert (read.grid.unit, codes(read)) == ("px", ["W_SPACING_UNTRUSTED"])
        assert dpi is None or f"{dpi} dots" in read.warnings[0].text
        stated = read_picture(tmp_path / name, ReadOptions(pixel_size=(0.3, 0.2)))
        assert (stated.grid.unit, stated.grid.spacing, codes(stated)) == ("um", (0.3, 0.2), [])


def test_a_microscopes_resolution_in_a_png_is_believed(tmp_path):
    rows = b"\0" + bytes(8) + b"\0" + bytes(8)
    density = chunk(b"pHYs", struct.pack(">IIB", 4_000_000, 2_000_000, 1))
    (tmp_path / "a.png").write_bytes(hand_made(8, 0, rows, density))
    np.testing.assert_allclose(read_picture(tmp_path / "a.png", PLAIN).grid.spacing, (0.5, 0.25))


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_jpeg_is_decoded_as_pillow_does(tmp_path, mode):
    Image.fromarray(pixels(13, 17, 3)).convert(mode).save(tmp_path / "a.jpg")
    theirs = np.asarray(Image.open(tmp_path / "a.jpg"))
    read = read_picture(tmp_path / "a.jpg", PLAIN)
    np.testing.assert_array_equal(read.array, theirs[np.newaxis] if mode == "L" else np.moveaxis(theirs, -1, 0))


def test_printing_colours_and_animations_are_refused(tmp_path):
    Image.fromarray(pixels(13, 17, 4), "CMYK").save(tmp_path / "a.jpg")
    assert refusal_of(tmp_path / "a.jpg").code == "E_INPUT_FORMAT"
    frames = [Image.fromarray(pixels(13, 17)) for _ in range(3)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    assert refusal_of(tmp_path / "a.png").code == "E_DIMENSIONS_UNSUPPORTED"


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_a_picture_cut_anywhere_is_refused(tmp_path, name):
    Image.fromarray(pixels(60, 70, 3)).save(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    for length in np.linspace(1, len(data) - 3, 64).astype(int):
        (tmp_path / name).write_bytes(data[:length])
        assert refusal_of(tmp_path / name).code in ("E_INPUT_UNREADABLE", "E_INPUT_FORMAT"), length


def test_every_flipped_byte_of_a_png_is_noticed(tmp_path):
    data = imagecodecs.png_encode(pixels(13, 17))
    rng = np.random.default_rng(2)
    for at in range(8, len(data)):
        spoiled = bytearray(data)
        spoiled[at] ^= int(rng.integers(1, 256))
        (tmp_path / "a.png").write_bytes(spoiled)
        assert refusal_of(tmp_path / "a.png").code == "E_INPUT_UNREADABLE", at


def test_bytes_behind_the_end_are_named(tmp_path):
    path = png(tmp_path / "a.png", pixels(13, 17))
    path.write_bytes(path.read_bytes() + b"more")
    assert "W_TRAILING_DATA" in codes(read_picture(path, PLAIN))


def test_the_size_is_predicted_from_the_header(tmp_path):
    (tmp_path / "a.png").write_bytes(hand_made(8, 0, b"\0", size=(65_000, 65_000)))
    assert refusal_of(tmp_path / "a.png").code == "E_TOO_LARGE"
    path = png(tmp_path / "b.png", pixels(13, 17, 3, dtype=np.uint16))
    probe = probe_picture(path, PLAIN)
    assert (probe.n_bytes, probe.dtype, probe.channels) == (13 * 17 * 6, "uint16", ("red", "green", "blue"))


@pytest.mark.parametrize(
    "data",
    [
        hand_made(8, 0, b"\0" + bytes(3)),
        hand_made(3, 0, b"\0" + bytes(8)),
        hand_made(8, 5, b"\0" + bytes(8)),
        hand_made(8, 0, b"", size=(0, 4)),
        b"\x89PNG\r\n\x1a\n" + chunk(b"IEND", b""),
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8\xff\xff\xff\xff",
        b"\xff\xd8\xff\xe0\x00\x00" * 9,
    ],
)
def test_damaged_headers_are_refused(tmp_path, data):
    (tmp_path / "a.png").write_bytes(data)
    assert refusal_of(tmp_path / "a.png").code == "E_INPUT_UNREADABLE"


# --- writing ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("highest", "dtype"), [(2, np.uint8), (255, np.uint8), (256, np.uint16), (65_535, np.uint16)])
@pytest.mark.parametrize("unit", ["um", "px"])
def test_labels_come_back_with_every_number_and_the_pixel_size(tmp_path, highest, dtype, unit):
    grid = image_grid((13, 17), (0.325, 48.7) if unit == "um" else (1.0, 1.0), unit)
    array = np.zeros((13, 17), np.int64)
    array[2, 5] = highest
    for value in (LabelMap(array, grid), Instances(array, grid)):
        write_picture(value, tmp_path / "a.png")
        read = read_picture(tmp_path / "a.png", PLAIN)
        assert read.array.dtype == dtype
        np.testing.assert_array_equal(read.array[0], array)
        assert read.grid.same_as(grid)
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), array)


def test_more_labels_than_png_holds_are_refused_in_words(tmp_path):
    labels = LabelMap(np.full((4, 5), 65_536), image_grid((4, 5), (1.0, 1.0), "px"))
    with pytest.raises(MedsegError, match="65535") as caught:
        write_picture(labels, tmp_path / "a.png")
    assert ".tif" in caught.value.remedy
    assert not list(tmp_path.iterdir())


def test_stacks_scans_and_fractions_are_not_written(tmp_path, oblique_grid):
    stack = image_grid((3, 4, 5), (1.0, 1.0, 1.0), "um")
    flat = image_grid((4, 5), (1.0, 1.0), "um")
    values = (
        LabelMap(np.zeros((3, 4, 5), np.uint8), stack),
        LabelMap(np.zeros(oblique_grid.shape, np.uint8), oblique_grid),
        Volume(np.zeros((1, 4, 5), np.float32), flat),
        Volume(np.zeros((2, 4, 5), np.uint8), flat),
    )
    for value in values:
        with pytest.raises(MedsegError) as caught:
            write_picture(value, tmp_path / "a.png")
        assert caught.value.code == "E_USAGE"


def test_pictures_come_back(tmp_path):
    flat = image_grid((13, 17), (0.5, 0.25), "um")
    for volume in (
        Volume(pixels(1, 13, 17), flat),
        Volume(pixels(1, 13, 17, dtype=np.uint16), flat),
        Volume(pixels(3, 13, 17), flat, ("red", "green", "blue")),
    ):
        write_picture(volume, tmp_path / "a.png")
        read = read_picture(tmp_path / "a.png", PLAIN)
        np.testing.assert_array_equal(read.array, volume.array)
        assert read.channels == volume.channels
        assert read.grid.same_as(flat)


def test_a_spoiled_note_of_the_pixel_size_is_not_believed(tmp_path):
    for note in ("1e999 1 um", "-1 -1 um", "0 0 um", "nonsense", "1 1 furlong"):
        info = PngImagePlugin.PngInfo()
        info.add_text("medseg pixel size", note)
        buffer = io.BytesIO()
        Image.fromarray(pixels(4, 5)).save(buffer, format="PNG", pnginfo=info)
        (tmp_path / "a.png").write_bytes(buffer.getvalue())
        assert read_picture(tmp_path / "a.png", PLAIN).grid.unit == "px"


# --- real files -------------------------------------------------------------------------------------------------


@pytest.mark.data
def test_pictures_of_the_packs_agree_with_other_decoders(data_pack):
    odd = sorted((data_pack("nifti_odd") / "png_tif_modes").glob("*.png"))
    files = odd + sorted((data_pack("axon_sem") / "images").glob("*.png"))[-2:]
    files += sorted((data_pack("dsb2018") / "images").glob("*.png"))[::60]
    for path in files:
        read = read_picture(path, PLAIN)
        with Image.open(path) as image:
            theirs = np.asarray(image)
        has_alpha = theirs.ndim == 3 and theirs.shape[2] in (2, 4)
        colours = theirs[..., : theirs.shape[2] - has_alpha] if theirs.ndim == 3 else theirs[..., np.newaxis]
        assert has_alpha == ("W_ALPHA_DROPPED" in codes(read))
        if path.name.startswith("sub-png_sample-16rgb"):  # Pillow cuts these to 8 bits; ours must agree and hold more
            assert read.array.dtype == np.uint16
            assert np.abs((read.array >> 8).astype(int) - np.moveaxis(colours, -1, 0)).max() <= 1
        else:
            np.testing.assert_array_equal(read.array, np.moveaxis(colours, -1, 0))
