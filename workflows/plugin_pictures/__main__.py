"""Pictures of the napari plugin for the guide, from samples and computed data only.

    python workflows/plugin_pictures OUT [NAME ...]

Needs a display; without one: xvfb-run -a -s "-screen 0 1400x900x24 +extension GLX" python workflows/plugin_pictures OUT
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import napari
from PIL import Image

ROOMS = ("doors", "segment", "split", "objects")
"""Files beside this one; each has ``PICTURES``, a dict of name to a function that brings a fresh viewer to a state."""
SIZE = (1280, 820)
MAX_BYTES = 300_000


def pictures() -> dict[str, Callable[[Any], None]]:
    """Return every picture by its name."""
    found: dict[str, Callable[[Any], None]] = {}
    for room in ROOMS:
        if find_spec(room) is not None:
            found.update(import_module(room).PICTURES)
    return found


def take(name: str, prepare: Callable[[Any], None], out: Path) -> Path:
    """Open a window, bring it to a state, and save what a user would see."""
    from qtpy.QtWidgets import QApplication

    viewer = napari.Viewer(title="napari")
    try:
        viewer.window.resize(*SIZE)
        prepare(viewer)
        for _ in range(5):
            QApplication.processEvents()
        seen = Image.fromarray(viewer.screenshot(canvas_only=False, flash=False)).convert("RGB")
    finally:
        viewer.close()
    path = out / f"{name}.png"
    seen.save(path, optimize=True)
    if path.stat().st_size > MAX_BYTES:
        seen.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    return path


def main(out: str, *names: str) -> None:
    """Take the named pictures, or all."""
    known = pictures()
    if unknown := sorted(set(names) - set(known)):
        raise SystemExit(f"No picture {', '.join(unknown)}. Known: {', '.join(sorted(known))}.")
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or known:
        print(take(name, known[name], folder))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit("usage: python workflows/plugin_pictures OUT [NAME ...]")
    main(*sys.argv[1:])
