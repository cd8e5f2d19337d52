"""The natural path in one function: an image and a model give labels, objects and maps. Nothing is written here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np
import numpy.typing as npt

from medseg.errors import Notice, UsageError
from medseg.labels import Instances, LabelMap
from medseg.models.bundle import load_bundle
from medseg.models.card import ModelCard
from medseg.models.joined import in_order, joined_card, joined_sha256
from medseg.models.registry import find
from medseg.nets.backend import Backend, check_backend, equipped, in_use
from medseg.ops.tiles import LARGEST_OVERLAP
from medseg.prediction import Prediction
from medseg.progress import Steps, to_the_end
from medseg.volume import Volume

if TYPE_CHECKING:
    import torch
    from torch import nn

    from medseg.instance.choice import SplitChoice
    from medseg.instance.options import SplitOptions

Box = tuple[tuple[int, int], ...]
Method = Literal["none", "components", "watershed"]
"""Ways to separate the objects of labels or maps."""
Split = Literal["none", "components", "watershed", "maskrcnn"]
"""The same, and a detector that is a model of its own."""


@dataclass(frozen=True, slots=True)
class SegmentOptions:
    """How images are segmented.

    Parameters
    ----------
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    tta : bool
        Average over mirrored images; slower, a little better.
    overlap : float, optional
        Share of a tile that its neighbour covers too, 0 to 0.9: less is faster, and borders of tiles count more. By
        default 0.5 for structures and 0.25 for objects; a detector chooses its own.
    roi : box, optional
        (start, stop) voxel indices along each axis of the image as stored.
    save_maps : bool
        Keep the probabilities.
    batch : int
        Tiles per call of the network.
    split : {"none", "components", "watershed", "maskrcnn"}, optional
        How objects are separated; by default a model for objects uses the watershed, a detector itself and a semantic
        model nothing.
    splitting : SplitOptions or SplitChoice, optional
        All or some numbers of the splitting, in the unit of the image; by default those of the model's card.
    diameter : float, optional
        Median diameter of the objects in the unit of the image, for models of objects; estimated when not given.
    overlapping : bool
        Keep the mask of every object that a detector found, overlaps and all, in ``Prediction.masks``.

    Raises
    ------
    UsageError
        If the way to separate objects is unknown, the overlap out of range or the diameter not above 0.
    """

    device: str = "auto"
    tta: bool = False
    overlap: float | None = None
    roi: Box | None = None
    save_maps: bool = False
    batch: int = 1
    split: Split | None = None
    splitting: SplitOptions | SplitChoice | None = None
    diameter: float | None = None
    overlapping: bool = False

    def __post_init__(self) -> None:
        if self.split is not None and self.split not in get_args(Split):
            raise _wrong(f"--split {self.split!r}", " or ".join(get_args(Split)), "Choose one of these for --split.")
        if self.overlap is not None and not 0 <= self.overlap <= LARGEST_OVERLAP:
            raise _wrong(f"--overlap {self.overlap}", f"a share of 0 to {LARGEST_OVERLAP}", "Correct --overlap.")
        if self.diameter is not None and not 0 < self.diameter < float("inf"):
            raise _wrong(f"--diameter {self.diameter}", "a length above 0", "Correct --diameter, or leave it out.")


@dataclass(frozen=True, eq=False, slots=True)
class Model:
    """A model that is loaded and ready: its card, its identity, its network and where that runs.

    `members` holds card and hash of each model where several answer as one; `backend` is what was to compute it.
    """

    card: ModelCard
    folder_sha256: str
    network: nn.Module
    device: str
    members: tuple[tuple[ModelCard, str], ...] = ()
    backend: Backend | None = None

    @property
    def computed_by(self) -> Backend | None:
        """What computes the network now."""
        return None if self.backend is None else in_use(self.network, self.backend)


def load_model(name_or_path: str | Sequence[str], *, device: str = "auto", backend: str = "auto") -> Model:
    """Load a model once, to segment many images with it.

    Parameters
    ----------
    name_or_path : str or sequence of str
        Name of an embedded or added model, or a model folder; several answer as one, their answers averaged.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``; auto is the CPU where OpenVINO is asked for.
    backend : {"auto", "torch", "openvino", "openvino-bf16"}
        What computes the network; auto takes OpenVINO on a CPU where it is installed and agrees with PyTorch.

    Raises
    ------
    ModelError
        If there is no such model or its folder cannot be trusted.
    UsageError
        If the device or the backend is not there, or several models do not fit together.
    """
    names = (name_or_path,) if isinstance(name_or_path, str) else tuple(name_or_path)
    if not names:
        raise _wrong("no model", "the name of one at least", "Give --model NAME.")
    bundles = in_order(load_bundle(find(name)) for name in names)
    card = joined_card([bundle.card for bundle in bundles])
    from medseg.learn.weights import load_network
    from medseg.nets.device import choose
    from medseg.nets.ensemble import as_one

    chosen = choose("cpu" if device == "auto" and backend.startswith("openvino") else device)
    check_backend(backend, card, chosen.type)
    network = as_one([load_network(bundle) for bundle in bundles])
    network, computed_by = equipped(network, card, asked=backend, device=chosen, n_labels=_n_labels(card))
    identity = joined_sha256([bundle.sha256 for bundle in bundles])
    members = tuple((bundle.card, bundle.sha256) for bundle in bundles) if len(bundles) > 1 else ()
    return Model(card, identity, network, str(chosen), members, computed_by)


def _n_labels(card: ModelCard) -> int:
    """Return how many leading channels of the network's answer decide what a voxel is."""
    from medseg.instance.loss import N_CLASSES

    return N_CLASSES if card.task == "instance" else len(card.outputs)


