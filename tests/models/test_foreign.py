"""What is no model folder is refused by the worst that it holds, and nothing of it is unpacked or run."""

import json
import stat
import struct
import zipfile

import pytest

from medseg.errors import ModelError
from medseg.models.bundle import load_bundle
from medseg.models.registry import find


def link(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return member


ARCHIVES = {
    "a plain one": ([("toy/card.json", b"{}")], "E_BUNDLE_INCOMPATIBLE"),
    "a way out": ([("../card.json", b"{}")], "E_PATH_UNSAFE"),
    "a way out for others": ([("..\\..\\card.json", b"{}")], "E_PATH_UNSAFE"),
    "a drive": ([("C:/card.json", b"{}")], "E_PATH_UNSAFE"),
    "the root": ([("/etc/card.json", b"{}")], "E_PATH_UNSAFE"),
    "a link": ([(link("toy/models"), b"/etc")], "E_PATH_UNSAFE"),
    "a crowd": ([(f"{n}", b"") for n in range(10_001)], "E_TOO_LARGE"),
}


@pytest.mark.parametrize(("members", "code"), ARCHIVES.values(), ids=ARCHIVES)
def test_an_archive_is_refused_by_what_it_lists(tmp_path, members, code):
    with zipfile.ZipFile(tmp_path / "toy.zip", "w") as archive:
        for name, data in members:
            archive.writestr(name, data)
    for path in (tmp_path / "toy.zip", find(str(tmp_path / "toy.zip"))):
        with pytest.raises(ModelError) as refusal:
            load_bundle(path)
        assert refusal.value.code == code
    assert [p.name for p in tmp_path.iterdir()] == ["toy.zip"]


def test_a_damaged_archive_and_a_plain_file_are_no_models(tmp_path):
    for data, code in ((b"PK\x03\x04" + bytes(50), "E_BUNDLE_INTEGRITY"), (b"text", "E_BUNDLE_INCOMPATIBLE")):
        (tmp_path / "toy").write_bytes(data)
        with pytest.raises(ModelError) as refusal:
            load_bundle(tmp_path / "toy")
        assert refusal.value.code == code


FOLDERS = {
    "a program": ("inference.json", json.dumps({"a": {"_target_": "os.system"}}).encode(), "E_BUNDLE_UNSAFE"),
    "an expression": ("inference.json", json.dumps({"a": "$print(1)"}).encode(), "E_BUNDLE_UNSAFE"),
    "a path that leads out": ("bundle.json", json.dumps({"weights": "../../secret"}).encode(), "E_PATH_UNSAFE"),
    "a lying header": ("a.safetensors", struct.pack("<Q", 2**60) + b"{}", "E_BUNDLE_INTEGRITY"),
    "a short header": ("a.safetensors", b"\x01", "E_BUNDLE_INTEGRITY"),
    "something else": ("bundle.json", b"{}", "E_BUNDLE_INCOMPATIBLE"),
}


@pytest.mark.parametrize(("name", "data", "code"), FOLDERS.values(), ids=FOLDERS)
def test_a_foreign_folder_is_refused_by_the_worst_it_holds(tmp_path, name, data, code):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / name).write_bytes(data)
    with pytest.raises(ModelError) as refusal:
        load_bundle(tmp_path)
    assert refusal.value.code == code
    assert "nothing of it was run" in str(refusal.value)
