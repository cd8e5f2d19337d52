"""The script that takes the pictures of the guide."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("napari")
from PIL import Image

SCRIPT = Path(__file__).resolve().parents[2] / "workflows" / "plugin_pictures"

pytestmark = pytest.mark.gl


def take(out, *names):
    return subprocess.run(
        [sys.executable, str(SCRIPT), str(out), *names], capture_output=True, text=True, timeout=300, check=False
    )


def test_a_picture_shows_the_window_and_is_small_enough_for_the_guide(tmp_path):
    done = take(tmp_path / "out", "napari_cells")
    assert done.returncode == 0, done.stderr
    picture = tmp_path / "out" / "napari_cells.png"
    assert 20_000 < picture.stat().st_size < 300_000
    with Image.open(picture) as seen:
        assert min(seen.size) > 500


def test_an_unknown_picture_is_refused_with_the_known_ones(tmp_path):
    done = take(tmp_path, "holiday")
    assert done.returncode != 0
    assert "No picture holiday" in done.stderr
    assert "napari_look" in done.stderr
