"""A histogram as a drawing that can stand inside a page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
import numpy.typing as npt

_WIDTH, _HEIGHT = 720, 220
_LEFT, _BOTTOM, _TOP = 56, 40, 12
_MOST_BINS = 40
_TAIL = 99.0
_ROOMY = 1.5
_TICKS = 7


def histogram_svg(values: Sequence[float], *, label: str) -> str:
    """Return a histogram as SVG; what lies far above the bulk is added up in the last bar and said so.

    Parameters
    ----------
    values : sequence of float
        At least one; values that are not finite are left out.
    label : str
        Quantity and unit, below the axis.

    Examples
    --------
    >>> histogram_svg([1.0, 2.0, 2.0], label="area µm²").startswith("<svg")
    True
    """
    array = np.asarray(values, np.float64)
    finite = array[np.isfinite(array)]
    if not finite.size:
        return ""
    low, high = float(finite.min()), float(finite.max())
    bulk = float(np.percentile(finite, _TAIL))
    top = bulk if high > _ROOMY * bulk and bulk > low else high
    top = top if top > low else low + 1.0
    bins = int(np.clip(np.sqrt(finite.size) * 2, 5, _MOST_BINS))
    counts, edges = np.histogram(np.clip(finite, low, top), bins=bins, range=(low, top))
    return _drawn(counts, edges, label, beyond=int((finite > top).sum()))


def _drawn(counts: npt.NDArray[np.int64], edges: npt.NDArray[np.float64], label: str, *, beyond: int) -> str:
    wide = (_WIDTH - _LEFT - 10) / len(counts)
    tall = _HEIGHT - _BOTTOM - _TOP
    highest = int(counts.max())
    floor = _HEIGHT - _BOTTOM
    bars = "".join(
        f'<rect x="{_LEFT + k * wide + 0.5:.1f}" y="{floor - tall * n / highest:.1f}" width="{max(wide - 1, 0.5):.1f}"'
        f' height="{tall * n / highest:.1f}"><title>{edges[k]:.4g} to {edges[k + 1]:.4g}: {n}</title></rect>'
        for k, n in enumerate(counts)
    )
    low, high = float(edges[0]), float(edges[-1])
    marks = "".join(
        f'<text x="{_LEFT + (_WIDTH - _LEFT - 10) * (value - low) / (high - low):.1f}" y="{floor + 16}"'
        f' text-anchor="middle">{value:,.10g}</text>'
        for value in _round_values(low, high)
    )
    words = f"{label}; the last bar holds {beyond} larger ones" if beyond else label
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" role="img" aria-label="{escape(words)}">{bars}'
        f'<line x1="{_LEFT}" y1="{floor}" x2="{_WIDTH - 10}" y2="{floor}"/>{marks}'
        f'<text x="{_LEFT - 6}" y="{_TOP + 8}" text-anchor="end">{highest}</text>'
        f'<text x="{_LEFT - 6}" y="{floor}" text-anchor="end">0</text>'
        f'<text x="{(_LEFT + _WIDTH) / 2}" y="{_HEIGHT - 6}" text-anchor="middle">{escape(words)}</text></svg>'
    )


def _round_values(low: float, high: float) -> list[float]:
    """Return a few round numbers from `low` to shortly below `high`, where a text in the middle still has room.

    Examples
    --------
    >>> _round_values(4.0, 1380.0)
    [200.0, 400.0, 600.0, 800.0, 1000.0, 1200.0]
    """
    rough = (high - low) / _TICKS
    power = 10.0 ** np.floor(np.log10(rough))
    step = float(next(f * power for f in (1.0, 2.0, 2.5, 5.0, 10.0) if f * power >= rough * (1 - 1e-9)))
    first, last = int(np.ceil(low / step - 1e-9)), int(np.floor((high - 0.03 * (high - low)) / step))
    digits = max(0, 1 - int(np.floor(np.log10(step))))
    return [round(k * step, digits) for k in range(first, last + 1)]
