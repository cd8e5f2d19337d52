"""How an image differs from those that a model was trained on, in words: before its result is believed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

from medseg.models.card import Appearances, InputSpec, ModelCard
from medseg.models.fits import along, extent_notice
from medseg.ops.appearance import BINS, LEVELS, Appearance, appearance
from medseg.volume import Volume

LEAST_CASES = 8
"""From fewer training images no range of looks is learned."""
COARSER = 2.0
"""Voxels this many times larger than the largest of the training are told."""
SPREAD_MARGIN = 0.25
"""Percentiles may lie outside the training's range by this share of its width."""
LAYOUT_MARGIN = 0.5
"""The layout may be less like the training's by this share of the way from the middle training image to the least."""
RANGE_NOT_SEEN = 6.0
"""A range from n images is widened by this share of itself, divided by n."""
SPREAD_SLACK = 0.05
LAYOUT_SLACK = 0.1
"""These margins hold at least: images that are all alike must not make the slightest difference a warning."""
TURN_GAIN = 0.1
"""A turned scan must fit the training better by this much (difference of correlations) to be called turned."""
BLANK_MARGIN = 0.15
_AIR = -500.0
_FAT = -20.0
_SOFT = (-150.0, 300.0)
_SIDES = {"R": "left and right", "L": "left and right", "A": "front and back", "P": "front and back"}
_ENDS = "head and feet"

Floats = npt.NDArray[np.float64]


def learned(looks: Sequence[tuple[Appearance, ...]], mirror_axes: tuple[int, ...] = ()) -> tuple[Appearances, ...]:
    """Return the range of looks of training images, per channel; nothing from fewer than `LEAST_CASES`.

    Parameters
    ----------
    looks : sequence of tuple of Appearance
        One entry per image, all turned alike.
    mirror_axes : tuple of int
        Axes along which the training mirrored: their direction says nothing.
    """
    if len(looks) < LEAST_CASES or len({len(look) for look in looks}) != 1:
        return ()
    return tuple(_learned_channel([look[c] for look in looks], mirror_axes) for c in range(len(looks[0])))


def reasons_unlike(card: ModelCard, volume: Volume) -> tuple[str, ...]:
    """Return why an image is unlike those of the training, one sentence each; nothing where it is alike.

    Parameters
    ----------
    card : ModelCard
        What its fingerprint does not tell is not asked.
    volume : Volume
        As it was read, or the part of it that is segmented.
    """
    known = card.fingerprint
    found: list[str] = []
    if known is not None and len(known.appearance) == len(volume.channels):
        looks = appearance(volume, card.input.orientation)
        for name, look, usual in zip(volume.channels, looks, known.appearance, strict=True):
            where = f"channel {name}: " if len(looks) > 1 else ""
            found += [where + reason for reason in reasons_of_channel(look, usual, card.input)]
    coarse = (extent_notice(card, volume.grid), _coarse(card, volume))
    return (*found, *(reason for reason in coarse if reason is not None))


def _learned_channel(looks: Sequence[Appearance], mirror_axes: tuple[int, ...]) -> Appearances:
    spreads = np.array([look.spread for look in looks])
    layouts = np.array([look.layout for look in looks])
    fits, gains = [], []
    for own in layouts:
        # each image is compared with the mean of the others, as a new one will be
        others = (layouts.sum(axis=0) - own) / (len(looks) - 1)
        fit, gain, _ = _compared(own, others, mirror_axes)
        fits.append(fit)
        gains.append(gain)
    # few images do not show the whole range of their kind
    more = RANGE_NOT_SEEN / len(looks)
    margin = more * (spreads.max(axis=0) - spreads.min(axis=0))
    median = float(np.median(fits))
    return Appearances(
        lowest_low=min(look.lowest for look in looks),
        lowest_high=max(look.lowest for look in looks),
        levels=LEVELS,
        spread_low=_rounded(spreads.min(axis=0) - margin),
        spread_high=_rounded(spreads.max(axis=0) + margin),
        layout=_rounded(layouts.mean(axis=0)),
        layout_fit_low=round(min(fits) - more * (median - min(fits)), 4),
        layout_fit_median=round(median, 4),
        turned_gain_high=round(max(gains), 4),
        blank_high=round(max(look.blank for look in looks), 4),
    )


def _rounded(values: Floats) -> tuple[float, ...]:
    return tuple(round(float(v), 4) for v in values)


def reasons_of_channel(look: Appearance, usual: Appearances, spec: InputSpec) -> list[str]:
    """Return the most telling reasons of one channel: a known cause makes its consequences not worth a sentence."""
    kind = _other_kind(look, usual, spec)
    if kind:
        return [kind]
    found = []
    if look.blank > usual.blank_high + BLANK_MARGIN:
        found.append(
            f"{100 * look.blank:.0f} % of the image are blank at one end: the scan looks truncated, "
            "and what is missing is not found"
        )
    misplaced = _misplaced(look, usual, spec)
    if misplaced and not found:
        found.append(misplaced)
    uncommon = _uncommon(look, usual)
    if uncommon and not found:
        found.append(uncommon)
    return found


