"""Two counts of the same objects, each by a method of its own: what both found, and between what the number lies."""

from __future__ import annotations

from dataclasses import dataclass

from medseg.labels import Instances
from medseg.metrics.contingency import contingency, things
from medseg.metrics.matching import match


@dataclass(frozen=True, slots=True)
class Consensus:
    """How two methods agree about the number of objects.

    The range says where the methods differ and is no confidence interval: what both miss is not in it.

    Parameters
    ----------
    n_a, n_b : int
        Objects of each method.
    n_both : int
        Objects of one that match an object of the other, one to one.
    low, high : int
        Objects that both methods found, and objects that at least one of them found.
    """

    n_a: int
    n_b: int
    n_both: int
    low: int
    high: int

    def sentence(self, a: str, b: str) -> str:
        """Return all of it in words.

        Parameters
        ----------
        a, b : str
            Names of the methods.

        Examples
        --------
        >>> Consensus(412, 398, 371, 371, 439).sentence("watershed", "the detector")
        '412 by watershed, 398 by the detector; 371 found by both; between 371 and 439 objects'
        """
        count = f"{self.low:,} {'object' if self.low == 1 else 'objects'}"
        if self.low != self.high:
            count = f"between {self.low:,} and {self.high:,} objects"
        return f"{self.n_a:,} by {a}, {self.n_b:,} by {b}; {self.n_both:,} found by both; {count}"


def consensus(a: Instances, b: Instances, *, iou: float = 0.5) -> Consensus:
    """Count the objects on which two methods agree.

    Parameters
    ----------
    a, b : Instances
        On the same grid; stuff segments are no objects.
    iou : float
        Least intersection over union of a match, in (0, 1].

    Raises
    ------
    GeometryError
        If the two lie on different grids (E_GEOMETRY_MISMATCH).

    Examples
    --------
    >>> import numpy as np
    >>> from medseg.grid import image_grid
    >>> grid = image_grid((1, 6), (1.0, 1.0), "px")
    >>> a, b = np.array([[1, 1, 0, 2, 2, 0]]), np.array([[0, 0, 0, 5, 5, 5]])
    >>> consensus(Instances(a, grid), Instances(b, grid))
    Consensus(n_a=2, n_b=1, n_both=1, low=1, high=2)
    """
    found = things(contingency(a, b), a, b)
    n_a, n_b = len(found.prediction_ids), len(found.reference_ids)
    n_both = len(match(found, iou).rows)
    return Consensus(n_a, n_b, n_both, n_both, n_a + n_b - n_both)
