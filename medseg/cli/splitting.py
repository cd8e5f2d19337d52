"""The numbers by which touching objects are separated: one set of options for every verb that separates."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, get_args

import typer

from medseg.errors import UsageError
from medseg.instance.choice import SplitChoice
from medseg.instance.options import Decoder

PANEL = "Splitting"
_LENGTH = "µm in a micrograph, mm in a scan, pixels where no pixel size is known"
_SIZE = "µm² or µm³, in a scan mm³, pixels where no pixel size is known"


def _decoder(text: str) -> str:
    if text not in get_args(Decoder):
        raise typer.BadParameter(f"{text!r} is not one of {', '.join(get_args(Decoder))}.")
    return text


def _number(about: str, *, top: float | None = None) -> Any:
    return Annotated[float | None, typer.Option(min=0, max=top, help=about, rich_help_panel=PANEL)]


OPTIONS: dict[str, Any] = {
    "decoder": Annotated[
        str | None,
        typer.Option(
            parser=_decoder,
            metavar=f"[{'|'.join(get_args(Decoder))}]",
            help="Which of the network's maps tell objects apart; masks have none. By default the model's own.",
            rich_help_panel=PANEL,
        ),
    ],
    "foreground_threshold": _number(
        "Probability from which a voxel belongs to an object, 0 to 1 (maps only). By default the model's own.", top=1
    ),
    "seed_threshold": _number(
        "How sure the middle of an object must be, 0 to 1 (maps only): higher finds fewer. By default the model's own.",
        top=1,
    ),
    "min_depth": _number(
        "How deep a waist must be to be cut, 0 to 1: higher cuts less. By default the model's own; 0.15 for masks.",
        top=1,
    ),
    "min_distance": _number(f"Two middles nearer than this are one object ({_LENGTH})."),
    "smoothing": _number(f"Blur before looking for middles (maps only; {_LENGTH})."),
    "min_size": _number(f"Smaller objects are left out ({_SIZE})."),
}
"""Options by the name of the number in `SplitChoice`."""


def with_splitting(verb: Callable[..., int]) -> Callable[..., int]:
    """Put the options of the splitting in the place of a verb's parameter ``splitting``.

    The verb receives a `SplitChoice`, or None where none of them was given.
    """
    signature = inspect.signature(verb, eval_str=True)
    shown = [p for name, p in signature.parameters.items() if name != "splitting"]
    keyword = inspect.Parameter.KEYWORD_ONLY
    shown += [inspect.Parameter(name, keyword, default=None, annotation=kind) for name, kind in OPTIONS.items()]

    @wraps(verb)
    def told(*args: Any, **kwargs: Any) -> int:
        given = {name: kwargs.pop(name, None) for name in OPTIONS}
        asked = {name: value for name, value in given.items() if value is not None}
        return verb(*args, splitting=SplitChoice(**asked) if asked else None, **kwargs)

    told.__dict__["__signature__"] = signature.replace(parameters=shown)
    told.__annotations__ = {p.name: p.annotation for p in shown} | {"return": int}
    return told


def check_used(asked: SplitChoice | None, way: str | None, *, option: str = "--split") -> None:
    """Refuse numbers that the chosen way to separate objects makes no use of.

    Raises
    ------
    UsageError
        E_USAGE.
    """
    unused = () if asked is None or way is None else asked.unused(way, mask=False)
    if unused:
        names = ", ".join("--" + name.replace("_", "-") for name in unused)
        raise UsageError(
            "E_USAGE",
            found=f"{names} with {option} {way}",
            expected=f"{option} watershed",
            not_done="no objects were separated",
            remedy=f"Leave out {names}, or choose {option} watershed.",
        )
