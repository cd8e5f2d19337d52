"""What the pages of a TIFF file mean: channels, slices, time points, pixel size; by ImageJ or by a plain note."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, replace
from pathlib import Path

from medseg.errors import InputError
from medseg.io.choice import chosen_frame, chosen_image, frame_details
from medseg.io.image_space import UM_PER_UNIT, refusal, trusted_resolution
from medseg.io.options import ReadOptions, SeriesInfo
from medseg.io.tiff_pages import Page

MIN_UNNAMED_SLICES = 5
"""So many unnamed pages are taken as slices; fewer could as well be colours."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Which page holds which plane of the image that is read.

    Parameters
    ----------
    kind : {"ome", "imagej", "plain"}
    pages : tuple of tuple of int
        Page numbers by channel, then slice: ``pages[c][z]``.
    is_stack : bool
        Whether there is a z axis (a stack of one slice is flat).
    channels : tuple of str
        Names by channel; empty where the file gives none.
    spacing_um : tuple of float or None
        Along (z, y, x).
    why : str
        Why the spacing cannot be trusted, where that is so.
    details : dict
        Facts for the record.
    n_frames : int
        Time points or unnamed pages, of which one is read.
    series : tuple of SeriesInfo
        The images of the file, where it holds several.
    """

    kind: str
    pages: tuple[tuple[int, ...], ...]
    is_stack: bool
    channels: tuple[str, ...]
    spacing_um: tuple[float | None, float | None, float | None]
    why: str = ""
    details: tuple[tuple[str, str], ...] = ()
    n_frames: int = 1
    series: tuple[SeriesInfo, ...] = ()


def imagej_layout(path: Path, page: Page, n_pages: int, options: ReadOptions) -> Layout:
    """Return the layout that an ImageJ description gives to `n_pages` pages.

    Raises
    ------
    InputError
        E_INPUT_UNREADABLE if fewer pages are there than promised; E_DIMENSIONS_UNSUPPORTED for an unchosen time series.
    """
    said = dict(re.findall(r"(?m)^([A-Za-z0-9]+)=([^\r\n]*)", page.text))
    n_c, n_z, n_t = (max(1, _int(said.get(k, "1"))) for k in ("channels", "slices", "frames"))
    n = max(1, _int(said.get("images", "1")))
    if n_c * n_z * n_t != n:
        n_c, n_z, n_t = 1, n, 1
    if n != n_pages:
        raise refusal(path, f"{n_pages} pages", f"{n} pages as the ImageJ description says")
    t = chosen_frame(path, n_t, options)
    pages = tuple(tuple((t * n_z + z) * n_c + c for z in range(n_z)) for c in range(n_c))
    spacing, why = _imagej_spacing(page, said, n_z > 1)
    return Layout("imagej", pages, n_z > 1, (), spacing, why, frame_details(n_t, t), n_t)


def plain_layout(path: Path, pages: tuple[Page, ...], options: ReadOptions) -> Layout:
    """Return the layout of pages that no microscope format describes.

    Pages that follow each other and are alike are one image; where there are several, `options.series` chooses one.

    Raises
    ------
    InputError
        E_DIMENSIONS_UNSUPPORTED where it is not clear what the pages are.
    SeriesAmbiguousError
        If there are several images and neither one of them nor a page was chosen.
    """
    images = _images(pages)
    if len(images) == 1 or (options.frame is not None and options.series is None):
        if len(images) == 1 and options.series is not None:
            chosen_image(path, [("0", "")], options)
        return _layout_of(path, pages, options)
    series = tuple(_series_info(number, image) for number, image in enumerate(images))
    number = chosen_image(path, [(one.key, one.description) for one in series], options)
    found = _layout_of(path, images[number], options)
    first = sum(len(image) for image in images[:number])
    numbers = tuple(tuple(first + page for page in row) for row in found.pages)
    return replace(found, pages=numbers, series=series, details=(*found.details, ("series", str(number))))


def _images(pages: tuple[Page, ...]) -> list[tuple[Page, ...]]:
    """Return the runs of pages that belong together: alike, and no note in between that begins another stack."""
    images: list[list[Page]] = []
    for page in pages:
        if not images or _kind(page) != _kind(images[-1][0]) or _begins_stack(page):
            images.append([])
        images[-1].append(page)
    return [tuple(image) for image in images]


def _begins_stack(page: Page) -> bool:
    shape = _shaped_note(page).get("shape")
    return isinstance(shape, list) and (_n_noted_pages(shape, page) or 1) > 1


def _kind(page: Page) -> tuple[int, ...]:
    return page.height, page.width, page.samples, page.bits, page.number_of(339, 1)


def _series_info(number: int, image: tuple[Page, ...]) -> SeriesInfo:
    page, n = image[0], len(image)
    size = (
        f"{page.width} x {page.height}, {n} page{'s'[: n > 1]}, {page.samples} value{'s'[: page.samples > 1]} per pixel"
    )
    return SeriesInfo(str(number), size, n, (n, page.height, page.width) if n > 1 else (page.height, page.width))


def _layout_of(path: Path, pages: tuple[Page, ...], options: ReadOptions) -> Layout:
    # pages that were written one by one carry a note each, which says nothing about their being a stack
    note = {} if len(pages) > 1 and _shaped_note(pages[1]) else _shaped_note(pages[0])
    axes = str(note.get("axes", "")).upper()
    n = len(pages)
    # a page of its own has a pixel size of its own: that of a preview is not that of the whole
    asked = options.frame if options.frame is not None and 0 <= options.frame < n and not axes else 0
    spacing, why = _plain_spacing(pages[asked])
    noted = note.get("spacing_um")
    if isinstance(noted, list) and len(noted) in (2, 3) and all(isinstance(s, int | float) for s in noted):
        spacing, why = (*([None] * (3 - len(noted))), *noted), ""
    shape = note.get("shape")
    if isinstance(shape, list) and _n_noted_pages(shape, pages[0]) not in (None, n):
        raise refusal(path, f"{n} pages", f"{_n_noted_pages(shape, pages[0])} pages as the file's own note says")
    if options.frame is not None and not axes:
        if not 0 <= options.frame < n:
            raise _unclear(path, f"{n} pages", f"a page number from 0 to {n - 1}", "Choose --frame from these.")
        return Layout("plain", ((options.frame,),), False, (), spacing, why, frame_details(n, options.frame), n)
    if n == 1:
        return Layout("plain", ((0,),), False, (), spacing, why)
    if axes:
        return _by_axes(path, axes, shape, n, (spacing, why), options)
    return _unnamed(path, pages, shape, (spacing, why), options)


def _by_axes(
    path: Path,
    axes: str,
    shape: object,
    n: int,
    place: tuple[tuple[float | None, float | None, float | None], str],
    options: ReadOptions,
) -> Layout:
    lead = axes.removesuffix("S").removesuffix("YX")
    sizes = dict(zip(axes, shape, strict=False)) if isinstance(shape, list) else {lead: n}
    counts = {a: int(sizes.get(a, 1)) for a in "TCZ"}
    if set(lead) - set("TCZ") or math.prod(counts[a] for a in lead) != n:
        raise _unclear(path, f"{n} pages along the axes {axes}", "time T, channels C and slices Z", _CHOOSE)
    t = chosen_frame(path, counts["T"], options)
    place_of = {"T": t, "C": 0, "Z": 0}

    def number(c: int, z: int) -> int:
        place_of.update(C=c, Z=z)
        found = 0
        for a in lead:
            found = found * counts[a] + place_of[a]
        return found

    pages = tuple(tuple(number(c, z) for z in range(counts["Z"])) for c in range(counts["C"]))
    return Layout("plain", pages, counts["Z"] > 1, (), *place, frame_details(counts["T"], t), counts["T"])


_CHOOSE = (
    "Choose one page with --frame, or, if the pages are slices, give --pixel-size with three numbers (z, y, x in µm); "
    "better, save the image as OME-TIFF."
)


def _unnamed(
    path: Path,
    pages: tuple[Page, ...],
    shape: object,
    place: tuple[tuple[float | None, float | None, float | None], str],
    options: ReadOptions,
) -> Layout:
    n = len(pages)
    is_colour = isinstance(shape, list) and pages[0].samples > 1
    n_lead = len(shape) - 2 - is_colour if isinstance(shape, list) else 1
    said_slices = options.pixel_size is not None and len(options.pixel_size) == 3
    if n_lead > 1 or (n < MIN_UNNAMED_SLICES and not said_slices):
        raise _unclear(path, f"{n} pages without a word on what they are", "named axes", _CHOOSE)
    details = (("axes_assumed", "the pages carry no names and were taken as slices (z)"),)
    return Layout("plain", (tuple(range(n)),), True, (), *place, details)


def _imagej_spacing(
    page: Page, said: dict[str, str], is_stack: bool
) -> tuple[tuple[float | None, float | None, float | None], str]:
    unit = unescaped(said.get("unit", ""))
    scale = UM_PER_UNIT.get(unit.lower())
    if unit.lower() in ("inch", "in", ""):  # a resolution in inches is a printer's even when ImageJ repeats it
        return _plain_spacing(page)
    if scale is None:
        return (None, None, None), f"the file's unit of length is {unit[:20]!r}"
    y_scale = UM_PER_UNIT.get(unescaped(said.get("yunit", unit)).lower(), math.nan)
    z_scale = UM_PER_UNIT.get(unescaped(said.get("zunit", unit)).lower(), math.nan)
    per_y, per_x = page.resolution
    # ImageJ leaves out a slice distance of exactly 1; other programs that write its format leave out an unknown one
    depth = _float(said.get("spacing", "" if page.text.startswith("ImageJ=1.11a") else "1"))
    z = abs(depth) * z_scale if depth else None
    spacing = (z, y_scale / per_y if per_y else None, scale / per_x if per_x else None)
    why = "no distance between slices is stored" if is_stack and z is None else ""
    if spacing[1] is None or spacing[2] is None:
        why = "a unit but no pixel size is stored"
    return spacing, why


def _plain_spacing(page: Page) -> tuple[tuple[float | None, float | None, float | None], str]:
    unit = {2: "inch", 3: "cm"}.get(page.number_of(296, 2))
    y, x = (trusted_resolution(r, unit) for r in page.resolution)
    if y is not None and x is not None:
        return (None, y, x), "no distance between slices is stored"
    if unit is None or page.resolution[1] is None:
        return (None, None, None), "no pixel size is stored"
    dpi = page.resolution[1] * (2.54 if unit == "cm" else 1.0)
    return (None, None, None), f"the stored resolution of {dpi:.0f} dots per inch is a screen's or printer's"


def unescaped(unit: str) -> str:
    r"""Return a unit as ImageJ means it, whose files write the micro sign as six letters.

    Examples
    --------
    >>> unescaped("\\u00B5m")
    'µm'
    """
    return re.sub(r"\\u([0-9A-Fa-f]{4})", lambda m: chr(int(m.group(1), 16)), unit).strip()


def _shaped_note(page: Page) -> dict[str, object]:
    text = page.text.strip()
    if not (text.startswith("{") and len(text) < 100_000):
        return {}
    try:
        note = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return note if isinstance(note, dict) and "shape" in note else {}


def _n_noted_pages(shape: list[object], page: Page) -> int | None:
    sizes = [s for s in shape if isinstance(s, int) and not isinstance(s, bool) and s > 0]
    per_page = page.height * page.width * page.samples
    total = math.prod(sizes)
    return total // per_page if len(sizes) == len(shape) and total % per_page == 0 else None


def _unclear(path: Path, found: str, expected: str, remedy: str) -> InputError:
    return refusal(path, found, expected, code="E_DIMENSIONS_UNSUPPORTED", remedy=remedy)


def _int(text: str) -> int:
    return int(text) if re.fullmatch(r"\d{1,9}", text.strip()) else 1


def _float(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
