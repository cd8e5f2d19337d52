"""Hashes of files: a file that holds many images is read for it once, and again after it changed."""

import hashlib
import os
import time

import numpy as np
import pytest
from czi_phantom import WrittenTile, write_czi

from medseg.io import hashing
from medseg.io.hashing import digest, digest_once
from medseg.io.read import read

LONG_AGO_NS = time.time_ns() - 3_600_000_000_000


@pytest.fixture
def readings(monkeypatch):
    """Return the list of the files that were read whole."""
    seen = []
    read_whole = hashing._of_file
    monkeypatch.setattr(hashing, "_of_file", lambda path: seen.append(path.name) or read_whole(path))
    hashing._of_state.cache_clear()
    return seen


@pytest.fixture
def settled(monkeypatch):
    """Let every file count as written long ago: the time at which a file got its times cannot be set."""
    monkeypatch.setattr(hashing, "_SETTLED_NS", -(2**62))


@pytest.mark.usefixtures("settled")
def test_a_file_that_stays_as_it_is_is_hashed_once(tmp_path, readings):
    path = tmp_path / "cells.czi"
    path.write_bytes(b"cells")
    assert digest_once(path) == digest_once(path) == digest(path)
    assert readings == ["cells.czi"] * 2  # the last of the three asks anew


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("is_backdated", [False, True])
def test_a_file_that_was_written_anew_is_hashed_anew(tmp_path, readings, is_backdated):
    path = tmp_path / "cells.czi"
    for content in (b"first", b"other"):
        path.write_bytes(content)
        if is_backdated:  # as copying tools do, which keep the time of the original
            os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))
        assert digest_once(path).sha256 == hashlib.sha256(content).hexdigest()
        time.sleep(0.02)
    assert len(readings) == 2


def test_a_file_that_was_written_a_moment_ago_is_hashed_each_time(tmp_path, readings):
    path = tmp_path / "cells.czi"
    path.write_bytes(b"cells")
    assert digest_once(path) == digest_once(path)
    assert len(readings) == 2


@pytest.mark.usefixtures("settled")
def test_the_time_points_of_a_file_are_read_with_one_hash_of_it(tmp_path, readings):
    values = np.arange(24, dtype=np.uint16).reshape(4, 2, 3)
    path = write_czi(tmp_path / "cells.czi", [WrittenTile(v, {"X": 0, "Y": 0, "T": t}) for t, v in enumerate(values)])
    volumes = [read(path, frame=t) for t in range(4)]
    np.testing.assert_array_equal(np.concatenate([v.array for v in volumes]), values)
    assert {v.source.sha256 for v in volumes} == {hashlib.sha256(path.read_bytes()).hexdigest()}
    assert readings == ["cells.czi"]
