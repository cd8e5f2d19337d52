"""The floors hold: who may import whom, as written in pyproject.toml."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]


def test_every_import_contract_is_kept():
    code = "import sys; from importlinter.cli import lint_imports_command as c; c(sys.argv[1:])"
    done = subprocess.run([sys.executable, "-c", code, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_every_module_of_the_package_stands_on_a_floor():
    layers = next(contract for contract in CONTRACTS if contract["type"] == "layers")["layers"]
    floors = {name.strip(" ()") for layer in layers for name in layer.split("|")}
    rooms = {f"medseg.{path.stem}" for path in (ROOT / "medseg").iterdir() if path.suffix == ".py" or _is_package(path)}
    assert rooms - {"medseg.__init__"} <= floors


def test_no_module_has_a_name_that_says_nothing():
    names = {path.stem for path in (ROOT / "medseg").rglob("*.py")}
    assert names.isdisjoint({"utils", "util", "common", "helpers", "misc"})


def test_imports_are_absolute():
    relative = [
        f"{path}:{node.lineno}"
        for path in (ROOT / "medseg").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert relative == []


def _is_package(path: Path) -> bool:
    return (path / "__init__.py").is_file()
