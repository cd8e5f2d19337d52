"""What the files of microscope makers share: several images, each of planes by time, channel and slice -> Volume."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from medseg.errors import MedsegError, Notice
from medseg.io.choice import chosen_frame, chosen_image, frame_details
from medseg.io.hashing import digest_once, file_state
from medseg.io.image_space import RGB, AnyArray, pick_channel, pixel_grid, refusal
from medseg.io.memory import check_size
from medseg.io.options import Probe, ReadOptions, SeriesInfo
from medseg.volume import Source, Volume

MAX_XML_BYTES = 64 << 20
_ODD_CONTENT = (
    ValueError, KeyError, IndexError, TypeError, AttributeError, RuntimeError, AssertionError, ArithmeticError,
    EOFError, NameError, SyntaxError, struct.error, zlib.error,  # NameError: a slip inside the parser of others
)  # fmt: skip
_REEXPORT = "Export the image from the microscope's program as OME-TIFF."
_LONGEST_NAME = 200


def _all_there(_frame: int, _channels: Sequence[int]) -> float:
    return 0.0


@dataclass(frozen=True, eq=False, slots=True)
class Scene:
    """One image of a microscope's file; its planes are read when they are asked for.

    Parameters
    ----------
    key, name : str
        What it is chosen by, and what its maker calls it.
    n_frames, n_slices, height, width : int
    channels : tuple of str
    samples : tuple of int
        Values per pixel of each channel: 1, or 3 for colour.
    dtype : numpy dtype
    spacing_um : (3,) floats or None
        Along (z, y, x).
    plane : callable
        (frame, channel, slice) -> array (n_samples, height, width).
    problem : str
        Axes that an image does not have, where it has some; it is refused when it is chosen.
    odd_pixels : str
        Values that are not read, where it has some; as `problem`.
    bare : callable
        (frame, channels) -> share of these planes that was not recorded and reads as 0.
    """

    key: str
    name: str
    n_frames: int
    n_slices: int
    height: int
    width: int
    channels: tuple[str, ...]
    samples: tuple[int, ...]
    dtype: np.dtype[np.generic]
    spacing_um: tuple[float | None, float | None, float | None]
    plane: Callable[[int, int, int], AnyArray]
    problem: str = ""
    odd_pixels: str = ""
    bare: Callable[[int, Sequence[int]], float] = _all_there

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the channels as they are read: colours count one by one."""
        if self.samples == (len(RGB),):
            return RGB
        return tuple(
            f"{self.channels[c]} {RGB[s]}" if self.samples[c] > 1 else self.channels[c] for c, s in self.places
        )

    @property
    def places(self) -> tuple[tuple[int, int], ...]:
        """Channel and sample of each name."""
        return tuple((c, s) for c, n in enumerate(self.samples) for s in range(n))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of its grid: one slice is a flat image."""
        return (self.height, self.width) if self.n_slices == 1 else (self.n_slices, self.height, self.width)

    @property
    def info(self) -> SeriesInfo:
        """The image as a list of several shows it."""
        size = " x ".join(str(n) for n in reversed(self.shape))
        times = f", {self.n_frames} time points" if self.n_frames > 1 else ""
        about = f"{self.name}, {size}, {len(self.names)} channel{'s'[: len(self.names) > 1]}{times}"
        return SeriesInfo(self.key, about, self.n_frames * self.n_slices * len(self.channels), self.shape)


def probe_scenes(path: Path, kind: str, scenes: Sequence[Scene], options: ReadOptions) -> Probe:
    """Tell what the chosen image of a file is.

    Raises
    ------
    InputError
        If it is not clear which image or time point is meant, or the image cannot be read.
    """
    scene, frame = _chosen(path, scenes, options)
    grid, notices = pixel_grid(path, scene.shape, scene.spacing_um[-len(scene.shape) :], _why(scene), options)
    kept = pick_channel(path, scene.names, options.channel)
    known, places = scene.names, scene.places
    names = tuple(known[c] for c in kept)
    n_bytes = grid.n_voxels * len(names) * scene.dtype.itemsize
    check_size(path, n_bytes, options.max_bytes)
    if bare := scene.bare(frame, sorted({places[number][0] for number in kept})):
        text = (
            f"{100 * bare:.2g} % of the image lies between or beside the tiles of its mosaic and reads as background."
        )
        notices += (Notice("W_CHUNKS_MISSING", text),)
    series = tuple(one.info for one in scenes) if len(scenes) > 1 else ()
    return Probe(str(path), kind, grid, scene.dtype.name, names, n_bytes, series, notices, scene.n_frames)


def read_scenes(path: Path, kind: str, scenes: Sequence[Scene], options: ReadOptions) -> Volume:
    """Read the chosen image of a file into image space, (c, [z,] y, x).

    Raises
    ------
    InputError
        As `probe_scenes`, and if a plane is damaged or the file changes meanwhile.
    """
    found = probe_scenes(path, kind, scenes, options)
    scene, frame = _chosen(path, scenes, options)
    state, before = file_state(path), digest_once(path)
    kept, places = pick_channel(path, scene.names, options.channel), scene.places
    out = np.empty((len(kept), scene.n_slices, scene.height, scene.width), scene.dtype)
    for z in range(scene.n_slices):
        stored: dict[int, AnyArray] = {}
        for place, number in enumerate(kept):
            channel, sample = places[number]
            if channel not in stored:
                stored = {channel: scene.plane(frame, channel, z)}
            out[place, z] = stored[channel][sample]
    if file_state(path) != state:
        raise refusal(path, "a file that changed while it was read", "a file that stays as it is")
    details = dict(frame_details(scene.n_frames, frame))
    if len(scenes) > 1:
        details |= {"series": scene.key}
    source = Source(str(path), kind, before.sha256, before.n_bytes, details)
    return Volume(out.reshape(len(kept), *scene.shape), found.grid, found.channels, source, found.warnings)


@contextmanager
def maker_errors(path: Path, maker: str) -> Iterator[None]:
    """Turn whatever a parser says about odd content into a refusal of a damaged file."""
    try:
        yield
    except MedsegError:
        raise
    except _ODD_CONTENT as error:
        # what the error says may be text of the file, and so the name of a person
        raise refusal(
            path, f"content that does not fit together ({type(error).__name__})", f"an intact {maker} file"
        ) from error


def parsed_xml(path: Path, text: str) -> ElementTree.Element:
    """Return a maker's XML description; one that defines entities is refused.

    Raises
    ------
    InputError
        E_UNSAFE_CONTENT for entities, E_INPUT_UNREADABLE for XML that is not well formed.
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise refusal(path, "an XML description that defines entities", "plain XML", code="E_UNSAFE_CONTENT")
    try:
        return ElementTree.fromstring(text)  # entities were refused above
    except (ElementTree.ParseError, ValueError) as error:
        raise refusal(path, f"a damaged XML description ({error})", "well-formed XML") from error


