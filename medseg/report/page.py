"""A page about counted objects that a browser shows without any other file: what needs eyes first, sizes, counts."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from medseg.errors import printable
from medseg.report.histogram import histogram_svg

_FEW = 2
"""Up to this many pictures are shown in full width."""

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.45 system-ui, sans-serif; margin: 1.5rem auto; max-width: 76rem; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: .2rem; } h2 { margin-top: 2.4rem; font-size: 1.25rem; }
.quiet { color: #777; } .warn { border-left: 4px solid #d95f02; padding: .4rem .8rem; margin: 1rem 0; }
.figures { display: flex; flex-wrap: wrap; gap: 1rem 2.2rem; margin: 1.2rem 0; }
.figures b { display: block; font-size: 1.7rem; line-height: 1.2; }
.image { margin: 1.4rem 0; } .image img { width: 100%; height: auto; border-radius: 4px; display: block; }
.image h3 { margin: 0 0 .3rem; font-size: 1rem; overflow-wrap: anywhere; } .why { color: #c2500a; margin: 0 0 .4rem; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 26rem), 1fr)); gap: 1.2rem; }
.gallery .image { margin: 0; } .gallery h3 { font-weight: 500; font-size: .9rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
th, td { padding: .25rem .8rem; text-align: right; border-bottom: 1px solid #8884; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
td:first-child { max-width: 22rem; overflow: hidden; text-overflow: ellipsis; }
svg { max-width: 100%; height: auto; }
svg text { fill: currentColor; font: 12px system-ui, sans-serif; } svg rect { fill: #4c9fd6; }
svg line { stroke: #8888; }
@media (max-width: 40rem) { td:first-child { max-width: 9rem; } th, td { padding: .25rem .5rem; } }
@media (prefers-color-scheme: dark) { .why { color: #ff9a5c; } .quiet { color: #999; } }
@media print { .image { break-inside: avoid; } }
"""


