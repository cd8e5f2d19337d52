"""What an OME-XML description says of a TIFF file's planes; companions outside the folder are refused, unread."""

from __future__ import annotations

import math
import re
from itertools import product
from pathlib import Path
from xml.etree import ElementTree

from medseg.io.choice import chosen_frame, chosen_image, frame_details
from medseg.io.image_space import UM_PER_UNIT, inside_folder, refusal
from medseg.io.options import ReadOptions, SeriesInfo
from medseg.io.tiff_layout import Layout

Element = ElementTree.Element


def is_ome(text: str) -> bool:
    """Tell whether an image description is OME-XML."""
    return "<OME" in text[:4000] and text.rstrip().endswith("OME>")


def ome_layout(path: Path, text: str, n_pages: int, options: ReadOptions) -> Layout:
    """Return the layout that OME-XML gives to `n_pages` pages.

    Raises
    ------
    InputError
        E_PATH_UNSAFE for a companion outside the folder, E_INPUT_FORMAT for one inside, E_INPUT_UNREADABLE where the
        XML is damaged or planes are missing, E_DIMENSIONS_UNSUPPORTED for an unchosen time series.
    SeriesAmbiguousError
        If several images are in the file and none was chosen.
    """
    root = _parsed(path, text)
    _refuse_companions(path, root)
    pixels, series, details = _chosen(path, root, options)
    size = {a: _positive(path, pixels, f"Size{a}") for a in "ZCT"}
    channels = [c for c in pixels if _name(c) == "Channel"]
    samples = max((int(c.get("SamplesPerPixel", "1") or 1) for c in channels), default=1)
    n_c = max(1, size["C"] // samples)
    plane_of = _planes(path, pixels, {"Z": size["Z"], "C": n_c, "T": size["T"]}, n_pages)
    t = chosen_frame(path, size["T"], options)
    pages = tuple(tuple(plane_of[(z, c, t)] for z in range(size["Z"])) for c in range(n_c))
    names = tuple(c.get("Name", "") for c in channels)
    named = names if len(set(names)) == len(names) == n_c and all(names) else ()
    spacing = tuple(_physical(pixels, a) for a in "ZYX")
    why = "" if None not in spacing[1:] else "no pixel size is stored"
    if not why and spacing[0] is None and size["Z"] > 1:
        why = "no distance between slices is stored"
    details += frame_details(size["T"], t)
    return Layout("ome", pages, size["Z"] > 1, named, spacing, why, details, size["T"], series)  # type: ignore[arg-type]


def _parsed(path: Path, text: str) -> Element:
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise refusal(path, "an XML description that defines entities", "plain OME-XML", code="E_UNSAFE_CONTENT")
    try:
        return ElementTree.fromstring(text.encode())  # entities were refused above
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # the latter two for made-up encodings
        raise refusal(path, f"a damaged OME-XML description ({error})", "well-formed XML") from error


def _refuse_companions(path: Path, root: Element) -> None:
    own = root.get("UUID", "")
    foreign: set[str] = set()
    for element in root.iter():
        name = element.get("MetadataFile") if _name(element) == "BinaryOnly" else element.get("FileName")
        if name is None or _name(element) not in ("BinaryOnly", "UUID"):
            continue
        inside_folder(path, name)
        if name != path.name and not (own and (element.text or "").strip() == own):
            foreign.add(name)
    gone = [n for n in foreign if not inside_folder(path, n).exists()]
    renamed = not own and len(foreign) == 1 and len(gone) == 1 and root.find("{*}BinaryOnly") is None
    if foreign and not renamed:
        raise refusal(
            path,
            f"planes or descriptions in other files ({', '.join(sorted(foreign)[:3])})",
            "an OME-TIFF that is complete in itself",
            code="E_INPUT_FORMAT",
            remedy="Save the image as one OME-TIFF file, for instance with Fiji.",
        )


def _chosen(
    path: Path, root: Element, options: ReadOptions
) -> tuple[Element, tuple[SeriesInfo, ...], tuple[tuple[str, str], ...]]:
    """Return the pixels of the image to read; where there are several, a list of all and which one it is."""
    found = [(image, image.find("{*}Pixels")) for image in root.findall("{*}Image")]
    images = [(image.get("ID", str(i)), pixels) for i, (image, pixels) in enumerate(found) if pixels is not None]
    if not images:
        raise refusal(path, "an OME description without an image", "an image")
    series = tuple(_series_info(key, pixels) for key, pixels in images)
    number = chosen_image(path, [(one.key, one.description) for one in series], options)
    if len(images) == 1:
        return images[0][1], (), ()
    return images[number][1], series, (("series", series[number].key),)


def _series_info(key: str, pixels: Element) -> SeriesInfo:
    about = f"{' x '.join(pixels.get(f'Size{a}', '?') for a in 'XYZ')}, {pixels.get('SizeC')} channels"
    sizes = [int(n) if re.fullmatch(r"\d{1,9}", n) else 0 for n in (pixels.get(f"Size{a}", "") for a in "ZYXCT")]
    return SeriesInfo(key, about, sizes[0] * sizes[3] * sizes[4], tuple(sizes[:3]))


def _planes(path: Path, pixels: Element, size: dict[str, int], n_pages: int) -> dict[tuple[int, int, int], int]:
    order = re.sub("[XY]", "", pixels.get("DimensionOrder", "XYZCT"))
    if sorted(order) != ["C", "T", "Z"]:
        raise refusal(path, f"the order of axes {order!r}", "an order of Z, C and T")
    total = math.prod(size.values())
    if total > n_pages:
        raise refusal(path, f"{n_pages} pages", f"{total} planes as the OME description says")
    slow_first = tuple(reversed(order))
    sequence = [dict(zip(slow_first, at, strict=True)) for at in product(*(range(size[a]) for a in slow_first))]
    position = {(at["Z"], at["C"], at["T"]): i for i, at in enumerate(sequence)}
    plane_of: dict[tuple[int, int, int], int] = {}
    entries = [e for e in pixels if _name(e) == "TiffData"]
    if len(entries) > n_pages:
        raise refusal(path, f"{len(entries)} plane entries for {n_pages} pages", "at most one per page")
    for data in entries:
        at = tuple(_index(path, data, f"First{a}") for a in "ZCT")
        if at not in position:
            raise refusal(path, f"a plane at (z, c, t) = {at}", f"planes within {size}")
        first, ifd = position[at], _index(path, data, "IFD")
        n = _index(path, data, "PlaneCount", 1 if data.get("IFD") is not None else total - first)
        for k in range(min(n, total - first) if len(plane_of) < total else 0):
            step = sequence[first + k]
            plane_of[(step["Z"], step["C"], step["T"])] = ifd + k
    if not plane_of:
        plane_of = dict(position)
    lost = [at for at in position if not 0 <= plane_of.get(at, -1) < n_pages]
    if lost:
        raise refusal(path, f"{len(lost)} of {total} planes without a page", "a page for every plane")
    return plane_of


def _physical(pixels: Element, axis: str) -> float | None:
    text = pixels.get(f"PhysicalSize{axis}", "")
    scale = UM_PER_UNIT.get(pixels.get(f"PhysicalSize{axis}Unit", "µm").lower())
    try:
        size = float(text)
    except ValueError:
        return None
    return size * scale if scale is not None and math.isfinite(size) and size > 0 else None


def _positive(path: Path, element: Element, key: str) -> int:
    number = _index(path, element, key, 0)
    if number < 1:
        raise refusal(path, f"{key} = {element.get(key)!r}", "a number above zero")
    return number


def _index(path: Path, element: Element, key: str, default: int = 0) -> int:
    text = element.get(key)
    if text is None:
        return default
    if not re.fullmatch(r"\d{1,9}", text):
        raise refusal(path, f"{key} = {text[:20]!r} in the OME description", "a whole number")
    return int(text)


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2]
