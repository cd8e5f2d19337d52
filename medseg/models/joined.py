"""Several models that answer together as one: what they must have in common, and the card of the whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean
from typing import Any

from medseg.errors import UsageError
from medseg.models.bundle import Bundle
from medseg.models.card import ModelCard, Postprocessing

LONGEST_NAME = 64


def in_order(bundles: Iterable[Bundle]) -> tuple[Bundle, ...]:
    """Return models in an order of their own, so that the order in which they were named changes no digit."""
    return tuple(sorted(bundles, key=lambda bundle: bundle.sha256))


def joined_sha256(hashes: Sequence[str]) -> str:
    """Return the identity of a set of models, whatever their order; that of a single one is its own.

    Examples
    --------
    >>> joined_sha256(["aa", "bb"]) == joined_sha256(["bb", "aa"]), joined_sha256(["aa"])
    (True, 'aa')
    """
    if len(hashes) == 1:
        return hashes[0]
    return hashlib.sha256("\n".join(sorted(hashes)).encode()).hexdigest()


def joined_card(cards: Sequence[ModelCard]) -> ModelCard:
    """Return the card under which several models answer as one.

    Labels are cleaned only as all members agreed; tuned numbers of a splitting are averaged. Scores and
    what can be expected of a result are left out: nobody has measured the set. The looks of the training images are
    those of the first card.

    Parameters
    ----------
    cards : sequence of ModelCard
        One card is returned as it is.

    Raises
    ------
    UsageError
        If they are detectors, or differ in what they look at or answer.
    """
    first = cards[0]
    if len(cards) == 1:
        return first
    if first.task == "detection":
        raise _no_detectors(cards)
    for other in cards[1:]:
        _check_alike(first, other)
    versions = {card.version for card in cards}
    # the memory is predicted from the card, so the widest network stands for all
    widest = max(cards, key=_width)
    return first.model_copy(
        update={
            "name": _one_of_each(card.name for card in cards).replace("; ", "-and-")[:LONGEST_NAME],
            "version": first.version if len(versions) == 1 else "0.0.0",
            "summary": f"{len(cards)} models that answer together.",
            "architecture": widest.architecture,
            "postprocessing": _agreed([card.postprocessing for card in cards]),
            "split": _averaged([card.split for card in cards]),
            "weights_sha256": joined_sha256([card.weights_sha256 for card in cards]),
            "probe_output": (),
            "licence": _one_of_each(card.licence for card in cards),
            "training": {},
            "scores": (),
            "confidence": None,
            "intended_use": _one_of_each(card.intended_use for card in cards),
        }
    )


def _check_alike(first: ModelCard, other: ModelCard) -> None:
    for what, of in _COMMON.items():
        ours, theirs = of(first), of(other)
        if ours != theirs:
            raise UsageError(
                "E_USAGE",
                found=f"{first.name} and {other.name}, which differ in {what}: {ours} and {theirs}",
                expected="models that look at the same kind of image in the same way and answer with the same classes",
                not_done="nothing was segmented",
                remedy="Train the members with one plan (medseg train DATASET --plan plan.json), or use one of them.",
            )


def _numbers(values: Iterable[float] | None) -> str:
    return "that of the image" if values is None else " x ".join(f"{value:.4g}" for value in values)


def _intensities(card: ModelCard) -> str:
    given = card.input.normalisation.model_dump(exclude_none=True)
    return ", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in sorted(given.items()))


def _of_objects(name: str) -> Callable[[ModelCard], Any]:
    """Return what reads an option of the network that decides how a model for objects is tiled."""
    return lambda card: card.architecture.options.get(name) if card.task == "instance" else None


_COMMON: dict[str, Callable[[ModelCard], Any]] = {
    "the task": lambda card: card.task,
    "the classes": lambda card: ", ".join(f"{k} {card.classes[k]}" for k in sorted(card.classes)),
    "the maps": lambda card: ", ".join(card.outputs),
    "the channels": lambda card: ", ".join(card.input.channels),
    "the kind of space": lambda card: f"{card.input.space} in {card.input.unit}",
    "the orientation": lambda card: card.input.orientation,
    "the spacing": lambda card: _numbers(card.input.spacing),
    "the patch": lambda card: _numbers(card.input.patch),
    "the intensities": _intensities,
    "the mirrored axes": lambda card: _numbers(card.input.mirror_axes),
    "the diameter of the objects": lambda card: card.split.get("diameter"),
    "the way in which touching objects are told apart": lambda card: card.split.get("decoder"),
    "the norms of the network": _of_objects("norm"),
    "the strides of the network": _of_objects("strides"),
}


def _width(card: ModelCard) -> int:
    filters = card.architecture.options.get("filters", card.architecture.options.get("width"))
    first = filters[0] if isinstance(filters, list) and filters else filters
    return first if isinstance(first, int) else 32


def _agreed(cleanings: Sequence[Postprocessing]) -> Postprocessing:
    def in_all(name: str) -> tuple[int, ...]:
        return tuple(sorted(set.intersection(*(set(getattr(own, name)) for own in cleanings))))

    least = [own.min_volume_mm3 for own in cleanings]
    shared = sorted(set.intersection(*(set(own) for own in least)))
    return Postprocessing(
        keep_largest=in_all("keep_largest"),
        fill_holes=in_all("fill_holes"),
        min_volume_mm3={class_id: min(own[class_id] for own in least) for class_id in shared},
    )


def _averaged(splits: Sequence[dict[str, float | str]]) -> dict[str, float | str]:
    """Return the mean of each number that all members have; texts have been compared before."""
    first, *others = splits
    shared = [name for name in first if all(name in own for own in others)]
    mean: dict[str, float | str] = {}
    for name in shared:
        values = [own[name] for own in splits]
        numbers = [value for value in values if not isinstance(value, str)]
        if len(numbers) == len(values):
            mean[name] = numbers[0] if len(set(numbers)) == 1 else fmean(numbers)
        elif len(set(values)) == 1:
            mean[name] = values[0]
    return mean


def _one_of_each(texts: Iterable[str]) -> str:
    return "; ".join(sorted(set(texts)))


def _no_detectors(cards: Sequence[ModelCard]) -> UsageError:
    return UsageError(
        "E_USAGE",
        found=f"{len(cards)} models, of which {cards[0].name} is a detector",
        expected="models that answer with maps: detectors answer with objects, which cannot be averaged",
        not_done="nothing was segmented",
        remedy="Use one detector; in napari, Compare shows where two of them agree.",
    )
