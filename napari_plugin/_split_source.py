"""A layer as something to separate objects from: its maps, or itself as a mask; and the command that does the same."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from medseg import MedsegError, Volume, models, read, read_labels
from medseg.instance.choice import SplitChoice
from medseg.instance.options import Decoder, SplitOptions
from medseg.instance.retune import Method, SplitSource
from medseg.progress import Progress, Steps
from napari_plugin._layers import label_map_of, record_of
from napari_plugin._request import Request

MAP_CHANNELS = ("interior", "foreground")
"""A file of maps is listed by the layer of the one of these that it holds."""
NEEDED = {
    "combined": {"distance", "interior"},
    "boundary": {"interior", "boundary"},
    "distance": {"distance"},
}


@dataclass(frozen=True, eq=False)
class Splittable:
    """What the objects of a layer are separated from, and the numbers to begin with.

    Parameters
    ----------
    source : SplitSource
    tuned : SplitOptions
        The model's own numbers; for a mask or maps from a file those of ``medseg split``.
    name : str
        Name of the layer.
    record : dict
        What medseg knows of the layer.
    """

    source: SplitSource
    tuned: SplitOptions
    name: str
    record: dict[str, Any]

    @property
    def decoders(self) -> tuple[str, ...]:
        """Ways to read the maps for which there are maps."""
        maps = self.source.maps
        if maps is None:
            return ()
        have = set(maps.channels)
        ways = {f"offset_{axis}" for axis in "zyx"[-maps.grid.ndim :]}
        return tuple(
            d
            for d in get_args(Decoder)
            if (have >= ways if d == "offsets" else not have.isdisjoint(NEEDED.get(d, have)))
        )

    def used(self, method: Method) -> frozenset[str]:
        """Return the names of the numbers that a method makes use of."""
        every = set(self.tuned.as_dict())
        if method == "components" and self.source.seen_by_model:
            return frozenset(every)  # components of what the watershed finds
        unused = SplitChoice(**self.tuned.as_dict()).unused(method, mask=self.source.maps is None)
        return frozenset(every.difference(unused))


def usable(layer: Any) -> bool:
    """Tell whether a layer is one to separate objects from: labels, or maps that were opened from a file."""
    record = record_of(layer)
    if layer.ndim not in (2, 3) or record.get("preview"):
        return False
    if layer.__class__.__name__ == "Labels":
        return True
    return record.get("channel") in MAP_CHANNELS and bool(record.get("source"))


def lies_in_file(layer: Any) -> bool:
    """Tell whether what a usable layer shows is to be read from its file, whole and with all its maps."""
    return bool(layer.__class__.__name__ != "Labels")


def splittable_steps(layer: Any) -> Steps[Splittable]:
    """Look up, or read, what the objects of a layer are separated from.

    Raises
    ------
    MedsegError
        If the layer was moved, or its maps cannot be read.
    """
    record = record_of(layer)
    name = str(layer.name)
    yield Progress("preparing the maps", 0, 0)
    if lies_in_file(layer):
        maps = read(record["source"])
        maps = replace(maps, array=maps.numpy())
        return Splittable(SplitSource.of_maps(maps), SplitOptions(), name, record)
    labels = label_map_of(layer)
    known = record.get("maps")
    if not isinstance(known, Volume):
        return Splittable(SplitSource.of_labels(labels), SplitOptions(), name, record)
    source = SplitSource.of_model(known, labels.grid, labels.classes)
    return Splittable(source, card_numbers(record.get("model"), known), name, record)


def card_numbers(model: str | None, maps: Volume) -> SplitOptions:
    """Return the numbers that a model was tuned to, for the working grid of its maps."""
    from medseg.instance.segment import card_split

    for card in models():
        if model is not None and card.name == Path(model).name:
            return card_split(card, maps.grid)
    return SplitOptions()


def request_of(item: Splittable, method: Method, options: SplitOptions) -> Request:
    """Return the command that gives the same objects.

    Raises
    ------
    LookupError
        With a sentence, if no command can: the labels or the image are not on disk as they are here.
    """
    used = item.used(method)
    numbers = {name: value for name, value in options.as_dict().items() if name in used}
    made = item.record.get("request")
    if item.source.seen_by_model:
        if not isinstance(made, Request):
            raise LookupError("The image was not opened from a file by medseg, so no command can name it.")
        split = None if method == "watershed" else method
        return Request(made.verb, made.inputs, {**made.options, "split": split, "splitting": numbers})
    path = item.record.get("source")
    if not path or not Path(path).exists():
        raise LookupError("This layer was not opened from a file: save it first, then open what you saved.")
    if item.source.labels is not None and not _as_on_disk(item.source.labels.array, path):
        raise LookupError("The labels were changed since they were opened: save them first, then open what you saved.")
    return Request("split", (str(path),), {"method": method, **numbers})


def about(name: str) -> str:
    """Return what the documentation of `SplitOptions` says about a number, as plain text.

    Examples
    --------
    >>> about("min_size")
    'Objects with a smaller area or volume are left out.'
    """
    text = SplitOptions.__doc__ or ""
    found = re.search(rf"^ +{name} : .*\n((?:        .*\n)+)", text, re.MULTILINE)
    return (
        ""
        if found is None
        else " ".join(found[1].split()).replace("``", "“", 1).replace("``", "”", 1).replace("``", '"')
    )


def changes(layer: Any) -> tuple[Any, ...]:
    """Return what a layer emits when its pixels become others."""
    names = ("data", "paint")  # an image has no brush
    return tuple(getattr(layer.events, name) for name in names if layer is not None and hasattr(layer.events, name))


def described(item: Splittable) -> str:
    """Return in a sentence what the objects are separated from."""
    source = item.source
    if source.maps is None:
        n = len(source.labels.classes) if source.labels is not None else 0
        return "A mask: objects are cut at their waists." + (" Every class is split by itself." if n > 1 else "")
    return "Maps of a model for objects: nothing is asked of the network again."


def _as_on_disk(array: Any, path: str) -> bool:
    try:
        return bool(np.array_equal(read_labels(path).array, array))
    except MedsegError:
        return False
