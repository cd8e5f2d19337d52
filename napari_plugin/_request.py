"""What was clicked, as a command line and as a recipe: both give the same labels again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medseg import probe
from medseg.io.suffixes import split_suffix
from medseg.volume import Source

OUT = "results"
"""Folder of the results that a copied command names; the user changes it."""

_SHORT = {"out": "-o", "model": "-m"}
_FIRST = {"segment": "inputs", "count": "inputs", "split": "inputs", "measure": "labels"}
_TWO = ("predictions", "references")


@dataclass(frozen=True, slots=True)
class Request:
    """A verb of medseg with its inputs and options.

    Parameters
    ----------
    verb : str
        Such as ``segment``, ``count``, ``split`` or ``evaluate``.
    inputs : tuple of str
        Files or folders; predictions and references for ``evaluate``.
    options : mapping
        As in a recipe, without the inputs; what has its default is left out. ``out`` is `OUT` where it is missing.

    Examples
    --------
    >>> request = Request("segment", ("my scan.nii.gz",), {"model": "hippocampus", "roi": ((0, 9), (2, 8), (1, 5))})
    >>> print(request.command_line())
    medseg segment 'my scan.nii.gz' -m hippocampus --roi 0:9,2:8,1:5 -o results
    >>> print(request.recipe().strip())
    schema_version: medseg-recipe/1
    verb: segment
    options:
      inputs:
      - my scan.nii.gz
      model: hippocampus
      roi:
      - - 0
        - 9
      - - 2
        - 8
      - - 1
        - 5
      out: results
    """

    verb: str
    inputs: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)

    def arguments(self) -> list[str]:
        """Return the words after ``medseg``, each an argument of its own."""
        words = [self.verb, *self.inputs]
        given = {"out": OUT, **self._plain()}
        given["out"] = given.pop("out")  # last, where the user looks for it
        for name, value in given.items():
            words += _flag(name, value)
        return words

    def command_line(self) -> str:
        """Return the line to type into a terminal."""
        return shlex.join(["medseg", *self.arguments()])

    def recipe(self) -> str:
        """Return the text of a file for ``medseg run``.

        Raises
        ------
        ValueError
            If the verb does not know one of the options.
        """
        import yaml

        from medseg.workflow.recipe import OPTIONS, Recipe

        options = {**self._named_inputs(), "out": OUT, **self._plain()}
        known = OPTIONS[self.verb].model_validate(options).model_dump(mode="json", exclude_unset=True)
        known["out"] = known.pop("out")  # last, where the user looks for it
        recipe = Recipe.model_validate({"verb": self.verb, "options": known})
        return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

    def _plain(self) -> dict[str, Any]:
        """Return the options that were given: nothing that is None, False or empty."""
        # a number may be 0, which equals False
        return {k: v for k, v in self.options.items() if v is not None and v is not False and v not in ({}, ())}

    def _named_inputs(self) -> dict[str, Any]:
        if self.verb == "evaluate":
            return dict(zip(_TWO, self.inputs, strict=True))
        name = _FIRST[self.verb]
        return {name: list(self.inputs) if name == "inputs" else self.inputs[0]}


def _flag(name: str, value: Any) -> list[str]:
    """Return an option as the command line takes it."""
    option = _SHORT.get(name, "--" + name.replace("_", "-"))
    if name == "splitting":
        return [word for key, number in dict(value).items() for word in _flag(key, number)]
    if value is True:
        return [option]
    if name == "roi":
        return [option, ",".join(f"{start}:{stop}" for start, stop in value)]
    if isinstance(value, tuple | list):
        return [option, ",".join(f"{part:g}" for part in value)]
    return [option, str(value)]


def request_of_image(sources: Sequence[Source | None], channels: Sequence[str], **options: Any) -> Request:
    """Return the request that segments the files which image layers were read from.

    Parameters
    ----------
    sources : sequence of Source or None
        Of the layer, or of one layer for each channel.
    channels : sequence of str
        Name of the channel that each layer shows; all of a colour picture count as one.
    **options
        ``verb``, and what a recipe of it may say.

    Raises
    ------
    LookupError
        With a sentence, if no command can name this image: it is not on disk, or pieced together.
    """
    known = [source for source in sources if source is not None and Path(source.path).exists()]
    if not known or len(known) < len(sources):
        raise LookupError("This image was not opened from a file by medseg, so no command can name it.")
    first = known[0]
    given: dict[str, Any] = {}
    if first.format == "dicom":
        given["series"] = first.details.get("series_key")
    elif len(known) == 1 and len(inside := probe(first.path).channels) > 1 and channels[0] in inside:
        given["channel"] = channels[0]
    paths = tuple(dict.fromkeys(source.path for source in known))
    if len(known) > 1 and not _is_numbered(paths, len(known)):
        raise LookupError("These channels lie in files that a command cannot join: name them NAME_0000, NAME_0001 …")
    return Request(options.pop("verb"), paths, {**given, **options})


def _is_numbered(paths: tuple[str, ...], n: int) -> bool:
    """Tell whether files are the channels of one case in order, by their names."""
    ends = [split_suffix(Path(path).name)[0] for path in paths]
    stems = {end[:-5] for end in ends}
    return len(paths) == n and len(stems) == 1 and [end[-5:] for end in ends] == [f"_{k:04d}" for k in range(n)]
