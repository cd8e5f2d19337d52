"""A recipe: a verb and its options as YAML, to be run again, changed by hand, or sent to a colleague."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from medseg.errors import UsageError
from medseg.instance.choice import SplitChoice
from medseg.instance.options import Decoder
from medseg.io.options import ReadOptions
from medseg.measure.positive import Positive
from medseg.nets.backend import Asked
from medseg.ops.tiles import LARGEST_OVERLAP
from medseg.workflow.options import RunOptions, counting_model, one_or_several
from medseg.workflow.staging import write_bytes

MAX_BYTES = 1_000_000
MAX_DEPTH = 16

Verb = Literal["segment", "count", "split", "measure", "evaluate", "plan", "train"]


Format = Literal["nii.gz", "nii", "nrrd", "mha", "tif", "png"]


Models = Annotated[tuple[str, ...], Field(min_length=1, max_length=32)]
"""Models that answer as one."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ReadingRecipe(_Strict):
    """Reading options that a verb may carry."""

    series: str | None = None
    channel: int | str | None = None
    frame: int | None = Field(None, ge=0)
    pixel_size: tuple[float, ...] | None = Field(None, max_length=3)
    form: Literal["qform", "sform"] | None = None
    assume_orientation: str | None = Field(None, pattern=r"^[RLAPSI]{3}$")


class SplittingRecipe(_Strict):
    """Numbers of the splitting, in the unit of the image; see `medseg.instance.options.SplitOptions`.

    What is not given is what the model's card says.
    """

    decoder: Decoder | None = None
    foreground_threshold: float | None = Field(None, ge=0, le=1)
    seed_threshold: float | None = Field(None, ge=0, le=1)
    min_depth: float | None = Field(None, ge=0, le=1)
    min_distance: float | None = Field(None, ge=0)
    smoothing: float | None = Field(None, ge=0)
    min_size: float | None = Field(None, ge=0)


class SegmentRecipe(ReadingRecipe):
    """Options of ``segment``."""

    inputs: tuple[str, ...] = Field(min_length=1)
    out: str
    model: str | Models = "hippocampus"
    device: str = "auto"
    backend: Asked = "auto"
    tta: bool = False
    overlap: float | None = Field(None, ge=0, le=LARGEST_OVERLAP)
    roi: tuple[tuple[int, int], ...] | None = None
    batch: int = Field(1, ge=1)
    save_maps: bool = False
    format: Format | None = None
    resume: bool = False
    overwrite: bool = False
    strict: bool = False
    split: Literal["none", "components", "watershed", "maskrcnn"] | None = None
    splitting: SplittingRecipe | None = None
    diameter: float | None = Field(None, gt=0)


class CountRecipe(SegmentRecipe):
    """Options of ``count``."""

    model: str | Models = "nuclei"
    split: Literal["components", "watershed", "maskrcnn"] | None = None
    positive_stain: str | None = None
    positive_threshold: float | None = None

    @model_validator(mode="before")
    @classmethod
    def _model_suits_the_split(cls, given: Any) -> Any:
        return {"model": counting_model(given.get("split")), **given} if isinstance(given, dict) else given


class SplitRecipe(SplittingRecipe, ReadingRecipe):
    """Options of ``split``."""

    inputs: tuple[str, ...] = Field(min_length=1)
    out: str
    method: Literal["components", "watershed"] = "watershed"
    image: str | None = None
    format: Format | None = None
    resume: bool = False
    overwrite: bool = False
    strict: bool = False


class MeasureRecipe(ReadingRecipe):
    """Options of ``measure``."""

    labels: str
    out: str
    image: str | None = None
    kind: Literal["semantic", "instances"] | None = None


class EvaluateRecipe(_Strict):
    """Options of ``evaluate``."""

    predictions: str
    references: str
    out: str | None = None
    kind: Literal["semantic", "instances"] = "semantic"


class PlanRecipe(_Strict):
    """Options of ``plan``."""

    dataset: str
    out: str = "plan.json"
    name: str | None = None


