"""Every hostile picture, NRRD, MetaImage and Zarr folder is refused or read right, as its manifest says."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from medseg.errors import MedsegError, Notice
from medseg.io.itk import probe_itk, read_itk
from medseg.io.npz import probe_npz, read_npz
from medseg.io.options import Probe, ReadOptions
from medseg.io.tiff import probe_tiff, read_tiff
from medseg.io.zarr import probe_zarr, read_zarr
from medseg.ops.intensity import inspect
from medseg.volume import Volume

MM_PER_UNIT = {"mm": 1.0, "um": 1e-3}
Doors = tuple[Callable[[Path, ReadOptions], Probe], Callable[[Path, ReadOptions], Volume]]
DOORS: dict[str, Doors] = {
    ".tif": (probe_tiff, read_tiff), ".nrrd": (probe_itk, read_itk), ".nhdr": (probe_itk, read_itk),
    ".mhd": (probe_itk, read_itk), ".npz": (probe_npz, read_npz), ".zarr": (probe_zarr, read_zarr),
}  # fmt: skip


def outcome(
    path: Path, read: Callable[[Path, ReadOptions], Volume]
) -> tuple[Volume | None, list[Notice], MedsegError | None]:
    try:
        volume = read(path, ReadOptions())
    except MedsegError as error:
        return None, [], error
    seen, notices = inspect(volume)
    return seen, [*volume.warnings, *notices], None


def test_every_case_ends_as_the_manifest_says(hostile):
    corpus, cases = hostile
    n_seen = 0
    for case in cases:
        if case["group"] not in ("tiff", "other_format"):
            continue
        path = corpus / case["path"]
        started = time.process_time()  # work, not waiting: a busy machine is not the reader's fault
        volume, notices, error = outcome(path, DOORS[path.suffix][1])
        assert time.process_time() - started < case.get("limits", {}).get("max_seconds", 60)
        check(case, volume, notices, error)
        n_seen += 1
    assert n_seen > 0


PEAK = """
import contextlib, sys
from pathlib import Path
from medseg.errors import MedsegError
from medseg.io.options import ReadOptions
from medseg.io.itk import read_itk
from medseg.io.npz import read_npz
from medseg.io.tiff import read_tiff
from medseg.io.zarr import read_zarr
DOORS = {".tif": read_tiff, ".npz": read_npz, ".zarr": read_zarr}
n_read = 0
for name in sys.argv[1:]:
    with contextlib.suppress(MedsegError):
        DOORS.get(Path(name).suffix, read_itk)(Path(name), ReadOptions())
        n_read += 1
with open("/proc/self/status") as table:
    print(n_read, next(int(line.split()[1]) for line in table if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory is told in other units there")
def test_reading_them_all_takes_little_memory(hostile):
    # in a process of its own: the peak of this one is whatever the tests before it took
    corpus, cases = hostile
    paths = [str(corpus / case["path"]) for case in cases if case["group"] in ("tiff", "other_format")]
    told = subprocess.run([sys.executable, "-W", "ignore", "-c", PEAK, *paths], capture_output=True, check=True)
    n_read, peak_kb = map(int, told.stdout.split())
    assert n_read > 5
    assert peak_kb < 1_000_000


def check(case: dict, volume: Volume | None, notices: list[Notice], error: MedsegError | None) -> None:
    expected, name = case["expect"], case["id"]
    if expected["action"] == "refuse":
        assert error is not None, f"{name} was read"
        assert error.code == expected["code"], f"{name}: {error}"
        assert all((error.found, error.expected, error.not_done, error.remedy))
        return
    assert error is None, f"{name}: {error}"
    assert volume is not None
    assert volume.grid.shape[::-1] == tuple(expected["shape"]), name
    if "spacing_mm" in expected:
        spacing = [s * MM_PER_UNIT[volume.grid.unit] for s in volume.grid.spacing[::-1]]
        np.testing.assert_allclose(spacing, expected["spacing_mm"], rtol=1e-6, err_msg=name)
    if expected["action"] == "read_with_warning":
        assert expected["code"] in [n.code for n in notices], name
    assert "2 channels" not in expected.get("property", "") or len(volume.channels) == 2
    assert "3 channels" not in expected.get("property", "") or volume.channels == ("red", "green", "blue")


def test_a_probe_refuses_what_its_header_already_gives_away(hostile):
    corpus, cases = hostile
    in_header = {"E_TOO_LARGE", "E_PATH_UNSAFE", "E_GEOMETRY_AMBIGUOUS"}
    for case in cases:
        if case["group"] in ("tiff", "other_format") and case["expect"].get("code") in in_header:
            path = corpus / case["path"]
            with pytest.raises(MedsegError) as caught:
                DOORS[path.suffix][0](path, ReadOptions())
            assert caught.value.code == case["expect"]["code"], case["id"]


def test_a_secret_beside_the_corpus_is_not_read(hostile, tmp_path):
    corpus, cases = hostile
    n_tried = 0
    for case in cases:
        if case["expect"].get("code") != "E_PATH_UNSAFE" or case["group"] not in ("tiff", "other_format"):
            continue
        source = corpus / case["path"]
        inner = tmp_path / case["id"] / "inner"
        inner.mkdir(parents=True)
        (inner / source.name).write_bytes(source.read_bytes())
        for folder, name in (("dcm_secret", "outside.txt"), ("tif_secret", "outside.ome.tif")):
            (inner.parent / folder).mkdir()
            (inner.parent / folder / name).write_bytes(b"M" * 4096)
        with pytest.raises(MedsegError) as caught:
            DOORS[source.suffix][1](inner / source.name, ReadOptions())
        assert caught.value.code == "E_PATH_UNSAFE"
        n_tried += 1
    assert n_tried > 0
