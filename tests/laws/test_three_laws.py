"""The three laws of a run, at every point where it can be killed, stopped or starved.

1. No final file name ever holds incomplete bytes. 2. Labels lie on the input's grid. 3. A result exists exactly when
its record exists, with matching hashes.
"""

import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from medseg.errors import ResourceError, UsageError
from medseg.io.read import read, read_labels
from medseg.io.write import write
from medseg.progress import finish
from medseg.workflow.lock import LOCK_NAME
from medseg.workflow.names import result_owner
from medseg.workflow.options import RunOptions
from medseg.workflow.run import run_steps
from medseg.workflow.verify import verify

ROOT = Path(__file__).resolve().parents[2]
DOUBLE = ROOT / "tests" / "workflow" / "mean_segmenter.py"

_spec = spec_from_file_location("mean_segmenter", DOUBLE)
mean = sys.modules["mean_segmenter"] = module_from_spec(_spec)
_spec.loader.exec_module(mean)

OPTIONS = RunOptions(model="mean")
RESUME = replace(OPTIONS, resume=True)
OVERWRITE = replace(OPTIONS, overwrite=True)

# Runs the batch once per point of death in a forked child that kills itself there; prints how many points there are.
KILLER = """
import os, signal, sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

double, scans, work = (Path(argument) for argument in sys.argv[1:4])
step = int(sys.argv[4])
spec = spec_from_file_location("mean_segmenter", double)
mean = sys.modules["mean_segmenter"] = module_from_spec(spec)
spec.loader.exec_module(mean)
from medseg.progress import finish
from medseg.workflow.options import RunOptions
from medseg.workflow.run import run_steps
import medseg.io.write, medseg.measure, medseg.report.overlay
medseg.report.overlay.write_overlay = mean.small_overlay

def child(point, out):
    n = 0
    def dying(call):
        def wrapped(*args, **kwargs):
            nonlocal n
            n += 1
            if n == point:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)
        return wrapped
    os.replace, os.fsync, os.unlink = dying(os.replace), dying(os.fsync), dying(os.unlink)
    finish(run_steps([scans], out, options=RunOptions(model="mean", overwrite=True), segmenter=mean.MeanSegmenter()))
    os._exit(0)

# everything that is imported on the way is imported once, not once in every child
finish(run_steps([scans], work / "warm", options=RunOptions(model="mean"), segmenter=mean.MeanSegmenter()))
point = 1
while True:
    out = work / f"killed_{point:03d}"
    pid = os.fork()
    if pid == 0:
        child(point, out)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status == 0:
        break
    assert status == -signal.SIGKILL, status
    point += step
"""


@pytest.fixture(scope="module", autouse=True)
def quick_drawing():
    """Draw small pictures: these tests are about files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("medseg.report.overlay.write_overlay", mean.small_overlay)
        yield


@pytest.fixture(scope="module")
def batch(tmp_path_factory) -> Path:
    """Return a folder of two small scans."""
    root = tmp_path_factory.mktemp("batch")
    for seed, name in enumerate(("a.nii.gz", "sub/b.nii")):
        (root / name).parent.mkdir(exist_ok=True)
        write(mean.scan(mean.grid(), seed), root / name)
    return root


@pytest.fixture(scope="module")
def undisturbed(batch, tmp_path_factory) -> dict[str, bytes]:
    """Return the results of a run that nothing happened to."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    run(batch, out)
    return results(out)


def run(inputs, out: Path, options: RunOptions = OPTIONS, segmenter=None):
    return finish(run_steps([inputs], out, options=options, segmenter=segmenter or mean.MeanSegmenter()))


def results(out: Path) -> dict[str, bytes]:
    """Return every result, its record without the times and the run it names."""
    found = {}
    for path in sorted(out.iterdir()):
        if result_owner(path.name) is None:
            continue
        found[path.name] = path.read_bytes()
        if path.name.endswith(".medseg.json"):
            record = json.loads(found[path.name])
            del record["timings"], record["run_id"]
            found[path.name] = json.dumps(record, sort_keys=True).encode()
    return found


def assert_lawful(out: Path, undisturbed: dict[str, bytes], *, may_have_orphans: bool = False) -> None:
    """Assert that what is there is complete, and that every record tells the truth."""
    for name, content in results(out).items():
        assert content == undisturbed[name], name
    if not results(out):
        return
    report = verify(out)
    assert (report.missing, report.changed, report.damaged) == ((), (), ())
    if not may_have_orphans:
        assert report.orphans == ()


def assert_clean(out: Path) -> None:
    """Assert that no temporary, lock or staging folder is left."""
    assert [path.name for path in out.iterdir() if path.name.startswith(".")] == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the sweep needs fork")
