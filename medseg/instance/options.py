"""How objects are told apart: few named numbers, stored with a model, in a record, in a recipe."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from medseg.errors import UsageError

Decoder = Literal["boundary", "distance", "combined", "offsets"]


@dataclass(frozen=True, slots=True)
class SplitOptions:
    """How touching objects are separated.

    Lengths and sizes are in the grid's own unit: millimetres in a scan, micrometres in a micrograph, pixels where the
    pixel size is not known.

    Parameters
    ----------
    decoder : {"combined", "boundary", "distance", "offsets"}
        Which maps the landscape is made of, whose summits are the objects: ``distance`` the distance map,
        ``boundary`` the interior, ``combined`` both. With ``offsets`` every voxel votes for the place that its way to
        the centre leads to; the landscape is the density of the votes, and a voxel belongs to the object that its vote
        goes to. A bare mask always uses its own distance transform.
    foreground_threshold : float
        Probability from which a voxel belongs to an object, 0 to 1.
    seed_threshold : float
        Height in the landscape (0 to 1) that a summit must reach to be an object. With decoder ``boundary`` two
        summits joined above it are one object. With ``offsets`` v votes per voxel are the height v / (1 + v): 0.5 is
        the density that there would be if no vote moved. Not used for a bare mask.
    min_depth : float
        How deep the saddle between two summits must be, as a share of the lower summit's height (0 to 1). For a mask:
        a waist narrower than 1 - min_depth of the smaller part separates.
    min_distance : float
        Two centres nearer than this are one object; 0 for no limit.
    smoothing : float
        Standard deviation of the Gaussian that the landscape is smoothed with; 0 for none. Not used for a bare mask.
    min_size : float
        Objects with a smaller area or volume are left out.

    Raises
    ------
    UsageError
        If a number is outside its range (E_USAGE).

    Examples
    --------
    >>> SplitOptions(min_depth=0.3).min_depth
    0.3
    """

    decoder: Decoder = "combined"
    foreground_threshold: float = 0.5
    seed_threshold: float = 0.5
    min_depth: float = 0.15
    min_distance: float = 0.0
    smoothing: float = 0.0
    min_size: float = 0.0

    def __post_init__(self) -> None:
        if self.decoder not in get_args(Decoder):
            raise _refused(f"decoder {self.decoder!r}", " or ".join(get_args(Decoder)))
        for name in ("foreground_threshold", "seed_threshold", "min_depth"):
            if not 0 <= getattr(self, name) <= 1:
                raise _refused(f"{name} {getattr(self, name)}", "a number from 0 to 1")
        for name in ("min_distance", "smoothing", "min_size"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise _refused(f"{name} {getattr(self, name)}", "a finite number, 0 or above")

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers by name, for a card, a record or a recipe."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> SplitOptions:
        """Return the options stored in a card or recipe; names that are not known are refused.

        Examples
        --------
        >>> SplitOptions.from_dict(SplitOptions(smoothing=1.5).as_dict()).smoothing
        1.5
        """
        unknown = sorted(set(values) - set(cls.__dataclass_fields__))
        if unknown:
            raise _refused(", ".join(map(repr, unknown)), f"only {', '.join(cls.__dataclass_fields__)}")
        for name, value in values.items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if name != "decoder" and not number:
                raise _refused(f"{name} {value!r}", "a number")
        return cls(**values)


def _refused(found: str, expected: str) -> UsageError:
    return UsageError(
        "E_USAGE",
        found=found,
        expected=expected,
        not_done="the objects were not separated",
        remedy="Correct the option for separating objects.",
    )