def segment_steps(volume: Volume, model: Model, options: SegmentOptions | None = None) -> Steps[Prediction]:
    """Segment an image: a generator of `Progress` that returns the `Prediction`; closing it cancels.

    Parameters
    ----------
    volume : Volume
    model : Model
    options : SegmentOptions, optional

    Returns
    -------
    Prediction
        Labels and, where they were separated, objects on the grid of `volume`; warnings about the image and the run.
        A model for objects gives its maps with `save_maps` only.

    Raises
    ------
    MedsegError
        If the image does not suit the model, or memory runs out.
    """
    prediction = yield from _segmented_steps(volume, model, options or SegmentOptions())
    told = () if model.computed_by is None else model.computed_by.notices
    return replace(prediction, warnings=(*prediction.warnings, *told))


def _segmented_steps(volume: Volume, model: Model, chosen: SegmentOptions) -> Steps[Prediction]:
    import torch

    device = torch.device(model.device)
    check_split(model.card, chosen)
    if model.card.task != "semantic":
        return (yield from _part_steps(volume, model, chosen, device))
    if chosen.diameter is not None:
        remedy = "Leave out --diameter, or choose a model for objects: medseg models"
        raise _wrong("--diameter with a semantic model", "a model that looks for objects of one size", remedy)
    _check_numbers_used(chosen)
    from medseg.semantic.predict import PredictOptions, predict_steps

    settings = PredictOptions(
        tta=chosen.tta,
        roi=chosen.roi,
        save_maps=chosen.save_maps,
        batch=chosen.batch,
        half=device.type == "cuda",
    )
    if chosen.overlap is not None:
        settings = replace(settings, overlap=chosen.overlap)
    prediction = yield from predict_steps(volume, model.network, model.card, options=settings, device=device)
    prediction = replace(prediction, warnings=(*prediction.warnings, *_what_members_say(volume, model, chosen)))
    way = cast("Method", chosen.split or "none")  # a semantic model has been refused as a detector above
    # the network has seen all that it will: asked to finish early, what is left is done
    instances = yield from to_the_end(split_steps(prediction.labels, way, options=chosen.splitting))
    return replace(prediction, instances=instances)