@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_a_run_killed_anywhere_leaves_only_complete_files_and_resumes_to_the_same_bytes(
    batch, undisturbed, tmp_path, step
):
    command = [sys.executable, "-c", KILLER, str(DOUBLE), str(batch), str(tmp_path), str(step)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    outs = sorted(tmp_path.glob("killed_*"))
    assert len(outs) > 8
    for out in outs[:-1]:  # the last one was not killed
        # between two renames a file may lie there without its record: it is whole, and no result until it has one
        assert_lawful(out, undisturbed, may_have_orphans=True)
        summary = run(batch, out, RESUME)
        assert summary.exit_code == 0
        assert results(out) == undisturbed
        assert_clean(out)
        assert verify(out).is_sound


def test_a_run_stopped_between_any_two_steps_leaves_only_complete_results(batch, undisturbed, tmp_path):
    n_steps = 0
    while True:
        out = tmp_path / f"stopped_{n_steps}"
        steps = run_steps([batch], out, options=OPTIONS, segmenter=mean.MeanSegmenter())
        try:
            for _ in range(n_steps + 1):
                next(steps)
        except StopIteration:
            break
        steps.close()
        assert_lawful(out, undisturbed)
        assert_clean(out)
        totals = json.loads((out / "summary.json").read_text())
        assert (totals["stopped"], totals["exit_code"]) == ("interrupted", 130)
        n_steps += 1
    assert n_steps > 8
    last = tmp_path / "stopped_6"
    rows = [json.loads(line) for line in (last / "report.jsonl").read_text().splitlines()]
    assert [(row["case"], row["state"]) for row in rows] == [("a", "ok"), ("sub__b", "not_started")]
    assert rows[1]["codes"] == ["E_INTERRUPTED"]
    assert run(batch, last, RESUME).exit_code == 0
    assert results(last) == undisturbed


@pytest.mark.parametrize("call", ["replace", "fsync"])
@pytest.mark.parametrize("point", [1, 5, 8, 9, 10, 11, 12, 13, 16])
def test_ctrl_c_inside_a_step_leaves_only_complete_results(batch, undisturbed, tmp_path, monkeypatch, call, point):
    out, n_calls, original = tmp_path / "out", 0, getattr(os, call)

    def interrupted(*args, **kwargs):
        nonlocal n_calls
        n_calls += 1
        if n_calls == point:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    monkeypatch.setattr(os, call, interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(batch, out)
    monkeypatch.undo()
    assert_lawful(out, undisturbed)
    assert_clean(out)
    assert run(batch, out, RESUME).exit_code == 0
    assert results(out) == undisturbed


@pytest.mark.parametrize("point", [2, 3, 6, 9, 10, 12, 14, 15, 18])
def test_a_full_disk_stops_the_run_and_leaves_earlier_cases_whole(batch, undisturbed, tmp_path, monkeypatch, point):
    out, n_calls, original = tmp_path / "out", 0, os.fsync

    def full(handle):
        nonlocal n_calls
        n_calls += 1
        if n_calls >= point and not os.path.isdir(f"/proc/self/fd/{handle}"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return original(handle)

    monkeypatch.setattr(os, "fsync", full)
    summary = run(batch, out)
    monkeypatch.undo()
    assert summary.exit_code == 6
    lost = [row for row in summary.rows if not row.is_done]
    assert lost[0].codes == ("E_DISK_FULL",)
    assert all(row.state == "not_started" for row in lost[1:])
    assert_lawful(out, undisturbed)
    assert_clean(out)
    assert run(batch, out, RESUME).exit_code == 0
    assert results(out) == undisturbed


def test_a_disk_that_is_full_from_the_start_is_told_in_words(batch, tmp_path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResourceError, match="E_DISK_FULL"):
        run(batch, tmp_path / "out")
    assert_clean(tmp_path / "out")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
def test_a_file_that_the_disk_does_not_take_is_no_result(tmp_path):
    for name, shape in (("a.nii", (13, 11, 9)), ("b.nii", (120, 90, 80)), ("c.nii", (13, 11, 9))):
        (tmp_path / "in").mkdir(exist_ok=True)
        write(mean.scan(mean.grid(shape)), tmp_path / "in" / name)
    script = KILLER.partition("def child")[0] + (
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))\n"
        "out = finish(run_steps([scans], work, options=RunOptions(model='mean'), segmenter=mean.MeanSegmenter()))\n"
        "sys.exit(out.exit_code)\n"
    )
    out = tmp_path / "out"
    command = [sys.executable, "-c", script, str(DOUBLE), str(tmp_path / "in"), str(out), "1"]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 6, done.stderr
    rows = [json.loads(line) for line in (out / "report.jsonl").read_text().splitlines()]
    assert [row["state"] for row in rows] == ["ok", "failed", "not_started"]
    assert rows[1]["codes"] == ["E_DISK_FULL"]
    assert not list(out.glob("b[._]*"))
    assert verify(out).is_sound
    assert_clean(out)


def test_labels_lie_on_the_grid_of_the_input(tmp_path, oblique_grid):
    (tmp_path / "in").mkdir()
    for suffix in (".nii", ".nii.gz", ".nrrd", ".mha"):
        write(mean.scan(oblique_grid), tmp_path / "in" / f"x{suffix.replace('.', '_')}{suffix}")
    run(tmp_path / "in", tmp_path / "out")
    for path in sorted((tmp_path / "in").iterdir()):
        name, suffix = path.name.split(".", 1)
        labels = read_labels(tmp_path / "out" / f"{name}_labels.{suffix}")
        assert labels.grid.same_as(read(path).grid)


def test_results_that_are_there_are_not_touched_unasked(batch, tmp_path):
    out = tmp_path / "out"
    run(batch, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(UsageError, match="E_OUTPUT_EXISTS"):
        run(batch, out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_resume_does_nothing_twice(batch, tmp_path):
    out = tmp_path / "out"
    run(batch, out)
    times = {path.name: path.stat().st_mtime_ns for path in out.iterdir() if result_owner(path.name)}
    segmenter = mean.MeanSegmenter()
    summary = run(batch, out, RESUME, segmenter)
    assert (summary.exit_code, segmenter.n_segmented) == (0, 0)
    assert [row.state for row in summary.rows] == ["ok", "ok"]
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir() if result_owner(path.name)} == times


def test_overwrite_does_everything_again(batch, undisturbed, tmp_path):
    out = tmp_path / "out"
    run(batch, out)
    (out / "a_labels.nii.gz").write_bytes(b"spoiled")
    segmenter = mean.MeanSegmenter()
    assert run(batch, out, OVERWRITE, segmenter).exit_code == 0
    assert segmenter.n_segmented == 2
    assert results(out) == undisturbed


def test_a_stump_of_another_tool_is_found_by_its_hash_and_redone(batch, undisturbed, tmp_path):
    out = tmp_path / "out"
    run(batch, out)
    whole = (out / "a_labels.nii.gz").read_bytes()
    (out / "a_labels.nii.gz").write_bytes(whole[: len(whole) // 2])
    segmenter = mean.MeanSegmenter()
    run(batch, out, RESUME, segmenter)
    assert segmenter.n_segmented == 1
    assert results(out) == undisturbed


def test_a_stump_without_a_record_is_no_result(batch, undisturbed, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "a_labels.nii.gz").write_bytes(undisturbed["a_labels.nii.gz"][:40])
    with pytest.raises(UsageError, match="E_OUTPUT_EXISTS"):
        run(batch, out)
    run(batch, out, RESUME)
    assert results(out) == undisturbed


CHANGES = {
    "a damaged record": lambda out, scans: (out / "a.medseg.json").write_text("{"),
    "a missing output": lambda out, scans: (out / "a_overlay.png").unlink(),
    "another input": lambda out, scans: write(mean.scan(mean.grid(), 7), scans / "a.nii.gz"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_changed_is_redone_and_nothing_else(tmp_path, change):
    (tmp_path / "in").mkdir()
    for name in ("a.nii.gz", "b.nii.gz"):
        write(mean.scan(mean.grid()), tmp_path / "in" / name)
    run(tmp_path / "in", tmp_path / "out")
    change(tmp_path / "out", tmp_path / "in")
    seen = []
    segmenter = mean.MeanSegmenter(before=lambda volume: seen.append(Path(volume.source.path).name))
    assert run(tmp_path / "in", tmp_path / "out", RESUME, segmenter).exit_code == 0
    assert seen == ["a.nii.gz"]
    assert verify(tmp_path / "out").is_sound


@pytest.mark.parametrize(
    ("options", "segmenter"),
    [(replace(RESUME, tta=True), {}), (RESUME, {"folder_sha256": "b" * 64})],
    ids=["other options", "another model"],
)
def test_results_of_other_options_or_another_model_are_redone(batch, tmp_path, options, segmenter):
    run(batch, tmp_path / "out")
    double = mean.MeanSegmenter(**segmenter)
    run(batch, tmp_path / "out", options, double)
    assert double.n_segmented == 2
    assert verify(tmp_path / "out").is_sound


def test_a_result_whose_input_is_refused_now_is_kept_and_told(tmp_path):
    (tmp_path / "in").mkdir()
    write(mean.scan(mean.grid()), tmp_path / "in" / "a.nii.gz")
    run(tmp_path / "in", tmp_path / "out")
    (tmp_path / "in" / "a.nii.gz").write_bytes(b"")
    summary = run(tmp_path / "in", tmp_path / "out", RESUME)
    assert (summary.rows[0].state, summary.exit_code) == ("refused", 4)
    assert "An earlier result of this case is still in the output folder" in summary.rows[0].message
    assert verify(tmp_path / "out").is_sound


def test_another_format_leaves_no_result_of_the_old_one_behind(batch, tmp_path):
    out = tmp_path / "out"
    run(batch, out)
    run(batch, out, replace(OVERWRITE, format="nrrd"))
    assert verify(out).is_sound
    assert not (out / "a_labels.nii.gz").exists()
    assert (out / "a_labels.nrrd").exists()


def test_a_second_run_in_the_same_folder_is_refused_and_mixes_nothing(batch, undisturbed, tmp_path):
    out = tmp_path / "out"
    steps = run_steps([batch], out, options=OPTIONS, segmenter=mean.MeanSegmenter())
    next(steps)
    assert (out / LOCK_NAME).exists()
    with pytest.raises(UsageError, match="E_OUTPUT_BUSY"):
        run(batch, out, RESUME)
    finish(steps)
    assert results(out) == undisturbed
    assert_clean(out)
