"""What the documents say is what the program does."""

import re
from pathlib import Path

import pytest

from medseg.cli.app import VERBS
from medseg.cli.outcome import guarded
from medseg.errors import ERROR_CODES, WARNING_CODES

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = {verb.__name__ for verb in VERBS}


def commands(text: str) -> list[str]:
    """Return the ``medseg ...`` lines of the fenced blocks of a page."""
    blocks = re.findall(r"^```(?:console|sh|bash)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line.strip().removeprefix("$ ") for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line.partition("#")[0].strip() for line in lines if line.startswith("medseg ")]


def every_command() -> list[tuple[str, str]]:
    return [(page.name, line) for page in PAGES for line in commands(page.read_text(encoding="utf-8"))]


def options_of(verb: str) -> set[str]:
    import typer
    from typer.main import get_command

    app = typer.Typer()
    app.callback()(lambda: None)
    app.command()(guarded(next(v for v in VERBS if v.__name__ == verb)))
    command = get_command(app).commands[verb]
    return {"--help", "-h", *(name for parameter in command.params for name in parameter.opts)}


def test_the_pages_show_commands():
    shown = {line.split()[1] for _, line in every_command()}
    assert shown >= {"info", "segment", "measure", "evaluate", "train", "verify", "run"}


@pytest.mark.parametrize(("page", "line"), every_command())
def test_every_shown_command_exists(page, line):
    words = line.split()
    if words[1].startswith("-"):
        assert words[1] in {"--help", "--version"}
        return
    assert words[1] in NAMES, page
    options = {word.partition("=")[0] for word in words[2:] if re.match(r"^--?[a-z]", word)}
    assert options <= options_of(words[1]), page


def test_every_verb_is_in_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert {name for name in NAMES if f"`medseg {name}" in readme} == NAMES


def test_every_code_is_explained_and_no_other():
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([EW]_[A-Z0-9_]+)` \| (.*?) \|", page, flags=re.MULTILINE))
    assert rows == {**ERROR_CODES, **WARNING_CODES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_somewhere(page):
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_has_an_open_end(page):
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"\b(?:TODO|TBD|FIXME|XXX)\b", text) == []