def _what_members_say(volume: Volume, model: Model, options: SegmentOptions) -> tuple[Notice, ...]:
    """Return why the image is unlike those of the training of some member; the first was asked with its card."""
    from medseg.likeness import reasons_unlike

    part = volume if options.roi is None else _cut(volume, options.roi)
    known, reasons = [model.card.fingerprint], list[str]()
    for card, _ in model.members:
        if card.fingerprint not in known:
            known.append(card.fingerprint)
            reasons += reasons_unlike(card, part)
    told = dict.fromkeys(reasons)
    if told:
        for reason in reasons_unlike(model.card, part):
            told.pop(reason, None)
    return tuple(Notice("W_OUT_OF_DISTRIBUTION", reason) for reason in told)


def _check_numbers_used(options: SegmentOptions) -> None:
    """Refuse numbers of the splitting that a semantic model's labels cannot be split by."""
    from medseg.instance.choice import SplitChoice

    way = options.split or "none"
    unused = options.splitting.unused(way, mask=True) if isinstance(options.splitting, SplitChoice) else ()
    if not unused:
        return
    names = ", ".join("--" + name.replace("_", "-") for name in unused)
    if way == "none":
        raise _wrong(f"{names} without --split", "--split components or watershed", "Add --split, or leave them out.")
    remedy = f"Leave out {names}, or choose a model for objects: medseg models"
    raise _wrong(f"{names} with a semantic model and --split {way}", "numbers that this way makes use of", remedy)


def split_steps(
    source: LabelMap | Volume, method: Method = "watershed", *, options: SplitOptions | SplitChoice | None = None
) -> Steps[Instances | None]:
    """Separate the objects of a label map, each class by itself, or of the maps of a model for objects.

    Parameters
    ----------
    source : LabelMap or Volume
        Labels, or named maps.
    method : {"none", "components", "watershed"}
        Nothing; connected parts; touching objects apart too.
    options : SplitOptions or SplitChoice, optional

    Returns
    -------
    Instances or None
        On the grid of `source`; None for method ``none``.

    Raises
    ------
    UsageError
        If the method is unknown.
    InputError
        If the maps lack what is needed.
    """
    from medseg.instance import watershed
    from medseg.instance.choice import settled

    if method not in get_args(Method):
        raise _wrong(f"--split {method!r}", " or ".join(get_args(Method)), "Choose one of these for --split.")
    if method == "none":
        return None
    chosen = settled(options, watershed.DEFAULTS)
    if isinstance(source, Volume) and method == "watershed":
        return (yield from watershed.split_maps_steps(source, options=chosen))
    labels = foreground_of(source, chosen.foreground_threshold) if isinstance(source, Volume) else source
    if method == "watershed":
        return (yield from watershed.split_mask_steps(labels, options=chosen))
    return (yield from watershed.components_steps(labels, min_volume=chosen.min_size))


def foreground_of(maps: Volume, threshold: float) -> LabelMap:
    """Return where maps of a model for objects see an object of any kind, as class 1."""
    from medseg.instance.landscape import check_maps, foreground
    from medseg.instance.options import SplitOptions

    check_maps(maps, SplitOptions())
    whole = tuple(slice(0, n) for n in maps.grid.shape)
    return LabelMap((foreground(maps, whole) >= threshold).astype(np.uint8), maps.grid, {1: "object"})


