"""``medseg view``: images and labels in napari, with the plugin beside them."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from medseg.cli.outcome import DONE, NOTHING
from medseg.errors import UsageError
from medseg.io.sniff import sniff

QT_BINDINGS = ("PyQt6", "PySide6")
INSTALL = 'pip install "medseg[gui]"'


def view(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH]...", help="Images, labels or DICOM folders.", show_default=False),
    ] = None,
) -> int:
    """Open images and labels in napari.

    The window runs beside this command and ends it when it is closed. Needs napari, a Qt binding and a screen.
    """
    missing = what_is_missing()
    if missing is not None:
        raise missing
    for path in paths or ():
        sniff(path)
    # napari in a process of its own: medseg itself never loads a viewer
    words = [sys.executable, "-m", "napari_plugin", *(str(path.absolute()) for path in paths or ())]
    return DONE if subprocess.call(words) == 0 else NOTHING


def what_is_missing() -> UsageError | None:
    """Return why no window can be opened here, or None where it can."""
    if find_spec("napari") is None:
        return _no_window("no napari", "napari and a Qt binding", f"Install them: {INSTALL}")
    if qt_binding() is None:
        return _no_window("no Qt binding", "PyQt6 or PySide6", f"Install one: {INSTALL}")
    if not has_screen():
        remedy = "Run it on a computer with a screen, connect with ssh -X, or use a remote desktop."
        return _no_window("no screen (DISPLAY is not set)", "a desktop to open a window on", remedy)
    return None


def qt_binding() -> str | None:
    """Return the name of the installed Qt binding."""
    return next((name for name in QT_BINDINGS if find_spec(name) is not None), None)


def has_screen() -> bool:
    """Tell whether a window could be shown."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _no_window(found: str, expected: str, remedy: str) -> UsageError:
    return UsageError("E_NO_WINDOW", found=found, expected=expected, not_done="no window was opened", remedy=remedy)
