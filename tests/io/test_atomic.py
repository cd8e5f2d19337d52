"""A final name holds all bytes or none."""

import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from medseg.errors import InputError, MedsegError
from medseg.io.atomic import TEMPORARY_PREFIX, write_atomically


def put(data: bytes):
    return lambda path: path.write_bytes(data) and None


def test_the_receipt_tells_what_lies_under_the_name(tmp_path):
    target = tmp_path / "scan.nii.gz"
    receipt = write_atomically(target, put(b"abc"))
    assert receipt.path == str(target)
    assert receipt.n_bytes == 3
    assert receipt.sha256 == hashlib.sha256(target.read_bytes()).hexdigest()
    assert os.listdir(tmp_path) == ["scan.nii.gz"]


def test_the_temporary_name_lies_beside_with_the_same_suffix_whatever_the_length(tmp_path):
    seen: list[Path] = []
    for name in ("a.nii.gz", "pat.01.v2.nii.gz", "cells.ome.tif", "table.csv", "n" * 248 + ".nii.gz", "plain"):
        target = tmp_path / name
        write_atomically(target, lambda path: seen.append(path) or put(b"x")(path))
        assert seen[-1].parent == tmp_path
        assert seen[-1].name.startswith(TEMPORARY_PREFIX)
        assert target.exists()
    assert [path.name.split(".", 2)[2:] for path in seen] == [
        ["nii.gz"],
        ["nii.gz"],
        ["ome.tif"],
        ["csv"],
        ["nii.gz"],
        [],
    ]


def raiser(error):
    def fail(path):
        path.write_bytes(b"half")
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENOSPC, "full"), "E_DISK_FULL"),
        (OSError(errno.EFBIG, "limit"), "E_DISK_FULL"),
        (OSError(errno.EDQUOT, "quota"), "E_DISK_FULL"),
        (PermissionError(errno.EACCES, "no"), "E_PERMISSION"),
        (OSError(errno.EROFS, "read-only"), "E_PERMISSION"),
    ],
)
def test_a_failed_write_leaves_the_old_file_and_no_stump(tmp_path, error, code):
    target = tmp_path / "old.csv"
    target.write_bytes(b"old")
    with pytest.raises(MedsegError) as caught:
        write_atomically(target, raiser(error))
    assert caught.value.code == code
    assert caught.value.path == str(target)
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["old.csv"]


def test_an_interrupted_write_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "new.csv", raiser(KeyboardInterrupt()))
    assert os.listdir(tmp_path) == []


def test_a_file_that_fails_its_check_never_gets_its_name(tmp_path):
    def refuse(path):
        assert path.read_bytes() == b"wrong"
        raise InputError("E_INPUT_UNREADABLE", found="a", expected="b", not_done="c", remedy="d")

    with pytest.raises(InputError):
        write_atomically(tmp_path / "new.csv", put(b"wrong"), refuse)
    assert os.listdir(tmp_path) == []


def test_a_writer_that_makes_nothing_is_no_success(tmp_path):
    with pytest.raises(MedsegError) as caught:
        write_atomically(tmp_path / "new.csv", lambda path: None)
    assert caught.value.code == "E_PERMISSION"
    assert os.listdir(tmp_path) == []


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(MedsegError, match="folder exists") as caught:
        write_atomically(tmp_path / "gone" / "new.csv", put(b"x"))
    assert caught.value.code == "E_PERMISSION"


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file size are a POSIX feature")
def test_a_full_disk_is_said_in_words_and_leaves_no_stump(tmp_path):
    program = """
import resource, sys, numpy as np
from pathlib import Path
from medseg.errors import ResourceError
from medseg.grid import Grid
from medseg.io.write import write
from medseg.volume import Volume
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
noise = np.random.default_rng(0).normal(size=(1, 40, 40, 40)).astype(np.float32)
try:
    write(Volume(noise, Grid((40, 40, 40), np.eye(4))), Path(sys.argv[1], "scan.nii.gz"))
except ResourceError as error:
    sys.exit(f"{error}")
"""
    root = Path(__file__).resolve().parents[2]
    env = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], capture_output=True, text=True, env=env, check=False
    )
    assert done.returncode == 1
    assert "no space left on the disk" in done.stderr
    assert "[E_DISK_FULL]" in done.stderr
    assert "Traceback" not in done.stderr
    assert os.listdir(tmp_path) == []
