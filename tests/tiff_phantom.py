"""TIFF files of noise, and the helpers that the tests of TIFF share."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from medseg.errors import MedsegError
from medseg.io.options import ReadOptions
from medseg.io.tiff import read_tiff
from medseg.volume import Volume

PLAIN = ReadOptions()
RNG = np.random.default_rng(5)
FLAT = RNG.integers(0, 60_000, (13, 17), dtype=np.uint16)
STACK = RNG.integers(0, 60_000, (6, 13, 17), dtype=np.uint16)


def refusal_of(path: Path, options: ReadOptions = PLAIN) -> MedsegError:
    with pytest.raises(MedsegError) as caught:
        read_tiff(path, options)
    assert all((caught.value.found, caught.value.expected, caught.value.not_done, caught.value.remedy))
    return caught.value


def codes(volume: Volume) -> list[str]:
    return [notice.code for notice in volume.warnings]


def described(path: Path, text: str, pages: np.ndarray = STACK, **tags: object) -> Path:
    """Write pages with exactly this image description."""
    with tifffile.TiffWriter(path) as writer:
        for number, page in enumerate(pages):
            description = text.encode() if number == 0 else b""
            writer.write(page, description=description, metadata=None, contiguous=False, **tags)
    return path


def imagej(path: Path, *lines: str, pages: np.ndarray = STACK, per_unit: float = 4.0) -> Path:
    text = "\n".join(("ImageJ=1.53t", f"images={len(pages)}", *lines, ""))
    return described(path, text, pages, resolution=(per_unit, per_unit / 2), resolutionunit="NONE")
