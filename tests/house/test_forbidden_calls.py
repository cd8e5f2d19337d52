"""Calls that could run what a file says, or hide a fault, stand nowhere in the tree."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    p for folder in ("medseg", "napari_plugin", "benchmarks", "workflows") for p in (ROOT / folder).rglob("*.py")
)

BUILTINS = {"eval", "exec", "compile", "__import__"}
"""Forbidden by their bare name only: ``network.eval()`` and ``re.compile()`` are something else."""
LAST_NAMES = {
    "extractall", "unpack_archive", "urlopen", "urlretrieve", "fileConfig", "dictConfig", "ConfigParser", "mktemp",
    "Unpickler", "UnsafeLoader", "FullLoader",
}  # fmt: skip
"""Forbidden whatever they are called on."""
LAST_TWO_NAMES = {
    "os.system", "os.popen", "pickle.load", "pickle.loads", "marshal.loads", "dill.load", "joblib.load", "yaml.load",
    "yaml.unsafe_load", "yaml.full_load", "yaml.load_all", "yaml.Loader", "jit.load", "hub.load", "builtins.eval",
    "builtins.exec", "marshal.load", "os.startfile",
}  # fmt: skip
MODULES = {"pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle"}
"""Forbidden to import at all: whatever they read can run code."""
FORBIDDEN_KEYWORDS = {"weights_only": False, "allow_pickle": True, "shell": True}


def offences(source: str) -> Iterator[str]:
    """Yield every forbidden call, with its line."""
    for node in ast.walk(ast.parse(source)):
        for name in imported(node):
            short = ".".join(name.split(".")[-2:])
            if name.split(".")[0] in MODULES or short in LAST_TWO_NAMES or name.split(".")[-1] in LAST_NAMES:
                yield f"{node.lineno}: import of {name}"
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        parts = name.split(".")
        if name in BUILTINS or parts[-1] in LAST_NAMES or ".".join(parts[-2:]) in LAST_TWO_NAMES:
            yield f"{node.lineno}: {name}"
        given = {k.arg: getattr(k.value, "value", None) for k in node.keywords}
        for key, value in FORBIDDEN_KEYWORDS.items():
            if key in given and given[key] is value:
                yield f"{node.lineno}: {key}={value}"
        if name == "torch.load" and given.get("weights_only") is not True:
            yield f"{node.lineno}: torch.load without weights_only=True"


def imported(node: ast.AST) -> list[str]:
    """Return what an import brings in, by full names, so that a call by the bare name is no way round."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_forbidden_call(path):
    assert list(offences(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "line",
    [
        "eval(text)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "yaml.load(text, Loader=yaml.Loader)",
        "archive.extractall(folder)",
        "pickle.loads(data)",
        "torch.jit.load(path)",
        "subprocess.run(line, shell=True)",
        "monai.bundle.ConfigParser(config)",
        "os.system('ls')",
        "tempfile.mktemp()",
        "exec(code)",
        "shutil.unpack_archive(path, folder)",
        "import pickle",
        "from pickle import loads",
        "from os import system",
        "from yaml import load",
        "from monai.bundle import ConfigParser",
    ],
)
def test_the_search_finds_what_it_looks_for(line):
    assert list(offences(line))


@pytest.mark.parametrize(
    "line",
    [
        "re.compile('a')",
        "network.eval()",
        "yaml.safe_load(t)",
        "torch.load(p, weights_only=True)",
        "np.load(p)",
        "from os import path",
        "import json",
        "from yaml import safe_load",
    ],
)
def test_the_search_leaves_sound_calls_alone(line):
    assert list(offences(line)) == []