@dataclass(frozen=True, slots=True)
class Shown:
    """One image on the page.

    Parameters
    ----------
    name : str
    state : str
        In words.
    figures : dict
        Count, density and the like, by column name.
    reasons : tuple of str
        Why it needs eyes; empty when nothing is remarkable.
    thumbnail : bytes or None
        JPEG.
    link : str
        Address of the full picture beside the page; empty for none.
    message : str
    """

    name: str
    state: str
    figures: dict[str, Any] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    thumbnail: bytes | None = None
    link: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """What the page tells.

    Parameters
    ----------
    title : str
    model : str
    images : tuple of Shown
        Those that most need eyes first.
    sizes : dict of str to sequence of float
        Sizes of all objects by column name, such as ``area_um2``.
    warnings : tuple of str
        What concerns the whole run.
    """

    title: str
    model: str
    images: tuple[Shown, ...]
    sizes: dict[str, Sequence[float]]
    warnings: tuple[str, ...] = ()

    def as_html(self) -> str:
        """Return the page; it refers to no other file but for links to the full pictures."""
        parts = [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
            f"<title>{safe_text(self.title)}</title><style>{STYLE}</style></head><body>",
            f"<h1>{safe_text(self.title)}</h1>",
            f'<p class="quiet">Model {safe_text(self.model)}. Research use only: not for diagnosis or treatment.</p>',
            self._figures(),
            *(f'<p class="warn">{safe_text(warning)}</p>' for warning in self.warnings),
            self._eyes_first(),
            *self._histograms(),
            self._table(),
            self._others(),
            "</body></html>\n",
        ]
        return "\n".join(part for part in parts if part)

    def _figures(self) -> str:
        counted = [image for image in self.images if image.figures]
        counts = [int(image.figures.get("count") or 0) for image in counted]
        shares = [float(image.figures.get("flagged_share") or 0.0) for image in counted]
        flagged = round(sum(n * share for n, share in zip(counts, shares, strict=True)))
        remarkable = sum(bool(image.reasons) for image in self.images)
        lost = len(self.images) - len(counted)
        facts = [(len(counted), f"image{'s' * (len(counted) != 1)} counted")]
        facts += [(lost, "not counted")] * (lost > 0) + [(sum(counts), f"object{'s' * (sum(counts) != 1)}")]
        facts += [(flagged, "with a flag"), (remarkable, f"image{'s' * (remarkable != 1)} to look at")]
        boxes = "".join(f"<div><b>{number:,}</b>{words}</div>" for number, words in facts)
        return f'<div class="figures">{boxes}</div>'

    def _eyes_first(self) -> str:
        shown = [image for image in self.images if image.reasons]
        if not shown:
            return ""
        return "<h2>Images that need a look, most urgent first</h2>\n" + "\n".join(_figure(image) for image in shown)

    def _others(self) -> str:
        shown = [image for image in self.images if image.thumbnail is not None and not image.reasons]
        if not shown:
            return ""
        hidden = sum(image.thumbnail is None and not image.reasons for image in self.images)
        more = f'\n<p class="quiet">and {hidden:,} more, see the table</p>' if hidden else ""
        every = "\n".join(_figure(image) for image in shown)
        kept = f'<div class="gallery">{every}</div>' if len(shown) > _FEW else every
        head = "The other images" if any(image.reasons for image in self.images) else "Images"
        return f"<h2>{head}{', most flags first' * (len(shown) > 1)}</h2>\n{kept}{more}"

    def _histograms(self) -> list[str]:
        return [
            f"<h2>Sizes of all objects</h2>\n{histogram_svg(values, label=_heading(name))}"
            for name, values in self.sizes.items()
            if len(values)
        ]

    def _table(self) -> str:
        known = (name for image in self.images for name, value in image.figures.items() if value is not None)
        columns = sorted(set(known), key=list(dict.fromkeys(n for i in self.images for n in i.figures)).index)
        head = "".join(f"<th>{safe_text(name)}</th>" for name in ("image", *(_heading(c) for c in columns), "state"))
        rows = "\n".join(
            f"<tr><td>{_name(image)}</td>"
            + "".join(f"<td>{_number(name, image.figures.get(name))}</td>" for name in columns)
            + f"<td>{safe_text(image.state)}</td></tr>"
            for image in sorted(self.images, key=lambda image: image.name)
        )
        return f'<h2>Counts</h2>\n<div class="wide"><table><tr>{head}</tr>\n{rows}\n</table></div>'


def _figure(image: Shown) -> str:
    count = image.figures.get("count")
    said = "" if count is None else f" — {count} object{'s' * (count != 1)}"
    why = f'<p class="why">{safe_text("; ".join(image.reasons))}</p>' if image.reasons else ""
    told = f'<p class="quiet">{safe_text(image.message)}</p>' if image.message else ""
    picture = ""
    if image.thumbnail is not None:
        data = base64.b64encode(image.thumbnail).decode("ascii")
        drawn = f'<img alt="outlined objects of {safe_text(image.name)}" src="data:image/jpeg;base64,{data}">'
        picture = f'<a href="{escape(image.link)}">{drawn}</a>' if image.link else drawn
    return f'<div class="image"><h3>{safe_text(image.name)}{said}</h3>{why}{told}{picture}</div>'


def _name(image: Shown) -> str:
    return f'<a href="{escape(image.link)}">{safe_text(image.name)}</a>' if image.link else safe_text(image.name)


def _heading(name: str) -> str:
    """Return a column name as people read it.

    Examples
    --------
    >>> _heading("mean_area_um2"), _heading("flagged_share")
    ('mean area µm²', 'flagged %')
    """
    words = name.replace("_share", "_%").replace("um", "µm") if name.endswith(("um2", "um3", "_share")) else name
    return words.replace("_per_mm2", " per mm²").replace("_per_mm3", " per mm³").replace("µm2", "µm²").replace(
        "µm3", "µm³"
    ).replace("_", " ")  # fmt: skip


def _number(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{100 * value:.1f}" if name.endswith("_share") else f"{value:.4g}"


def safe_text(words: str) -> str:
    """Return words as a page can hold them: nothing in them is taken for markup."""
    return escape(printable(words).encode("utf-8", "backslashreplace").decode("utf-8"))
