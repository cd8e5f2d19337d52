"""Helpers for the tests of the command line."""

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from medseg.grid import Grid
from medseg.labels import LabelMap
from medseg.volume import Volume

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Done:
    """What a command left: its exit code and its two streams."""

    code: int
    out: str
    err: str


def command(*words) -> Done:
    """Run a command line in this process, as a pipe would see it."""
    from medseg.cli.app import build

    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as left:
        build()(args=[str(word) for word in words], prog_name="medseg")
    return Done(int(left.value.code or 0), out.getvalue(), err.getvalue())


@pytest.fixture
def medseg():
    """Return the function that runs a command line."""
    return command


@pytest.fixture
def medseg_process(tmp_path):
    """Run a command line in a process of its own; `before` is code that runs before it."""

    def start(*words, before: str = "", stdout=subprocess.PIPE, **environment) -> subprocess.Popen:
        # a test run in the background may hand down that Ctrl-C is ignored
        heard = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)"
        code = (
            f"{heard}\nimport sys\nsys.argv = ['medseg', *sys.argv[1:]]\n{before}\nfrom medseg.cli import main\nmain()"
        )
        return subprocess.Popen(
            [sys.executable, "-c", code, *(str(word) for word in words)],
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(tmp_path), **environment},
        )

    return start


def scan(seed: int) -> tuple[Volume, LabelMap]:
    """Return a small oblique scan with two bright boxes, and its labels."""
    turn = np.deg2rad(11.0)
    rotation = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag([1.0, 1.25, 2.0])
    affine[:3, 3] = (21.0, -40.0, 7.5)
    grid = Grid((24, 20, 12), affine)
    labels = np.zeros(grid.shape, np.uint8)
    shift = seed % 3
    labels[3 + shift : 11 + shift, 4:12, 2:8] = 1
    labels[14:20, 9 : 16 + shift, 5:10] = 2
    image = np.random.default_rng(seed).normal(0, 10, grid.shape) + 100.0 * labels
    names = {1: "left_box", 2: "right_box"}
    return Volume(image.astype(np.float32)[None], grid), LabelMap(labels, grid, names)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory) -> Path:
    """Return a small data set of eight cases."""
    from medseg.io.write import write

    root = tmp_path_factory.mktemp("data") / "boxes"
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    for number in range(8):
        volume, labels = scan(number)
        write(volume, root / "images" / f"case_{number}.nii.gz")
        write(labels, root / "labels" / f"case_{number}.nii.gz")
    return root


@pytest.fixture(scope="session")
def small_plan(dataset, tmp_path_factory) -> Path:
    """Return a plan made by `medseg plan` and edited by hand, as a user would, to train within seconds."""
    path = tmp_path_factory.mktemp("plan") / "plan.json"
    assert command("plan", dataset, "-o", path).code == 0
    plan = json.loads(path.read_text())
    options = {"filters": [8, 16], "strides": [[2, 2, 2]], "residual_units": 1}
    plan["architecture"] = {"name": "unet", "options": options}
    plan["input"]["patch"] = [16, 16, 8]
    plan["training"] |= {"samples_per_epoch": 8, "batch": 2}
    path.write_text(json.dumps(plan))
    return path


@pytest.fixture(scope="session")
def model(dataset, small_plan, tmp_path_factory) -> Path:
    """Return a model folder made by `medseg train`; it is small and has seen little."""
    out = tmp_path_factory.mktemp("models") / "boxes"
    done = command("train", dataset, "-o", out, "--plan", small_plan, "--epochs", 2, "--device", "cpu", "--threads", 1)
    assert done.code == 0, done.err
    return out


@pytest.fixture
def scans(tmp_path) -> Path:
    """Return a folder of three scans and one file that is none."""
    from medseg.io.write import write

    folder = tmp_path / "scans"
    (folder / "more").mkdir(parents=True)
    for name, seed in (("a.nii.gz", 1), ("b.nii.gz", 2), ("more/c.nii.gz", 3)):
        write(scan(seed)[0], folder / name)
    (folder / "broken.nii.gz").write_bytes((folder / "a.nii.gz").read_bytes()[:900])
    return folder


@pytest.fixture
def labelled(tmp_path) -> tuple[Path, Path]:
    """Return an image and its labels as files."""
    from medseg.io.write import write

    volume, labels = scan(0)
    write(volume, tmp_path / "scan.nii.gz")
    write(replace(labels, classes={}), tmp_path / "labels.nii.gz")
    return tmp_path / "scan.nii.gz", tmp_path / "labels.nii.gz"
