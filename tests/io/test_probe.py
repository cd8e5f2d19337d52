"""What a path is, in words, before anything is read."""

import gzip
import os
import socket
import sys
from pathlib import Path

import numpy as np
import pytest

from medseg.errors import MedsegError
from medseg.grid import Grid
from medseg.io.options import ReadOptions
from medseg.io.probe import probe
from medseg.io.sniff import sniff
from medseg.io.write import write
from medseg.labels import LabelMap


@pytest.fixture
def scan(tmp_path, oblique_grid) -> Path:
    write(LabelMap(np.ones(oblique_grid.shape, np.uint8), oblique_grid), tmp_path / "scan.nii.gz")
    return tmp_path / "scan.nii.gz"


FILES = [
    (b"", "a.nii.gz", "E_INPUT_EMPTY", "found 0 bytes"),
    (b"<!DOCTYPE html><html>404</html>", "a.nii.gz", "E_INPUT_FORMAT", "a web page"),
    (b"\n  <HTML><body>", "a.dcm", "E_INPUT_FORMAT", "a web page"),
    (b"version https://git-lfs.example/spec/v1\noid sha256:1\n", "a.nii.gz", "E_INPUT_FORMAT", "git-lfs pointer"),
    (b"/annex/objects/SHA256E-s1--2", "a.nii.gz", "E_INPUT_FORMAT", "git-annex pointer"),
    (b"\0\x05\x16\x07" + bytes(60), "._a.nii.gz", "E_INPUT_FORMAT", "AppleDouble"),
    (b"just notes\n", "notes.txt", "E_INPUT_FORMAT", "a text file"),
    (b'{"a": 1}', "a.json", "E_INPUT_FORMAT", "JSON"),
    (bytes(range(128, 256)) * 9, "a.nii", "E_INPUT_FORMAT", "unknown kind"),
    (gzip.compress(b"text" * 400), "a.nii.gz", "E_INPUT_FORMAT", "hold no NIfTI"),
    (gzip.compress(b"short"), "a.nii.gz", "E_INPUT_UNREADABLE", "hold 5 bytes"),
    (b"\x1f\x8b\x08", "a.nii.gz", "E_INPUT_UNREADABLE", "hold 0 bytes"),
    (b"\x1f\x8b\xff\xff" + bytes(100), "a.nii.gz", "E_INPUT_UNREADABLE", "damaged"),
    (b"PK\x03\x04" + bytes(60), "a.zip", "E_INPUT_FORMAT", "ZIP"),
    (b"%PDF-1.7", "a.pdf", "E_INPUT_FORMAT", "PDF"),
]


@pytest.mark.parametrize(("content", "name", "code", "words"), FILES)
def test_what_is_no_image_is_refused_by_its_own_name(tmp_path, content, name, code, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MedsegError) as caught:
        probe(tmp_path / name)
    assert caught.value.code == code
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("head", "name", "kind"),
    [
        (b"NRRD0004\n", "a.nrrd", "nrrd"),
        (b"ObjectType = Image\nNDims = 3\n", "a.mha", "mha"),
        (b"NDims = 3\nElementDataFile = a.raw\n", "a.mhd", "mhd"),
        (b"II*\0" + bytes(60), "a.tif", "tiff"),
        (b"MM\0+" + bytes(60), "a.btf", "tiff"),
        (b"\x89PNG\r\n\x1a\n", "a.png", "png"),
        (b"\xff\xd8\xff\xe0", "a", "jpeg"),
        (bytes(128) + b"DICM", "anything", "dicom"),
        (b"\x08\0\x05\0CS\x0a\0ISO_IR 100", "no_preamble", "dicom"),
        (b"PK\x03\x04" + bytes(60), "a.npz", "npz"),
    ],
)
def test_formats_are_told_by_their_first_bytes(tmp_path, head, name, kind):
    (tmp_path / name).write_bytes(head)
    assert sniff(tmp_path / name) == kind


