"""Positive and negative objects, told apart by how strong a stain or a channel is in each: the question of IHC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from medseg.errors import InputError, UsageError
from medseg.labels import Instances
from medseg.ops.moments import intensities, moments
from medseg.volume import Volume

if TYPE_CHECKING:
    import pandas as pd

STAINS = {"hematoxylin": 0, "eosin": 1, "dab": 2}
"""Stains that colour deconvolution separates, and their places in its answer."""
_RGB = ["red", "green", "blue"]
_FEW = 2


@dataclass(frozen=True, slots=True)
class Positive:
    """What makes an object positive.

    Parameters
    ----------
    stain : str
        ``dab``, ``hematoxylin`` or ``eosin`` in a colour picture of a section, or the name or number of a channel.
    threshold : float, optional
        Mean strength in an object from which it is positive: optical density for a stain, the stored values for a
        channel. Without it, Otsu's threshold over the objects of each image.

    Raises
    ------
    UsageError
        If the threshold is no finite number, or there is no name.
    """

    stain: str
    threshold: float | None = None

    def __post_init__(self) -> None:
        if not self.stain.strip() or (self.threshold is not None and not np.isfinite(self.threshold)):
            raise UsageError(
                "E_USAGE",
                found=f"positive stain {self.stain!r} with threshold {self.threshold}",
                expected="dab, hematoxylin, eosin or a channel, and a finite threshold or none",
                not_done="nothing was counted",
                remedy="Correct --positive-stain or --positive-threshold.",
            )

    @property
    def is_stain(self) -> bool:
        """Tell whether colour deconvolution is asked for, not a channel."""
        return self.stain.casefold() in STAINS

    def channel_of(self, volume: Volume) -> int:
        """Return the place of the channel.

        Raises
        ------
        InputError
            If the image has no such channel.
        """
        names = [name.casefold() for name in volume.channels]
        if self.stain.casefold() in names:
            return names.index(self.stain.casefold())
        if self.stain.isdecimal() and int(self.stain) < len(names):
            return int(self.stain)
        raise _absent(volume, f"the channels {', '.join(volume.channels)}", f"a channel {self.stain!r}")

    def strength(self, volume: Volume) -> npt.NDArray[Any]:
        """Return how strong the stain or channel is in each voxel.

        Raises
        ------
        InputError
            If the image has no such channel, or is no colour picture where a stain is asked for.
        """
        if not self.is_stain:
            return volume.numpy()[self.channel_of(volume)]
        return stain_density(volume, self.stain)


def stain_density(volume: Volume, stain: str) -> npt.NDArray[np.float32]:
    """Return the density of a stain in a colour picture, by Ruifrok's colour deconvolution.

    Parameters
    ----------
    volume : Volume
        Channels red, green and blue.
    stain : str
        One of `STAINS`.

    Returns
    -------
    array of the grid's shape
        0 where there is none of it.

    Raises
    ------
    InputError
        If the image is no colour picture.
    """
    from skimage.color import rgb2hed

    if [name.casefold() for name in volume.channels[:3]] != _RGB:
        raise _absent(volume, f"the channels {', '.join(volume.channels)}", "a colour picture of a stained section")
    array = volume.numpy()[:3]
    top = np.iinfo(array.dtype).max if array.dtype.kind == "u" else max(float(np.nanmax(array, initial=0.0)), 1.0)
    pixels = np.clip(np.nan_to_num(np.moveaxis(array.astype(np.float64), 0, -1) / top), 0.0, 1.0)
    return np.asarray(rgb2hed(pixels)[..., STAINS[stain.casefold()]], np.float32)


def with_positive(
    objects: pd.DataFrame, instances: Instances, volume: Volume, positive: Positive
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Add to a table of objects how strong the stain is in each and whether that makes it positive.

    Parameters
    ----------
    objects : DataFrame
        With ``object_id``.
    instances : Instances
    volume : Volume
        The image with all its channels.
    positive : Positive

    Returns
    -------
    table : DataFrame
        With ``{stain}_mean`` and ``positive`` (empty where no value is known or no threshold can be found).
    summary : dict
        ``positive``, ``negative``, ``positive_share``, ``positive_threshold``.
    """
    import pandas as pd

    name = f"{positive.stain.casefold() if positive.is_stain else positive.stain}_mean"
    ids = moments(np.asarray(instances.array)).ids
    means = intensities(np.asarray(instances.array), positive.strength(volume))[:, 0] if len(ids) else np.empty(0)
    held = np.asarray(pd.Series(means, index=ids).reindex(objects["object_id"]), np.float64)
    threshold = positive.threshold if positive.threshold is not None else _otsu(held)
    known = np.isfinite(held) if threshold is not None else np.zeros(len(held), np.bool_)
    is_positive = known & (held >= (threshold if threshold is not None else np.inf))
    told = pd.array([bool(p) if k else None for p, k in zip(is_positive, known, strict=True)], dtype="boolean")
    n, n_known = int(is_positive.sum()), int(known.sum())
    summary = {
        "positive": n if n_known or not len(held) else None,
        "negative": n_known - n if n_known or not len(held) else None,
        "positive_share": n / n_known if n_known else None,
        "positive_threshold": threshold,
    }
    table = objects.copy()
    table[name], table["positive"] = held, told
    return table, summary


def _otsu(values: npt.NDArray[np.float64]) -> float | None:
    """Return Otsu's threshold over the objects; None where there is nothing to be told apart."""
    from skimage.filters import threshold_otsu

    finite = values[np.isfinite(values)]
    if len(finite) < _FEW or np.ptp(finite) == 0:
        return None
    return float(threshold_otsu(finite))


def _absent(volume: Volume, found: str, expected: str) -> InputError:
    return InputError(
        "E_DIMENSIONS_UNSUPPORTED",
        path=None if volume.source is None else volume.source.path,
        found=found,
        expected=expected,
        not_done="positive objects were not told from negative ones",
        remedy="Name one of these with --positive-stain, or leave it out.",
    )
