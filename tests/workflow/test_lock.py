"""One run at a time in a folder; a dead run's lock holds nobody up."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from medseg.errors import UsageError
from medseg.workflow.lock import LOCK_NAME, locked

HOLD = """
import sys
from pathlib import Path
from medseg.workflow.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other_run(tmp_path):
    """Return another process that holds the lock of `tmp_path`."""
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.communicate()


def lock_of(tmp_path: Path, **changes) -> None:
    holder = {"pid": 1, "host": socket.gethostname(), "start": "2026-01-01T00:00:00+00:00", "birth": ""}
    (tmp_path / LOCK_NAME).write_text(json.dumps(holder | changes))


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_second_run_is_refused_and_told_who_is_at_work(tmp_path, other_run):
    with pytest.raises(UsageError, match="E_OUTPUT_BUSY") as caught, locked(tmp_path):
        pass
    assert f"process number {other_run.pid} on this machine" in caught.value.found
    assert (tmp_path / LOCK_NAME).exists()


def test_the_lock_of_a_killed_run_is_taken_over(tmp_path, other_run):
    other_run.kill()
    other_run.wait()
    assert (tmp_path / LOCK_NAME).exists()
    with locked(tmp_path):
        assert json.loads((tmp_path / LOCK_NAME).read_text())["pid"] == os.getpid()
    assert not (tmp_path / LOCK_NAME).exists()


def test_one_process_cannot_lock_a_folder_twice(tmp_path):
    with locked(tmp_path):
        with pytest.raises(UsageError, match="E_OUTPUT_BUSY"), locked(tmp_path):
            pass
        assert (tmp_path / LOCK_NAME).exists()


def test_the_lock_is_free_after_an_error(tmp_path):
    with pytest.raises(RuntimeError), locked(tmp_path):
        raise RuntimeError
    with locked(tmp_path):
        pass


def test_a_run_on_another_machine_is_respected_and_named(tmp_path):
    lock_of(tmp_path, pid=77, host="scanner-room-3")
    with pytest.raises(UsageError, match="E_OUTPUT_BUSY") as caught, locked(tmp_path):
        pass
    assert "process number 77 on the machine scanner-room-3" in caught.value.found
    assert LOCK_NAME in caught.value.remedy


def test_a_live_process_keeps_its_lock_and_a_dead_one_does_not(tmp_path):
    lock_of(tmp_path, pid=os.getppid())
    with pytest.raises(UsageError, match="E_OUTPUT_BUSY"), locked(tmp_path):
        pass
    lock_of(tmp_path, pid=dead_pid())
    with locked(tmp_path):
        pass


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system does not tell when a process began")
def test_a_later_process_with_the_same_number_is_not_the_holder(tmp_path):
    lock_of(tmp_path, pid=os.getppid(), birth="1")
    with locked(tmp_path):
        pass


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"pid": 1}'])
def test_a_lock_without_a_name_belongs_to_nobody(tmp_path, content):
    (tmp_path / LOCK_NAME).write_text(content)
    with locked(tmp_path):
        pass