def test_the_name_must_not_contradict_the_compression(tmp_path, scan):
    plain = gzip.decompress(scan.read_bytes())
    (tmp_path / "a.nii.gz").write_bytes(plain)
    (tmp_path / "b.nii").write_bytes(scan.read_bytes())
    for name, words in (("a.nii.gz", "is not gzip"), ("b.nii", "named .nii")):
        with pytest.raises(MedsegError, match=words) as caught:
            probe(tmp_path / name)
        assert caught.value.code == "E_INPUT_FORMAT"


def test_folders_are_told_by_what_lies_in_them(tmp_path):
    for name, code in (("empty", "E_INPUT_EMPTY"), ("x.nii.gz", "E_INPUT_FORMAT"), ("text", "E_INPUT_EMPTY")):
        (tmp_path / name).mkdir()
        if name == "text":
            (tmp_path / name / "notes.txt").write_text("hello")
        with pytest.raises(MedsegError) as caught:
            probe(tmp_path / name)
        assert caught.value.code == code
    (tmp_path / "a.ome.zarr").mkdir()
    assert sniff(tmp_path / "a.ome.zarr") == "zarr"
    (tmp_path / "study" / "deep").mkdir(parents=True)
    (tmp_path / "study" / "deep" / "IM0001").write_bytes(bytes(128) + b"DICM")
    assert sniff(tmp_path / "study") == "dicom-folder"


def test_links_to_nothing_and_to_themselves_are_refused(tmp_path, scan):
    (tmp_path / "dangling.nii.gz").symlink_to("gone.nii.gz")
    (tmp_path / "loop.nii.gz").symlink_to("loop.nii.gz")
    (tmp_path / "good.nii.gz").symlink_to(scan.name)
    for name, words in (
        ("dangling.nii.gz", "is not there"),
        ("loop.nii.gz", "back to itself"),
        ("no", "nothing there"),
    ):
        with pytest.raises(MedsegError, match=words) as caught:
            probe(tmp_path / name)
        assert caught.value.code == "E_INPUT_UNREADABLE"
    assert probe(tmp_path / "good.nii.gz").grid.shape == (11, 9, 7)


@pytest.mark.skipif(sys.platform == "win32", reason="pipes as files are a POSIX feature")
def test_pipes_and_sockets_are_refused_without_waiting_for_them(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.nii.gz")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind("socket.nii.gz")
        for name in ("pipe.nii.gz", "socket.nii.gz"):
            with pytest.raises(MedsegError, match="a pipe, socket or device") as caught:
                probe(name)
            assert caught.value.code == "E_INPUT_FORMAT"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_forbidden_file_is_named_as_such(scan):
    scan.chmod(0)
    with pytest.raises(MedsegError, match="no permission") as caught:
        probe(scan)
    assert caught.value.code == "E_PERMISSION"


@pytest.mark.parametrize(
    "name", ["-rf.nii.gz", "new\nline.nii.gz", "a\x1b[31mred.nii.gz", "pat.01.v2.nii.gz", "ä b.nii.gz"]
)
def test_odd_names_are_read_and_never_break_a_line(tmp_path, scan, name):
    path = scan.rename(tmp_path / name)
    assert probe(path).grid.shape == (11, 9, 7)
    path.write_bytes(b"")
    with pytest.raises(MedsegError) as caught:
        probe(path)
    assert str(caught.value).isprintable()


def test_the_limit_of_memory_is_an_option(scan):
    assert probe(scan, options=ReadOptions(max_bytes=693)).n_bytes == 693
    with pytest.raises(MedsegError) as caught:
        probe(scan, options=ReadOptions(max_bytes=692))
    assert caught.value.code == "E_TOO_LARGE"


def test_free_memory_is_a_limit_too(scan, monkeypatch):
    monkeypatch.setattr("medseg.io.memory.available_bytes", lambda: 700)
    with pytest.raises(MedsegError, match="memory that is free"):
        probe(scan)


def test_a_probe_of_a_written_scan_has_its_grid(scan, oblique_grid: Grid):
    found = probe(scan)
    assert found.format == "nifti"
    assert found.grid.same_as(oblique_grid, tolerance=1e-5)
    assert found.warnings == ()