def check_split(card: ModelCard, options: SegmentOptions) -> None:
    """Refuse options that ask a model for what it cannot do.

    Raises
    ------
    UsageError
        If a detector is wanted and the model is none, or the model is one and another way is wanted.
    """
    if card.task != "detection":
        if options.split == "maskrcnn":
            found = f"--split maskrcnn with {card.name}, a model for {card.task} segmentation"
            raise _wrong(found, "a detector", "Choose one with --model, or another --split: medseg models")
        if options.overlapping:
            found = f"overlapping masks asked of {card.name}, a model for {card.task} segmentation"
            raise _wrong(found, "a detector, whose objects may overlap", "Choose a detector: medseg models")
        return
    asked = [f"--split {options.split}"] if options.split in ("components", "watershed") else []
    asked += ["numbers for the watershed"] if options.splitting is not None else []
    asked += ["--save-maps"] if options.save_maps else []
    asked += ["--overlap"] if options.overlap is not None else []
    if asked:
        found = f"{' and '.join(asked)} with {card.name}, a detector, which makes objects and no maps"
        raise _wrong(found, "--split maskrcnn or none", "Leave it out, or choose another model: medseg models")


def _part_steps(volume: Volume, model: Model, options: SegmentOptions, device: torch.device) -> Steps[Prediction]:
    """Find the separate objects of an image, or of a part of it."""
    part = volume if options.roi is None else _cut(volume, options.roi)
    way = _detections_steps if model.card.task == "detection" else _objects_steps
    found = yield from way(part, model, options, device)
    if part is volume:
        return found
    objects = found.instances
    start = tuple(np.rint(volume.grid.index(part.grid.origin)).astype(int).tolist())
    placed = (
        None if objects is None else replace(objects, array=_placed(objects.array, volume, start), grid=volume.grid)
    )
    labels = replace(found.labels, array=_placed(found.labels.array, volume, start), grid=volume.grid)
    masks = tuple(replace(m, start=tuple(a + b for a, b in zip(m.start, start, strict=True))) for m in found.masks)
    return replace(found, labels=labels, instances=placed, masks=masks)


def _objects_steps(volume: Volume, model: Model, options: SegmentOptions, device: torch.device) -> Steps[Prediction]:
    from medseg.instance.predict import MapOptions
    from medseg.instance.segment import segment_instances_steps

    settings = MapOptions(options.diameter, options.tta, batch=options.batch, half=device.type == "cuda")
    if options.overlap is not None:
        settings = replace(settings, overlap=options.overlap)
    found = yield from segment_instances_steps(
        volume,
        model.network,
        model.card,
        options=settings,
        split=options.splitting,
        save_maps=options.save_maps,
        device=device,
    )
    if options.split in ("none", "components"):
        objects = yield from to_the_end(split_steps(found.labels, options.split, options=options.splitting))
        found = replace(found, instances=objects)
    return found


def _detections_steps(volume: Volume, model: Model, options: SegmentOptions, device: torch.device) -> Steps[Prediction]:
    from medseg.detection.segment import DetectOptions, segment_detections_steps

    chosen = DetectOptions(options.diameter, options.tta, device.type == "cuda", options.overlapping)
    found = yield from segment_detections_steps(volume, model.network, model.card, options=chosen, device=device)
    return replace(found, instances=None, masks=()) if options.split == "none" else found


def _cut(volume: Volume, roi: Box) -> Volume:
    from medseg.ops.reorient import cropped

    shape = volume.grid.shape
    fits = len(roi) == len(shape) and all(0 <= a < b <= n for (a, b), n in zip(roi, shape, strict=False))
    if not fits:
        found = f"the box {roi} for an image of {shape} voxels"
        raise _wrong(found, "start:stop within the image for every axis", "Correct --roi.")
    return cropped(volume, tuple(a for a, _ in roi), tuple(b - a for a, b in roi))


def _placed(array: npt.NDArray[Any], whole: Volume, start: tuple[int, ...]) -> npt.NDArray[Any]:
    """Return the numbers of a part in the whole image; 0 outside of it."""
    out = np.zeros(whole.grid.shape, array.dtype)
    out[tuple(slice(a, a + n) for a, n in zip(start, array.shape, strict=True))] = array
    return out


def _wrong(found: str, expected: str, remedy: str) -> UsageError:
    return UsageError("E_USAGE", found=found, expected=expected, not_done="nothing was segmented", remedy=remedy)
