"""Walk the pages of a TIFF or BigTIFF file: every offset and count is checked before it is followed."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from medseg.io.image_space import refusal

MAX_PAGES = 100_000
MAX_TAGS = 4_096
MAX_TEXT = 32 << 20
"""Largest image description that is read, in bytes."""

_TYPES = {1: ("B", 1), 2: ("s", 1), 3: ("H", 2), 4: ("I", 4), 5: ("I", 8), 6: ("b", 1), 7: ("s", 1), 8: ("h", 2),
          9: ("i", 4), 10: ("i", 8), 11: ("f", 4), 12: ("d", 8), 13: ("I", 4), 16: ("Q", 8), 17: ("q", 8),
          18: ("Q", 8)}  # fmt: skip
_WANTED = {254, 256, 257, 258, 259, 262, 270, 273, 274, 277, 278, 279, 282, 283, 284, 296, 320, 322, 323, 324, 325,
           338, 339, 32997, 50706}  # fmt: skip
_NOT_COUNTS = {270, 282, 283}
_COUNT_TYPES = {1, 3, 4, 13, 16, 18}
"""Sizes, offsets and codes are whole numbers; only texts and resolutions are not."""
_VENDORS = {33628: "MetaMorph STK", 33629: "MetaMorph STK", 34361: "FluoView", 34362: "FluoView",
            34412: "Zeiss LSM", 65420: "Hamamatsu NDPI", 50706: "camera raw (DNG)"}  # fmt: skip

Value = tuple[int | float, ...] | bytes


@dataclass(frozen=True, slots=True)
class Page:
    """One page (image file directory) of a TIFF file.

    Parameters
    ----------
    number : int
        Position in the chain, from 0.
    tags : dict of int to tuple or bytes
        The tags that matter here, decoded.
    vendor : str
        Name of a maker's own format whose planes cannot be found without its documents; else empty.
    """

    number: int
    tags: dict[int, Value]
    vendor: str = ""

    def numbers(self, tag: int, default: tuple[int | float, ...] = ()) -> tuple[int | float, ...]:
        """Return the values of a numeric tag."""
        value = self.tags.get(tag, default)
        return default if isinstance(value, bytes) or not value else value

    def number_of(self, tag: int, default: int = 0) -> int:
        """Return the first value of a numeric tag as a whole number."""
        return int(self.numbers(tag, (default,))[0])

    @property
    def text(self) -> str:
        """The image description."""
        value = self.tags.get(270, b"")
        return value.split(b"\0")[0].decode("utf-8", "replace") if isinstance(value, bytes) else ""

    @property
    def offsets(self) -> tuple[int | float, ...]:
        """Where each strip or tile begins."""
        return self.numbers(324 if 322 in self.tags else 273)

    @property
    def height(self) -> int:
        """Rows."""
        return self.number_of(257)

    @property
    def width(self) -> int:
        """Columns."""
        return self.number_of(256)

    @property
    def samples(self) -> int:
        """Values per pixel."""
        return self.number_of(277, 1)

    @property
    def bits(self) -> int:
        """Bits of each value."""
        return self.number_of(258, 1)

    @property
    def is_preview(self) -> bool:
        """Whether the page declares itself a smaller copy or a transparency mask of another."""
        return bool(self.number_of(254) & 0b101)

    @property
    def n_bytes(self) -> int:
        """Bytes of the decoded page."""
        return self.height * self.width * self.samples * max(1, (self.bits + 7) // 8)

    @property
    def n_segment_bytes(self) -> int:
        """Bytes of one decoded tile, which a file may declare larger than its page."""
        return self.number_of(322) * self.number_of(323) * self.samples * max(1, (self.bits + 7) // 8)

    @property
    def resolution(self) -> tuple[float | None, float | None]:
        """Pixels per unit along (y, x); None where absent or impossible."""
        return _ratio(self.numbers(283)), _ratio(self.numbers(282))


def walk(path: Path, file: BinaryIO, size: int) -> tuple[Page, ...]:
    """Return the pages of the chain that begins in the header of `file`, of `size` bytes.

    Raises
    ------
    InputError
        E_INPUT_UNREADABLE if the chain, a tag or the pixels of a page point out of the file or back to an earlier page.
    """
    order, big, offset = _start(path, file)
    pages: list[Page] = []
    seen: set[int] = set()
    while offset:
        if offset in seen:
            raise refusal(path, f"a chain of pages that leads from page {len(pages)} back to an earlier one", "an end")
        if len(pages) >= MAX_PAGES:
            raise refusal(path, f"more than {MAX_PAGES} pages", f"at most {MAX_PAGES}")
        seen.add(offset)
        page, offset = _Reader(path, file, size, order, big).page(offset, len(pages))
        if not page.is_preview:
            check_pixels(path, page, size)
        pages.append(page)
    if not pages:
        raise refusal(path, "no page", "at least one page")
    return tuple(pages)


def _start(path: Path, file: BinaryIO) -> tuple[str, bool, int]:
    file.seek(0)
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 8:
        raise refusal(path, f"the first bytes {head[:4]!r}", "a TIFF file", code="E_INPUT_FORMAT")
    magic = struct.unpack(order + "H", head[2:4])[0]
    if magic == 42:
        return order, False, struct.unpack(order + "I", head[4:8])[0]
    if magic == 43 and len(head) == 16 and struct.unpack(order + "HH", head[4:8]) == (8, 0):
        return order, True, struct.unpack(order + "Q", head[8:16])[0]
    raise refusal(path, f"the TIFF version {magic}", "42 (TIFF) or 43 (BigTIFF)", code="E_INPUT_FORMAT")


@dataclass(frozen=True, slots=True)
class _Reader:
    path: Path
    file: BinaryIO
    size: int
    order: str
    big: bool

    def page(self, offset: int, number: int) -> tuple[Page, int]:
        """Return the page at `offset` and the offset of the next."""
        width, entry, link = (8, 20, "Q") if self.big else (2, 12, "I")
        count = struct.unpack(self.order + ("Q" if self.big else "H"), self._bytes(offset, width, number))[0]
        if not 0 < count <= MAX_TAGS:
            raise refusal(self.path, f"{count} tags on page {number + 1}", f"1 to {MAX_TAGS}")
        table = self._bytes(offset + width, count * entry, number)
        tags: dict[int, Value] = {}
        vendor = ""
        for start in range(0, count * entry, entry):
            code = struct.unpack_from(self.order + "H", table, start)[0]
            vendor = vendor or _VENDORS.get(code, "")
            if code in _WANTED:
                tags[code] = self._value(table[start : start + entry], number)
        after = self._bytes(offset + width + count * entry, struct.calcsize(link), number)
        return Page(number, tags, vendor), struct.unpack(self.order + link, after)[0]

    def _value(self, entry: bytes, number: int) -> Value:
        code, kind = struct.unpack_from(self.order + "HH", entry)
        n = struct.unpack_from(self.order + ("Q" if self.big else "I"), entry, 4)[0]
        if kind not in (
            _TYPES if code in _NOT_COUNTS else _COUNT_TYPES
        ):  # another reader might skip such a tag: two readings of one file are one too many
            raise refusal(self.path, f"tag {code} of type {kind} on page {number + 1}", "the type that TIFF prescribes")
        letter, unit = _TYPES[kind]
        n_bytes = n * unit
        if n_bytes > MAX_TEXT:
            raise refusal(self.path, f"{n_bytes:,} bytes in tag {code} of page {number + 1}", f"at most {MAX_TEXT:,}")
        inline = entry[12:] if self.big else entry[8:]
        if n_bytes > len(inline):
            where = struct.unpack(self.order + ("Q" if self.big else "I"), inline)[0]
            raw = self._bytes(where, n_bytes, number)
        else:
            raw = inline[:n_bytes]
        if letter == "s":
            return raw
        n_items = n * (2 if kind in (5, 10) else 1)
        return struct.unpack(f"{self.order}{n_items}{letter}", raw)

    def _bytes(self, offset: int, n: int, number: int) -> bytes:
        if offset + n > self.size:
            raise refusal(
                self.path,
                f"{self.size:,} bytes, although page {number + 1} refers to byte {offset + n:,}",
                "a complete file",
            )
        self.file.seek(offset)
        return self.file.read(n)


def check_pixels(path: Path, page: Page, size: int) -> None:
    """Raise E_INPUT_UNREADABLE unless every strip or tile of a page lies within a file of `size` bytes."""
    where = f"page {page.number + 1}"
    if page.width < 1 or page.height < 1 or page.samples < 1:
        found = f"{page.width} x {page.height} pixels with {page.samples} values on {where}"
        raise refusal(path, found, "sizes above zero")
    tiled = 322 in page.tags
    offsets = page.offsets
    counts = page.numbers(325 if tiled else 279)
    if not counts and len(offsets) == 1 and page.number_of(259, 1) == 1:
        counts = (page.n_bytes,)  # an old habit: the size of a single plain strip goes without saying
    expected = _n_segments(page, tiled)
    if len(offsets) != len(counts) or len(offsets) < expected or expected < 1:
        raise refusal(path, f"{len(offsets)} of {expected} strips or tiles on {where}", "all of them")
    if any(o <= 0 or c <= 0 for o, c in zip(offsets, counts, strict=True)):
        raise refusal(path, f"strips or tiles without data on {where}", "data for every part of the image")
    end = int(max(o + c for o, c in zip(offsets, counts, strict=True)))
    if end > size:
        raise refusal(path, f"{size:,} bytes, although {where} ends at byte {end:,}", "a complete file")


def _n_segments(page: Page, tiled: bool) -> int:
    planes = page.samples if page.number_of(284, 1) == 2 else 1
    if tiled:
        wide, high = page.number_of(322), page.number_of(323)
        return planes * math.ceil(page.width / wide) * math.ceil(page.height / high) if wide > 0 < high else 0
    rows = min(page.number_of(278, page.height) or page.height, page.height)
    return planes * math.ceil(page.height / rows)


def _ratio(pair: tuple[int | float, ...]) -> float | None:
    if len(pair) != 2 or pair[1] == 0 or pair[0] <= 0:
        return None
    return float(pair[0] / pair[1])