class TrainRecipe(_Strict):
    """Options of ``train``."""

    dataset: str
    out: str
    task: Literal["semantic", "instance", "detection"] = "semantic"
    plan: str | None = None
    init: str | None = None
    arch: str | None = None
    loss: str | None = None
    minutes: float | None = Field(None, gt=0)
    epochs: int | None = Field(None, ge=1)
    fold: str | None = Field(None, pattern=r"^[0-9]+/[0-9]+$")
    resume: bool = False
    seed: int = Field(0, ge=0)
    name: str | None = None
    device: str = "auto"
    devices: int = Field(1, ge=1)
    threads: int | None = Field(None, ge=1)
    skip_unpaired: bool = False
    data_name: str = ""
    licence: str = "unknown"
    attribution: str = ""


OPTIONS: dict[str, type[_Strict]] = {
    "segment": SegmentRecipe,
    "count": CountRecipe,
    "split": SplitRecipe,
    "measure": MeasureRecipe,
    "evaluate": EvaluateRecipe,
    "plan": PlanRecipe,
    "train": TrainRecipe,
}
"""What each verb may be told."""


class Recipe(_Strict):
    """A verb and its options; unknown verbs and unknown options are refused.

    Examples
    --------
    >>> recipe = Recipe(verb="segment", options={"inputs": ["scans"], "out": "results"})
    >>> recipe.checked().model, recipe.options["out"]
    ('hippocampus', 'results')
    """

    schema_version: Literal["medseg-recipe/1"] = "medseg-recipe/1"
    verb: Verb
    options: dict[str, Any]

    @model_validator(mode="after")
    def _options_suit_the_verb(self) -> Self:
        self.checked()
        return self

    def checked(self) -> Any:
        """Return the options with their defaults, as the model of the verb in `OPTIONS`."""
        return OPTIONS[self.verb].model_validate(self.options)


