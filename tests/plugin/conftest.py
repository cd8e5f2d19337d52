"""A real viewer needs OpenGL: tests that want one are skipped with the reason where there is no screen."""

from __future__ import annotations

import os
import sys

import pytest
from conftest import NO_SCREEN


def pytest_collection_modifyitems(items):
    if os.environ.get("DISPLAY") or sys.platform in ("win32", "darwin"):
        return
    for item in items:
        if item.get_closest_marker("gl"):
            item.add_marker(pytest.mark.skip(reason=NO_SCREEN))
