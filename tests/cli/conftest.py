"""Helpers for the tests of the command line."""

import io
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Done:
    """What a command left: its exit code and its two streams."""

    code: int
    out: str
    err: str


@pytest.fixture
def medseg(monkeypatch):
    """Run a command line in this process, as a pipe would see it."""

    def run(*words) -> Done:
        from medseg.cli.app import build

        out, err = io.StringIO(), io.StringIO()
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        with pytest.raises(SystemExit) as left:
            build()(args=[str(word) for word in words], prog_name="medseg")
        return Done(int(left.value.code or 0), out.getvalue(), err.getvalue())

    return run


@pytest.fixture
def medseg_process(tmp_path):
    """Run a command line in a process of its own; `before` is code that runs before it."""

    def start(*words, before: str = "", **environment) -> subprocess.Popen:
        code = f"import sys\nsys.argv = ['medseg', *sys.argv[1:]]\n{before}\nfrom medseg.cli import main\nmain()"
        return subprocess.Popen(
            [sys.executable, "-c", code, *(str(word) for word in words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(tmp_path), **environment},
        )

    return start


@pytest.fixture
def phantom_files(tmp_path) -> tuple[Path, Path]:
    """Return the phantom's image and labels as NIfTI files."""
    from medseg.io.write import write
    from medseg.samples.phantom import ellipsoids

    phantom = ellipsoids()
    write(phantom.volume, tmp_path / "scan.nii.gz")
    write(phantom.labels, tmp_path / "scan_labels.nii.gz")
    return tmp_path / "scan.nii.gz", tmp_path / "scan_labels.nii.gz"