def unreadable_kind(path: Path, found: str, expected: str) -> MedsegError:
    """Return the refusal of a variant of a maker's format that is not read."""
    return refusal(path, found, expected, code="E_INPUT_FORMAT", remedy=_REEXPORT)


def short(name: str) -> str:
    """Return a name of an image that anybody may have written, cut at its front to what fits into a list.

    Examples
    --------
    >>> short("plate/B1"), len(short("a" * 1_000_000))
    ('plate/B1', 200)
    """
    return name if len(name) <= _LONGEST_NAME else "…" + name[1 - _LONGEST_NAME :]


def distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Return names of channels: the given ones where all are there and differ, else numbers.

    Examples
    --------
    >>> distinct(["DAPI", "GFP"]), distinct(["", "GFP"])
    (('DAPI', 'GFP'), ('0', '1'))
    """
    told = tuple(name.strip() for name in names)
    return told if all(told) and len(set(told)) == len(told) else tuple(str(c) for c in range(len(told)))


def _chosen(path: Path, scenes: Sequence[Scene], options: ReadOptions) -> tuple[Scene, int]:
    if not scenes:
        raise refusal(path, "a file without images", "at least one image", code="E_INPUT_EMPTY")
    scene = scenes[chosen_image(path, [(s.key, s.info.description) for s in scenes], options)]
    if scene.problem:
        found = f"the image {scene.name} with {scene.problem}"
        raise refusal(path, found, "axes x, y, z, channel and time", code="E_DIMENSIONS_UNSUPPORTED", remedy=_REEXPORT)
    if scene.odd_pixels:
        raise unreadable_kind(
            path, f"the image {scene.name} with {scene.odd_pixels}", "grey values or red, green, blue"
        )
    return scene, chosen_frame(path, scene.n_frames, options)


def _why(scene: Scene) -> str:
    if None in scene.spacing_um[1:]:
        return "no pixel size is stored"
    return "no distance between slices is stored" if scene.n_slices > 1 and scene.spacing_um[0] is None else ""
