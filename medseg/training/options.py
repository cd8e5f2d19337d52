"""What a user may choose about a training."""

from __future__ import annotations

from dataclasses import dataclass

from medseg.planning import Plan


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """What a user may choose about a training.

    Parameters
    ----------
    name : str
        Name of the model.
    minutes, epochs : float, int
        The budget; exactly one of them.
    plan : Plan, optional
        An edited plan; made from the data when absent.
    architecture, loss : str, optional
        Override the plan's; the loss only where the branch lets one choose.
    seed : int
    device : str
    threads : int, optional
        CPU threads; torch's choice when absent. Of each process where several train together.
    devices : int
        How many graphics cards, or processes of the CPU, train the network together.
    resume : bool
    held_out, validation : float
        Shares of the cases (whole groups) kept for the card's scores, and for tuning, where the data set brings no
        split.
    fold : (k, n), optional
        Tune on the k-th of n parts of the cases, for models that are to answer together.
    init : str, optional
        A model, by name or folder, whose encoder a detector begins with.
    skip_unpaired : bool
        Go on without images that lack a label and labels that lack an image.
    licence, attribution, data_name : str
        For the card.
    """

    name: str
    minutes: float | None = None
    epochs: int | None = None
    plan: Plan | None = None
    architecture: str | None = None
    loss: str | None = None
    seed: int = 0
    device: str = "auto"
    threads: int | None = None
    resume: bool = False
    held_out: float = 0.2
    validation: float = 0.1
    init: str | None = None
    skip_unpaired: bool = False
    licence: str = "unknown"
    attribution: str = "unknown"
    data_name: str = "unnamed"
    devices: int = 1
    fold: tuple[int, int] | None = None

    @property
    def length(self) -> str:
        """The budget in words."""
        return f"{self.minutes:g} minutes" if self.minutes is not None else f"{self.epochs} epochs"
