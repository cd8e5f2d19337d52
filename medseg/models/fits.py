"""Whether a model suits an image, told from its card and the image's place and channels before anything is computed."""

from __future__ import annotations

from medseg.errors import InputError
from medseg.grid import Grid
from medseg.models.card import InputSpec, ModelCard
from medseg.volume import Volume

UNLIKE = 1.5
"""Extent this many times outside the training range makes an image unlike the training data."""
COLOURS = 3
"""Channels of a colour picture: red, green and blue."""
_ALONG = ("from left to right", "from back to front", "from feet to head")
_SAME = {"MRI": "MR", "PET": "PT", "MICROSCOPY": "SM"}
_WORDS = {"SM": "micrographs", "image": "micrographs or pictures", "patient": "scans of patients"}


def misfit(card: ModelCard, volume: Volume, *, modality: str = "") -> InputError | None:
    """Return why a model cannot be used on an image; None where it can.

    Parameters
    ----------
    card : ModelCard
    volume : Volume
        Its values are not looked at.
    modality : str
        What made the image, as DICOM writes it (CT, MR ...); "" where that is not known.

    Examples
    --------
    >>> import numpy as np
    >>> from medseg.grid import image_grid
    >>> from medseg.models.registry import listed
    >>> card = next(card for card in listed() if card.name == "hippocampus")
    >>> picture = Volume(np.zeros((1, 8, 8)), image_grid((8, 8), (1.0, 1.0), "px"))
    >>> misfit(card, picture).expected
    'a 3-D scan of a patient, as hippocampus was trained on'
    """
    found = _wrong_kind(card, volume, _same(modality))
    if found is None:
        return None
    return InputError(
        "E_DIMENSIONS_UNSUPPORTED",
        path=None if volume.source is None else volume.source.path,
        found=found,
        expected=f"{wants(card)}, as {card.name} was trained on",
        not_done="it was not segmented",
        remedy="Choose another model, or another image.",
    )


def wants(card: ModelCard) -> str:
    """Return what a model takes, as a person would say it.

    Examples
    --------
    >>> from medseg.models.registry import listed
    >>> wants(next(card for card in listed() if card.name == "nuclei"))
    'a micrograph or picture, grey or in colour, flat or a stack'
    """
    spec = card.input
    axes = len(spec.patch)
    if card.task != "semantic":
        what = "a micrograph or picture" if spec.space == "image" else "a scan of a patient"
        return f"{what}, grey or in colour, {'flat or a stack' if axes == 2 else 'a stack'}"
    what = "scan of a patient" if spec.space == "patient" else "micrograph or picture"
    several = f" with {len(spec.channels)} channels ({', '.join(spec.channels)})" if len(spec.channels) > 1 else ""
    return f"a {axes}-D {what}{several}"


def n_channels(card: ModelCard) -> tuple[int, ...]:
    """Return the numbers of channels that a model can take."""
    return (1, COLOURS) if card.task != "semantic" else (len(card.input.channels),)


def extent_notice(card: ModelCard, grid: Grid) -> str | None:
    """Return how the size of an image differs from those of the training; None where it is alike or nothing is known.

    Parameters
    ----------
    card : ModelCard
    grid : Grid
        Of the image or of the part that is looked at, stored in any orientation.
    """
    spec, known = card.input, card.fingerprint
    if known is None or grid.ndim != len(known.extent_low) or grid.space != spec.space:
        return None
    turned = grid.mapped(grid.axes_to(spec.orientation)) if spec.orientation and grid.space == "patient" else grid
    extent = tuple(n * s for n, s in zip(turned.shape, turned.spacing, strict=True))
    for axis, (own, low, high) in enumerate(zip(extent, known.extent_low, known.extent_high, strict=True)):
        if not low / UNLIKE <= own <= high * UNLIKE:
            return (
                f"the image is {own:.0f} {turned.unit} long {along(spec, axis)}, "
                f"those of the training were {low:.0f} to {high:.0f} {turned.unit}: the result is not to be trusted"
            )
    return None


def along(spec: InputSpec, axis: int) -> str:
    """Return an axis of the working grid as a person would say it.

    Examples
    --------
    >>> from medseg.models.registry import listed
    >>> along(next(card for card in listed() if card.name == "hippocampus").input, 2)
    'from feet to head'
    """
    if spec.space == "patient" and spec.orientation:
        return _ALONG["RLAPSI".index(spec.orientation[axis]) // 2]
    return f"along axis {axis}"


def _wrong_kind(card: ModelCard, volume: Volume, modality: str) -> str | None:
    spec, grid = card.input, volume.grid
    axes = len(spec.patch)
    objects = card.task != "semantic"
    if grid.ndim < axes or (grid.ndim > axes and not objects):
        return f"a {grid.ndim}-D image"
    # objects are looked for in whatever holds them; micrographs are kept as NIfTI too
    if grid.space != spec.space and not objects:
        return f"an image of the kind {_WORDS[grid.space]}"
    wanted = _same(spec.modality)
    if modality and wanted and modality != wanted and (len(wanted) == 2 and len(modality) == 2):
        return f"a {modality} image"
    given = len(volume.channels)
    if given not in n_channels(card):
        return f"{given} channel{'s' if given > 1 else ''}"
    return None


def _same(modality: str) -> str:
    upper = modality.strip().upper()
    return _SAME.get(upper, upper)
