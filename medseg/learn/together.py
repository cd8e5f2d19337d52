"""Several processes that train one network together: who is who, and how they meet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import ClusterEnvironment
from lightning_fabric.strategies import DDPStrategy

LONGEST_WAIT = timedelta(days=2)
"""The others wait while the first scores; whoever has died is noticed by the process that started them."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which of several processes this one is.

    Parameters
    ----------
    rank : int
        From 0; the first scores, saves and reports.
    of : int
        How many there are.
    port : int
        Where the first one listens on this computer.
    """

    rank: int = 0
    of: int = 1
    port: int = 0

    def share(self, steps: int) -> Iterable[int]:
        """Return the numbers of the batches that this process draws, of `steps` that each of them draws in an epoch.

        All processes together draw each number once.

        Examples
        --------
        >>> list(Place(0, 2).share(3)), list(Place(1, 2).share(3)), list(Place().share(3))
        ([0, 2, 4], [1, 3, 5], [0, 1, 2])
        """
        return range(self.rank, steps * self.of, self.of)

    def steps(self, samples: int, batch: int) -> int:
        """Return how many steps an epoch of `samples` patches takes when each process draws `batch` at a time.

        Examples
        --------
        >>> Place().steps(10, 2), Place(0, 2).steps(10, 2)
        (5, 3)
        """
        return -(-samples // (batch * self.of))


ALONE = Place()


class _OneComputer(ClusterEnvironment):
    """Processes of one computer that somebody else has started and told their places."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self._place = place

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        return "127.0.0.1"

    @property
    def main_port(self) -> int:
        return self._place.port

    @staticmethod
    def detect() -> bool:
        return False

    def world_size(self) -> int:
        return self._place.of

    def set_world_size(self, size: int) -> None:
        """Keep the number that was told."""

    def global_rank(self) -> int:
        return self._place.rank

    def set_global_rank(self, rank: int) -> None:
        """Keep the rank that was told."""

    def local_rank(self) -> int:
        return self._place.rank

    def node_rank(self) -> int:
        return 0


def fabric_for(device: torch.device, precision: Any, place: Place = ALONE) -> Fabric:
    """Return what moves tensors and averages gradients; with several processes it waits until all have come.

    Parameters
    ----------
    device : torch.device
        Its type counts; the process of rank r computes on device r.
    precision : str
        As lightning-fabric names it.
    place : Place
    """
    if place.of == 1:
        return Fabric(accelerator=device.type, devices=1, precision=precision)
    # a head that an image without objects leaves out must not make the others wait for its gradient
    strategy = DDPStrategy(cluster_environment=_OneComputer(place), timeout=LONGEST_WAIT, find_unused_parameters=True)
    fabric = Fabric(accelerator=device.type, devices=place.of, strategy=strategy, precision=precision)
    fabric.launch()
    return fabric


def first_says(fabric: Fabric, value: float) -> float:
    """Return the value of the first process, to all of them."""
    return value if fabric.world_size == 1 else _sum(fabric, value if fabric.is_global_zero else 0.0)


def mean_of_all(fabric: Fabric, value: float) -> float:
    """Return the mean over all processes, to all of them; not a number if one of the values is none."""
    return value if fabric.world_size == 1 else _sum(fabric, value) / fabric.world_size


def _sum(fabric: Fabric, value: float) -> float:
    told = torch.tensor(value, dtype=torch.float64, device=fabric.device)
    return float(fabric.all_reduce(told, reduce_op="sum"))
