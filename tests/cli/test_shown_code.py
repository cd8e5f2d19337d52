"""The Python code in the documents runs as it stands there."""

import re
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.M | re.S))
]


@pytest.mark.parametrize("block", BLOCKS)
def test_shown_python_code_runs(block, model, scans, tmp_path, monkeypatch):
    shutil.copytree(model, tmp_path / "models" / "hippocampus")
    shutil.copy(scans / "a.nii.gz", tmp_path / "scan.nii.gz")
    monkeypatch.setenv("MEDSEG_MODELS", str(tmp_path / "models"))
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(compile(block, "shown code", "exec"), names)
    assert (tmp_path / "labels.nii.gz").is_file()
    assert len(names["table"]) == 2


def test_the_readme_shows_code():
    assert BLOCKS
