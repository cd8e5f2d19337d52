"""``medseg run``: repeat a command that was saved as a recipe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from medseg.cli.evaluate import Kind, evaluate
from medseg.cli.measure import measure_files
from medseg.cli.plan import plan
from medseg.cli.segment import run_and_show
from medseg.cli.split import split_and_show
from medseg.cli.train import Task, train


def run(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE.yaml", help="A verb and its options.", show_default=False)],
) -> int:
    """Repeat a command that was saved as a recipe.

    A recipe is a verb and its options, as --save-recipe writes them. Paths in it are relative to the folder in which
    the command is given.
    """
    from medseg.workflow.recipe import load_recipe, run_of_recipe, split_of_recipe

    loaded = load_recipe(recipe)
    if loaded.verb in ("segment", "count"):
        inputs, out, options = run_of_recipe(loaded)
        return run_and_show(inputs, out, options)
    if loaded.verb == "split":
        inputs, out, options = split_of_recipe(loaded)
        return split_and_show(inputs, out, options)
    return _VERBS[loaded.verb](loaded.checked().model_dump())


def _measure(given: dict[str, Any]) -> int:
    from medseg.io.options import ReadOptions

    labels, out, image = (_path(given.pop(name)) for name in ("labels", "out", "image"))
    kind = given.pop("kind")
    options = ReadOptions(**given)
    return measure_files(Path(labels or ""), out, image, options, kind=None if kind is None else Kind(kind))


def _evaluate(given: dict[str, Any]) -> int:
    predictions, references = Path(given["predictions"]), Path(given["references"])
    return evaluate(predictions, references, kind=Kind(given["kind"]), out=_path(given["out"]))


def _plan(given: dict[str, Any]) -> int:
    return plan(Path(given["dataset"]), out=_path(given["out"]), name=given["name"])


def _train(given: dict[str, Any]) -> int:
    places: dict[str, Any] = {name: _path(given.pop(name)) for name in ("dataset", "out", "plan")}
    return train(**places, task=Task(given.pop("task")), **given)


_VERBS: dict[str, Callable[[dict[str, Any]], int]] = {
    "measure": _measure,
    "evaluate": _evaluate,
    "plan": _plan,
    "train": _train,
}


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