def load_recipe(path: str | Path) -> Recipe:
    """Read a recipe.

    Raises
    ------
    UsageError
        E_USAGE for a file that is missing, too large, no plain YAML, or that asks for what medseg does not know.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _refused(path, f"a file that cannot be read ({(error.strerror or '').lower()})") from error
    if len(raw) > MAX_BYTES:
        raise _refused(path, f"more than {MAX_BYTES:,} bytes")
    try:
        data = _plain_yaml(path, raw.decode("utf-8"))
        return Recipe.model_validate(data)
    except ValidationError as error:
        raise _refused(path, _first_fault(error)) from error
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f", line {error.problem_mark.line + 1}"
        raise _refused(path, f"text that is no plain YAML ({error.problem}{line})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _refused(path, f"bytes that are no text ({type(error).__name__})") from error


def save_recipe(recipe: Recipe, path: str | Path) -> None:
    """Write a recipe atomically."""
    data = recipe.model_dump(mode="json")
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, default_flow_style=False)
    write_bytes(Path(path), text.encode("utf-8"))


def recipe_of_run(inputs: list[str], out: str | Path, options: RunOptions) -> Recipe:
    """Return the recipe that repeats a segmentation or a count; only what differs from the defaults is written down.

    Parameters
    ----------
    inputs : list of str
    out : path-like
    options : RunOptions
    """
    kind = CountRecipe if options.counts else SegmentRecipe
    apart = {"inputs", "out", "splitting", "positive_stain", "positive_threshold", *ReadingRecipe.model_fields}
    given: dict[str, Any] = {name: getattr(options, name) for name in kind.model_fields if name not in apart}
    given |= {name: getattr(options.read, name) for name in ReadingRecipe.model_fields}
    given["splitting"] = None if options.splitting is None else options.splitting.as_dict()
    if options.counts and options.positive is not None:
        given |= {"positive_stain": options.positive.stain, "positive_threshold": options.positive.threshold}
    full = kind(inputs=tuple(inputs), out=str(out), **given)
    verb: Verb = "count" if options.counts else "segment"
    return Recipe(verb=verb, options=full.model_dump(mode="json", exclude_defaults=True))


def run_of_recipe(recipe: Recipe) -> tuple[list[str], Path, RunOptions]:
    """Return inputs, output folder and options of a recipe for ``segment`` or ``count``.

    Raises
    ------
    UsageError
        If the recipe is for another verb.
    """
    if recipe.verb not in ("segment", "count"):
        raise _refused(None, f"a recipe for {recipe.verb}", expected="a recipe for segment or count")
    options = recipe.checked().model_dump()
    if not isinstance(options["model"], str):
        options["model"] = one_or_several(options["model"])
    if options["splitting"] is not None:
        options["splitting"] = SplitChoice(**options["splitting"])
    if recipe.verb == "count":
        stain, threshold = options.pop("positive_stain"), options.pop("positive_threshold")
        options |= {"positive": None if stain is None else Positive(stain, threshold), "counts": True}
    read = ReadOptions(**{name: options.pop(name) for name in ReadingRecipe.model_fields})
    inputs, out = list(options.pop("inputs")), Path(options.pop("out"))
    return inputs, out, RunOptions(read=read, **options)


def recipe_of_split(inputs: list[str], out: str | Path, options: RunOptions) -> Recipe:
    """Return the recipe that repeats a splitting of labels or maps; as `recipe_of_run`."""
    names = ("format", "resume", "overwrite", "strict")
    given: dict[str, Any] = {name: getattr(options, name) for name in names} | {"method": options.split or "watershed"}
    given |= {name: getattr(options.read, name) for name in ReadingRecipe.model_fields}
    given |= {} if options.splitting is None else options.splitting.as_dict()
    given["image"] = None if options.image is None else str(options.image)
    full = SplitRecipe(inputs=tuple(inputs), out=str(out), **given)
    return Recipe(verb="split", options=full.model_dump(mode="json", exclude_defaults=True))


def split_of_recipe(recipe: Recipe) -> tuple[list[str], Path, RunOptions]:
    """Return inputs, output folder and options of a recipe for ``split``.

    Raises
    ------
    UsageError
        If the recipe is for another verb.
    """
    if recipe.verb != "split":
        raise _refused(None, f"a recipe for {recipe.verb}", expected="a recipe for split")
    given = recipe.checked().model_dump()
    inputs, out, method = list(given.pop("inputs")), Path(given.pop("out")), given.pop("method")
    read = ReadOptions(**{name: given.pop(name) for name in ReadingRecipe.model_fields})
    numbers = {name: given.pop(name) for name in SplittingRecipe.model_fields}
    asked = {name: value for name, value in numbers.items() if value is not None}
    splitting = SplitChoice(**asked) if asked else None
    image = given.pop("image")
    shared = {"model": f"split-{method}", "device": "cpu", "split": method, "only_objects": True}
    beside = None if image is None else Path(image)
    return inputs, out, RunOptions(read=read, splitting=splitting, image=beside, **shared, **given)


class _Loader(yaml.SafeLoader):
    """Plain data only, each key once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = sorted({str(key) for key in keys if keys.count(key) > 1})
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"key {twice[0]!r} stands twice", node.start_mark)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return mapping


def _plain_yaml(path: Path, text: str) -> Any:
    """Return the data of a YAML text without aliases, of modest depth, each key once."""
    depth = 0
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        kind = type(token).__name__
        if kind in ("AliasToken", "AnchorToken"):
            raise _refused(path, "an alias or anchor (& or *)", remedy="Write the value out at each place.")
        depth += kind.endswith(("SequenceStartToken", "MappingStartToken"))
        depth -= kind.endswith(("SequenceEndToken", "MappingEndToken", "BlockEndToken"))
        if depth > MAX_DEPTH:
            raise _refused(path, f"lists inside lists, more than {MAX_DEPTH} deep")
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def _first_fault(error: ValidationError) -> str:
    first = error.errors()[0]
    inner = first.get("ctx", {}).get("error")
    if isinstance(inner, ValidationError):
        return _first_fault(inner)
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else str(first["msg"])


def _refused(
    path: Path | None, found: str, *, expected: str = "a verb of medseg and its options as YAML", remedy: str = ""
) -> UsageError:
    return UsageError(
        "E_USAGE",
        path=path,
        found=found,
        expected=expected,
        not_done="nothing was run",
        remedy=remedy or "Correct the file; --save-recipe writes one to start from.",
    )
