"""A page about segmented scans that a browser shows without any other file: what needs eyes first, sizes, a table."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from html import escape

import numpy as np

from medseg.report.page import STYLE, safe_text

MOST_COLUMNS = 8
"""With more structures than these, the table counts them and leaves their sizes to the files."""
_ABOUT_EXPECTED = (
    '<p class="quiet">Expected Dice: how well the worst outlined structure probably agrees with an outline by hand '
    "(1 is full agreement). It is an estimate from how sure the network is, and no proof.</p>\n"
)
_PLOTS = 24
_WIDTH, _ROW, _LEFT, _RIGHT = 760, 44, 16, 16

_MORE_STYLE = """
.rows td { vertical-align: top; }
.rows td.case, .rows th:nth-child(2) { text-align: left; }
.rows td.case { white-space: normal; min-width: 15rem; max-width: 30rem; }
.rows td:first-child { max-width: none; padding-left: 0; } .rows img { width: 130px; height: auto; border-radius: 3px; }
.rows .why { font-size: .88rem; margin: .15rem 0; overflow-wrap: anywhere; }
.rows .quiet { font-size: .88rem; margin: 0; }
.case b { overflow-wrap: anywhere; font-weight: 600; }
.strip { margin: .2rem 0 1rem; } .strip p { margin: 0; } .strip b { font-weight: 600; }
svg circle { fill: #4c9fd6; fill-opacity: .65; } svg circle.far { fill: #d95f02; fill-opacity: 1; }
"""


@dataclass(frozen=True, slots=True)
class Amount:
    """How much of a structure was found.

    Parameters
    ----------
    value : float
        0 where it was not found.
    unit : str
    """

    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class Scan:
    """One case on the page.

    Parameters
    ----------
    name : str
    state : str
        In words.
    is_done : bool
        There is a result.
    amounts : dict of str to Amount
        By the name of the structure.
    reasons : tuple of str
        Why it needs eyes; empty when nothing is remarkable.
    picture : bytes or None
        A small JPEG, for the table.
    large : bytes or None
        A large one, where the scan is shown above the table.
    link : str
        Address of the full picture beside the page; empty for none.
    message : str
    expected : float or None
        The least Dice that may be expected of a structure, where the model tells it.
    """

    name: str
    state: str
    is_done: bool = True
    amounts: dict[str, Amount] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    picture: bytes | None = None
    large: bytes | None = None
    link: str = ""
    message: str = ""
    expected: float | None = None


@dataclass(frozen=True, slots=True)
class StructuresPage:
    """What the page tells.

    Parameters
    ----------
    title : str
    model : str
    scans : tuple of Scan
        Those that most need eyes first.
    warnings : tuple of str
        What concerns the whole run.
    """

    title: str
    model: str
    scans: tuple[Scan, ...]
    warnings: tuple[str, ...] = ()

    def as_html(self) -> str:
        """Return the page; it refers to no other file but for links to the full pictures."""
        parts = [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
            f"<title>{safe_text(self.title)}</title><style>{STYLE}{_MORE_STYLE}</style></head><body>",
            f"<h1>{safe_text(self.title)}</h1>",
            f'<p class="quiet">Model {safe_text(self.model)}. Research use only: not for diagnosis or treatment.</p>',
            self._figures(),
            *(f'<p class="warn">{safe_text(warning)}</p>' for warning in self.warnings),
            self._large(),
            self._plots(),
            self._table(),
            "</body></html>\n",
        ]
        return "\n".join(part for part in parts if part)

    def _names(self) -> list[str]:
        return list(dict.fromkeys(name for scan in self.scans for name in scan.amounts))

    def _figures(self) -> str:
        done = sum(scan.is_done for scan in self.scans)
        lost = len(self.scans) - done
        look = sum(bool(scan.reasons) for scan in self.scans)
        n = len(self._names())
        facts = [(done, f"scan{'s' * (done != 1)} segmented")] + [(lost, "without a result")] * (lost > 0)
        facts += [(n, f"structure{'s' * (n != 1)}")] * (n > 0) + [(look, f"scan{'s' * (look != 1)} to look at")]
        boxes = "".join(f"<div><b>{number:,}</b>{words}</div>" for number, words in facts)
        return f'<div class="figures">{boxes}</div>'

    def _large(self) -> str:
        shown = [scan for scan in self.scans if scan.large is not None or not scan.is_done]
        if not shown:
            return ""
        head = "Look at these first, most urgent first" if any(s.reasons for s in shown) else "Pictures"
        every = "\n".join(_figure(scan) for scan in shown)
        return f"<h2>{head}</h2>\n" + (every if len(shown) == 1 else f'<div class="gallery">{every}</div>')

    def _plots(self) -> str:
        names = [name for name in self._names() if sum(name in scan.amounts for scan in self.scans) > 1]
        if not names:
            return ""
        more = len(names) - _PLOTS
        plots = [self._plot(name) for name in names[:_PLOTS]]
        plots += [f'<p class="quiet">and {more} more structures, see the tables</p>'] * (more > 0)
        told = (
            '<p class="quiet">One dot per scan, orange where the scan is listed above. Point at a dot for its name.</p>'
        )
        return f"<h2>Sizes of the structures in all scans</h2>\n{told}\n" + "\n".join(plots)

    def _plot(self, name: str) -> str:
        own = [(scan, scan.amounts[name]) for scan in self.scans if name in scan.amounts]
        values = np.array([amount.value for _, amount in own])
        unit, top = own[0][1].unit, float(values.max()) or 1.0
        room = _WIDTH - _LEFT - _RIGHT
        dots = "".join(
            f'<circle class="{"far" if scan.reasons else "near"}" cx="{_LEFT + room * amount.value / top:.1f}" '
            f'cy="{12 + 5 * (k % 3)}" r="4.5"><title>{safe_text(scan.name)}: {_amount(amount)}</title></circle>'
            # scans to look at are drawn last, on top
            for k, (scan, amount) in sorted(enumerate(own), key=lambda item: bool(item[1][0].reasons))
        )
        ends = (
            f'<text x="{_LEFT}" y="{_ROW - 2}">0</text>'
            f'<text x="{_WIDTH - _RIGHT}" y="{_ROW - 2}" text-anchor="end">{top:.4g} {escape(unit)}</text>'
        )
        drawn = (
            f'<svg viewBox="0 0 {_WIDTH} {_ROW}" width="{_WIDTH}" role="img" aria-label="sizes of {safe_text(name)}">'
            f'<line x1="{_LEFT}" y1="29" x2="{_WIDTH - _RIGHT}" y2="29"/>{dots}{ends}</svg>'
        )
        median = f"median {np.median(values):.4g} {escape(unit)}, {values.min():.4g} to {values.max():.4g}"
        return f'<div class="strip"><p><b>{safe_text(name)}</b> <span class="quiet">{median}</span></p>{drawn}</div>'

    def _table(self) -> str:
        names = self._names()
        some = names if len(names) <= MOST_COLUMNS else []
        heads = [f"{name} {self._unit(name)}" for name in some] or (["structures found"] if names else [])
        told = any(scan.expected is not None for scan in self.scans)
        heads += ["expected Dice"] * told
        head = "".join(f"<th>{safe_text(word)}</th>" for word in ("", "scan", *heads, "state"))
        rows = "\n".join(_row(scan, some, len(names), told=told) for scan in self.scans)
        return (
            f"<h2>All scans{', most urgent first' * (len(self.scans) > 1)}</h2>\n"
            f"{_ABOUT_EXPECTED * told}"
            f'<div class="wide"><table class="rows"><tr>{head}</tr>\n{rows}\n</table></div>'
        )

    def _unit(self, name: str) -> str:
        return next(scan.amounts[name].unit for scan in self.scans if name in scan.amounts)


def _figure(scan: Scan) -> str:
    said = f" — {safe_text(scan.state)}" if not scan.is_done else ""
    return f'<div class="image"><h3>{safe_text(scan.name)}{said}</h3>{_words(scan)}{_picture(scan, scan.large)}</div>'


def _words(scan: Scan) -> str:
    reasons = [reason for reason in scan.reasons if reason != scan.state]
    why = f'<p class="why">{safe_text("; ".join(reasons))}</p>' if reasons else ""
    return why + (f'<p class="quiet">{safe_text(scan.message)}</p>' if scan.message else "")


def _picture(scan: Scan, picture: bytes | None) -> str:
    if picture is None:
        return ""
    data = base64.b64encode(picture).decode("ascii")
    drawn = f'<img alt="outlined structures of {safe_text(scan.name)}" src="data:image/jpeg;base64,{data}">'
    return f'<a href="{escape(scan.link)}">{drawn}</a>' if scan.link else drawn


def _row(scan: Scan, names: list[str], n_structures: int, *, told: bool) -> str:
    picture = _picture(scan, scan.picture)
    name = f"<b>{safe_text(scan.name)}</b>"
    linked = f'<a href="{escape(scan.link)}">{name}</a>' if scan.link else name
    cells = [_amount(scan.amounts[name]) if name in scan.amounts else "" for name in names]
    if n_structures and not names:
        found = sum(amount.value > 0 for amount in scan.amounts.values())
        cells = [f"{found} of {len(scan.amounts)}" if scan.amounts else ""]
    cells += ["" if scan.expected is None else f"{scan.expected:.2f}"] * told
    figures = "".join(f"<td>{cell}</td>" for cell in cells)
    case = f'<td class="case">{linked}{_words(scan)}</td>'
    return f"<tr><td>{picture}</td>{case}{figures}<td>{safe_text(scan.state)}</td></tr>"


def _amount(amount: Amount) -> str:
    """Return a size as people read it.

    Examples
    --------
    >>> _amount(Amount(1.23456, "ml")), _amount(Amount(0.0, "ml"))
    ('1.235 ml', 'not found')
    """
    return f"{amount.value:.4g} {escape(amount.unit)}" if amount.value else "not found"
