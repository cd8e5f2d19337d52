"""``medseg view``, and what ``medseg doctor`` says about windows."""

import importlib.util
import subprocess
import sys

import pytest

from medseg.cli import view as module


@pytest.fixture
def started(monkeypatch):
    """Pretend that everything is there; collect the command that would open the window."""
    words = []
    monkeypatch.setattr(module, "has_screen", lambda: True)
    monkeypatch.setattr(module, "find_spec", lambda name: object())
    monkeypatch.setattr(subprocess, "call", lambda command: words.extend(command) or 0)
    return words


def without(monkeypatch, *names):
    found = importlib.util.find_spec
    monkeypatch.setattr(module, "find_spec", lambda name: None if name in names else found(name))


def test_the_window_gets_whole_paths(medseg, started, tmp_path, monkeypatch):
    (tmp_path / "a.nrrd").write_bytes(b"NRRD0004\n")
    monkeypatch.chdir(tmp_path)
    assert medseg("view", "a.nrrd").code == 0
    assert started == [sys.executable, "-m", "napari_plugin", str(tmp_path / "a.nrrd")]


def test_a_window_without_files_opens_too(medseg, started):
    assert medseg("view").code == 0
    assert started[-1] == "napari_plugin"


def test_what_is_no_image_is_refused_before_a_window_opens(medseg, started, tmp_path):
    (tmp_path / "notes.txt").write_text("no image")
    done = medseg("view", tmp_path / "notes.txt")
    assert done.code == 4
    assert "E_INPUT_FORMAT" in done.err
    assert started == []


def test_a_window_that_fails_is_no_success(medseg, started, monkeypatch):
    monkeypatch.setattr(subprocess, "call", lambda command: 1)
    assert medseg("view").code == 4


@pytest.mark.parametrize(
    ("missing", "said"), [(("napari",), "no napari"), (module.QT_BINDINGS, "no Qt binding")], ids=["napari", "Qt"]
)
def test_without_napari_or_qt_it_says_how_to_install_them(medseg, monkeypatch, missing, said):
    without(monkeypatch, *missing)
    if "napari" not in missing:
        monkeypatch.setattr(module, "find_spec", lambda name: None if name in missing else object())
    done = medseg("view")
    assert done.code == 4
    assert said in done.err
    assert 'pip install "medseg[gui]"' in done.err
    assert "Traceback" not in done.err


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has computers without a screen")
def test_without_a_screen_it_says_so(medseg, monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: object())
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    done = medseg("view")
    assert done.code == 4
    assert "E_NO_WINDOW" in done.err
    assert "screen" in done.err


def test_the_doctor_knows_napari_and_is_content_without_it(medseg, monkeypatch):
    from importlib.metadata import PackageNotFoundError

    from medseg.cli import doctor

    found = doctor.version

    def absent(name):
        if name == "napari":
            raise PackageNotFoundError(name)
        return found(name)

    monkeypatch.setattr(doctor, "version", absent)
    done = medseg("doctor")
    assert done.code == 0
    assert "not installed" in done.out
    assert "medseg[gui]" in done.out