def _other_kind(look: Appearance, usual: Appearances, spec: InputSpec) -> str | None:
    trained = f"the model was trained on {spec.modality}" if spec.modality else "those of the training do not"
    if usual.lowest_low > _AIR and _like_ct(look) and not usual.lowest_low < _FAT:
        return f"the values look like CT (Hounsfield units), {trained}: the result is not to be trusted"
    if usual.lowest_high < _AIR and look.lowest > _FAT:
        return (
            f"the values do not look like CT (nothing as dark as air at -1000 Hounsfield units), {trained}: "
            "the result is not to be trusted"
        )
    return None


def _like_ct(look: Appearance) -> bool:
    """Tell Hounsfield units: air far below zero, or whole numbers around those of fat and soft tissue."""
    if look.lowest < _AIR:
        return True
    return look.whole > 0.99 and look.lowest < _FAT and _SOFT[0] < look.middle < _SOFT[1]


def _misplaced(look: Appearance, usual: Appearances, spec: InputSpec) -> str | None:
    if len(usual.layout) != BINS ** len(spec.patch):
        return None
    fit, gain, turn = _compared(np.array(look.layout), np.array(usual.layout), spec.mirror_axes)
    way = usual.layout_fit_median - usual.layout_fit_low
    limit = usual.layout_fit_low - max(LAYOUT_SLACK, LAYOUT_MARGIN * way)
    if gain > max(0.0, usual.turned_gain_high) + TURN_GAIN and fit + gain >= limit:
        sides = " and ".join(_swapped(spec, axis) for axis in turn)
        return f"{sides} look swapped, compared with the training images: the header may state a wrong orientation"
    if fit < limit:
        return (
            "bright and dark do not lie where they lay in the training images "
            f"(likeness {fit:.2f}, in the training at least {usual.layout_fit_low:.2f}): "
            "the scan may be cut off, turned, or show another part of the body"
        )
    return None


def _compared(own: Floats, usual: Floats, mirror_axes: tuple[int, ...]) -> tuple[float, float, tuple[int, ...]]:
    """Return the likeness of a layout, what turning it would gain at best, and along which axes."""
    n_axes = round(np.log(own.size) / np.log(BINS))
    block = own.reshape((BINS,) * n_axes)
    free = [axis for axis in range(n_axes) if axis in mirror_axes]
    fixed = [axis for axis in range(n_axes) if axis not in mirror_axes]

    def best(turn: tuple[int, ...]) -> float:
        return max(_correlation(np.flip(block, (*turn, *more)), usual) for k in range(len(free) + 1)
                   for more in combinations(free, k))  # fmt: skip

    fit = best(())
    turns = [turn for k in range(1, len(fixed) + 1) for turn in combinations(fixed, k)]
    if not turns:
        return fit, -1.0, ()
    found = {turn: best(turn) for turn in turns}
    turn = max(found, key=found.__getitem__)
    return fit, found[turn] - fit, turn


def _correlation(a: Floats, b: Floats) -> float:
    a, b = a.ravel() - a.mean(), b.ravel() - b.mean()
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / size if size > 0 else 0.0


def _swapped(spec: InputSpec, axis: int) -> str:
    return _SIDES.get(spec.orientation[axis], _ENDS) if spec.orientation else f"the two ends of axis {axis}"


def _uncommon(look: Appearance, usual: Appearances) -> str | None:
    if len(look.spread) != len(usual.spread_low) or usual.levels != LEVELS:
        return None
    low, high, own = np.array(usual.spread_low), np.array(usual.spread_high), np.array(look.spread)
    margin = np.maximum(SPREAD_SLACK, SPREAD_MARGIN * (high - low))
    below, above = low - margin - own, own - high - margin
    worst = int(np.maximum(below, above).argmax())
    if max(below[worst], above[worst]) <= 0:
        return None
    middle = "dark" if LEVELS[worst] < 50 else "bright"
    # far below the median is darker, whichever half
    away = ("darker" if middle == "dark" else "less bright") if below[worst] > 0 else (
        "less dark" if middle == "dark" else "brighter"
    )  # fmt: skip
    return (
        f"the contrast is unlike that of the training images: the {middle} parts are {away} than in any of them. "
        "Another kind of scan, sequence or contrast agent is likely"
    )


def _coarse(card: ModelCard, volume: Volume) -> str | None:
    known, grid = card.fingerprint, volume.grid
    if known is None or grid.ndim != len(known.spacing_high) or grid.space != card.input.space or grid.unit == "px":
        return None
    orientation = card.input.orientation
    turned = grid.mapped(grid.axes_to(orientation)) if orientation and grid.space == "patient" else grid
    ratio = [own / high for own, high in zip(turned.spacing, known.spacing_high, strict=True)]
    worst = int(np.argmax(ratio))
    if ratio[worst] <= COARSER:
        return None
    return (
        f"voxels are {turned.spacing[worst]:.2g} {grid.unit} long {along(card.input, worst)}, "
        f"those of the training at most {known.spacing_high[worst]:.2g} {grid.unit}: small structures blur"
    )
