"""Some numbers of the splitting, chosen by a person; the others come from where they were tuned."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from medseg.instance.options import Decoder, SplitOptions

_WITH_MASK = {"watershed": {"min_depth", "min_distance", "min_size"}, "components": {"min_size"}}
_WITH_MAPS = {"components": {"foreground_threshold", "min_size"}}


@dataclass(frozen=True, slots=True)
class SplitChoice:
    """Numbers of `SplitOptions` that were asked for, None for each that was not.

    Parameters are those of `SplitOptions`.

    Raises
    ------
    UsageError
        If a number is outside its range (E_USAGE).

    Examples
    --------
    >>> SplitChoice(min_depth=0.3).over(SplitOptions(min_size=20.0)).as_dict()["min_size"]
    20.0
    """

    decoder: Decoder | None = None
    foreground_threshold: float | None = None
    seed_threshold: float | None = None
    min_depth: float | None = None
    min_distance: float | None = None
    smoothing: float | None = None
    min_size: float | None = None

    def __post_init__(self) -> None:
        SplitOptions(**self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        """Return what was asked for by name, for a record or a recipe."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in given.items() if value is not None}

    def over(self, tuned: SplitOptions) -> SplitOptions:
        """Return the tuned numbers with those that were asked for in their place."""
        return replace(tuned, **self.as_dict())

    def unused(self, way: str, *, mask: bool) -> tuple[str, ...]:
        """Return which of the numbers asked for a way to separate objects makes no use of.

        Parameters
        ----------
        way : str
            ``watershed``, ``components``, or any other, which uses none.
        mask : bool
            Objects come from a bare mask, not from maps.

        Examples
        --------
        >>> SplitChoice(min_depth=0.3, min_size=5.0).unused("components", mask=True)
        ('min_depth',)
        """
        every = {field.name for field in fields(self)}
        used = _WITH_MASK.get(way, set()) if mask else {"watershed": every, **_WITH_MAPS}.get(way, set())
        return tuple(name for name in self.as_dict() if name not in used)


def settled(asked: SplitOptions | SplitChoice | None, tuned: SplitOptions) -> SplitOptions:
    """Return all numbers: those asked for, the tuned ones for the rest.

    Parameters
    ----------
    asked : SplitOptions, SplitChoice or None
        All of them, some, or none.
    tuned : SplitOptions
    """
    if isinstance(asked, SplitChoice):
        return asked.over(tuned)
    return tuned if asked is None else asked
