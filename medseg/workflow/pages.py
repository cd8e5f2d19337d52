"""What the pages about a run share: pictures made small, links to the large ones, and figures far from the others."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote_from_bytes

import numpy as np

from medseg.workflow.summary import CaseRow

PAGE_NAME = "report.html"
STATE_WORDS = {"ok_with_warnings": "ok with warnings", "not_started": "not started"}
WIDE = 1000
_QUALITY = 78
_ENOUGH = 5
_FAR = 3.5


def picture_of(row: CaseRow) -> str:
    """Return the file name of a case's overlay; "" where there is none."""
    return next((name for name in row.outputs if name.endswith("_overlay.png")), "")


def link_to(name: str) -> str:
    """Return a file name as an address beside the page, whatever bytes it holds."""
    return quote_from_bytes(name.encode("utf-8", "surrogateescape")) if name else ""


def thumbnail(path: Path, width: int = WIDE) -> bytes | None:
    """Return a picture as a JPEG of at most `width` pixels each way; None where it cannot be read."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            picture.thumbnail((width, width))
            held = io.BytesIO()
            picture.convert("RGB").save(held, format="JPEG", quality=_QUALITY)
    except OSError:
        return None
    return held.getvalue()


def far_from_the_others(known: Sequence[tuple[str, float]]) -> dict[str, bool]:
    """Name the cases whose figure lies far from the median, in deviations that outliers do not widen.

    Parameters
    ----------
    known : sequence of (str, float)
        Case and figure, above 0. Fewer than five tell nothing.

    Returns
    -------
    dict of str to bool
        True where it is far above, False where it is far below.

    Examples
    --------
    >>> far_from_the_others([(name, 3.0) for name in "abcd"] + [("e", 30.0)])
    {'e': True}
    """
    if len(known) < _ENOUGH:
        return {}
    values = np.log([value for _, value in known])
    spread = 1.4826 * float(np.median(np.abs(values - np.median(values))))
    far = (values - np.median(values)) / max(spread, 0.1)
    return {case: bool(away > 0) for (case, _), away in zip(known, far, strict=True) if abs(away) > _FAR}
