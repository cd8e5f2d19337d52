"""What every builder of networks needs: the outer shape, and bounds for what a plan or card may ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Width = Annotated[int, Field(ge=1, le=2048)]
Step = Annotated[int, Field(ge=1, le=16)]
Levels = Annotated[tuple[tuple[Step, ...], ...], Field(max_length=10)]


class NetworkOptions(BaseModel):
    """Root of the options of each network."""

    # bounds, because a card may come from anybody: it must not ask for a network that eats the memory
    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Shape:
    """Outer shape of a network: spatial axes, channels in, channels out."""

    n_axes: int
    n_in: int
    n_out: int
