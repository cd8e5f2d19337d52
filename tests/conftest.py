"""Fixtures that every test may use."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from medseg.grid import Grid

PROJECT_ROOT = Path(__file__).resolve().parents[1]


NO_SCREEN = "no screen: run under Xvfb, as make test does"


def pytest_unconfigure(config: pytest.Config) -> None:
    """Say as the very last line how many tests of the napari plugin were not run."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput"):
        return
    skipped = [report for report in reporter.stats.get("skipped", []) if NO_SCREEN in str(report.longrepr)]
    if skipped:
        why = os.environ.get("MEDSEG_NO_SCREEN", NO_SCREEN)
        reporter.write_line(f"{len(skipped)} TESTS OF THE NAPARI PLUGIN WERE NOT RUN: {why}", red=True, bold=True)


def _data_root() -> Path:
    return Path(os.environ.get("MEDSEG_DATA", PROJECT_ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def data_pack() -> Callable[[str], Path]:
    """Return the folder of a data pack; skip where it is absent."""

    def find(name: str) -> Path:
        root = _data_root()
        if not (root / name).is_dir():
            pytest.skip(f"data pack {name!r} not found; set MEDSEG_DATA to the folder of the packs")
        return root / name

    return find


@pytest.fixture(scope="session")
def hostile() -> tuple[Path, list[dict]]:
    """Return the folder of hostile inputs and the list of its cases; skip where it is absent."""
    folder = Path(os.environ.get("MEDSEG_HOSTILE", _data_root().parent / "hostile"))
    if not (folder / "manifest.json").is_file():
        pytest.skip("the folder of hostile inputs is not there; set MEDSEG_HOSTILE")
    return folder / "corpus", json.loads((folder / "manifest.json").read_text())["cases"]


@pytest.fixture
def oblique_grid() -> Grid:
    """Return an anisotropic, oblique, off-origin grid that is also flipped (left-handed)."""
    turn = np.deg2rad(20.0)
    rotation = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag([-0.8, 1.5, 3.0])
    affine[:3, 3] = (31.0, -17.5, 8.25)
    return Grid((11, 9, 7), affine)
