"""Files and functions stay small enough to be read in one go."""

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted([*(ROOT / "medseg").rglob("*.py"), *(ROOT / "napari_plugin").rglob("*.py")])

MOST_LINES = 400
MEDIAN_LINES = 150
FUNCTION_LINES = 40
MOST_FUNCTION_LINES = 60
SHARE_OF_LONG_FUNCTIONS = 0.02


def functions(source: str) -> Iterator[tuple[str, int]]:
    """Yield each function's name and its lines without the docstring."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            is_doc = (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            )
            doc = first.end_lineno - first.lineno + 1 if is_doc else 0
            yield node.name, node.end_lineno - node.lineno + 1 - doc


def test_no_file_is_longer_than_agreed():
    sizes = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {name: size for name, size in sizes.items() if size > MOST_LINES} == {}
    assert statistics.median(sizes.values()) <= MEDIAN_LINES


def test_no_function_is_longer_than_agreed():
    sizes = {
        f"{path.relative_to(ROOT)}:{name}": size
        for path in FILES
        for name, size in functions(path.read_text(encoding="utf-8"))
    }
    assert {name: size for name, size in sizes.items() if size > MOST_FUNCTION_LINES} == {}
    long = {name: size for name, size in sizes.items() if size > FUNCTION_LINES}
    assert len(long) <= SHARE_OF_LONG_FUNCTIONS * len(sizes), long


def test_the_measure_leaves_the_docstring_out():
    source = 'def f():\n    """One.\n\n    Two.\n    """\n    return 1\n'
    assert list(functions(source)) == [("f", 2)]
