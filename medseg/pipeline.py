"""The natural path in one function: an image and a model give labels, objects and maps. Nothing is written here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from medseg.errors import UsageError
from medseg.labels import Instances, LabelMap
from medseg.models.bundle import load_bundle
from medseg.models.card import ModelCard
from medseg.models.registry import find
from medseg.prediction import Prediction
from medseg.progress import Steps
from medseg.volume import Volume

if TYPE_CHECKING:
    import torch
    from torch import nn

    from medseg.instance.options import SplitOptions

Box = tuple[tuple[int, int], ...]
Split = Literal["none", "components", "watershed"]


@dataclass(frozen=True, slots=True)
class SegmentOptions:
    """How images are segmented.

    Parameters
    ----------
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    tta : bool
        Average over mirrored images; slower, a little better.
    roi : box, optional
        (start, stop) voxel indices along each axis of the image as stored.
    save_maps : bool
        Keep the probabilities.
    batch : int
        Tiles per call of the network.
    split : {"none", "components", "watershed"}, optional
        How objects are separated; by default a model for objects uses the watershed and a semantic one nothing.
    splitting : SplitOptions, optional
        Numbers of the splitting, in the unit of the image; by default those of the model's card.
    diameter : float, optional
        Median diameter of the objects in the unit of the image, for models of objects; estimated when not given.

    Raises
    ------
    UsageError
        If the way to separate objects is unknown or the diameter is not above 0.
    """

    device: str = "auto"
    tta: bool = False
    roi: Box | None = None
    save_maps: bool = False
    batch: int = 1
    split: Split | None = None
    splitting: SplitOptions | None = None
    diameter: float | None = None

    def __post_init__(self) -> None:
        if self.split is not None and self.split not in get_args(Split):
            raise _wrong(f"--split {self.split!r}", " or ".join(get_args(Split)), "Choose one of these for --split.")
        if self.diameter is not None and not 0 < self.diameter < float("inf"):
            raise _wrong(f"--diameter {self.diameter}", "a length above 0", "Correct --diameter, or leave it out.")


@dataclass(frozen=True, eq=False, slots=True)
class Model:
    """A model that is loaded and ready: its card, its identity, its network and where that runs."""

    card: ModelCard
    folder_sha256: str
    network: nn.Module
    device: str


def load_model(name_or_path: str, *, device: str = "auto") -> Model:
    """Load a model once, to segment many images with it.

    Parameters
    ----------
    name_or_path : str
        Name of an embedded or added model, or a model folder.
    device : str

    Raises
    ------
    ModelError
        If there is no such model or its folder cannot be trusted.
    UsageError
        If the device is not there.
    """
    bundle = load_bundle(find(name_or_path))
    if bundle.card.task not in ("semantic", "instance"):
        raise UsageError(
            "E_USAGE",
            path=bundle.path,
            found=f"a model for {bundle.card.task} segmentation",
            expected="a model for semantic segmentation or for separate objects",
            not_done="it was not loaded",
            remedy="Choose another model: medseg models",
        )
    from medseg.learn.weights import load_network
    from medseg.nets.device import choose

    chosen = choose(device)
    return Model(bundle.card, bundle.sha256, load_network(bundle).to(chosen), str(chosen))


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
    import torch

    chosen = options or SegmentOptions()
    device = torch.device(model.device)
    if model.card.task == "instance":
        return (yield from _objects_steps(volume, model, chosen, device))
    if chosen.diameter is not None:
        remedy = "Leave out --diameter, or choose a model for objects: medseg models"
        raise _wrong("--diameter with a semantic model", "a model that looks for objects of one size", remedy)
    from medseg.semantic.predict import PredictOptions, predict_steps

    settings = PredictOptions(
        tta=chosen.tta,
        roi=chosen.roi,
        save_maps=chosen.save_maps,
        batch=chosen.batch,
        half=device.type == "cuda",
    )
    prediction = yield from predict_steps(volume, model.network, model.card, options=settings, device=device)
    instances = yield from split_steps(prediction.labels, chosen.split or "none", options=chosen.splitting)
    return replace(prediction, instances=instances)


def split_steps(
    source: LabelMap | Volume, method: Split = "watershed", *, options: SplitOptions | None = None
) -> Steps[Instances | None]:
    """Separate the objects of a label map, each class by itself, or of the maps of a model for objects.

    Parameters
    ----------
    source : LabelMap or Volume
        Labels, or named maps.
    method : {"none", "components", "watershed"}
        Nothing; connected parts; touching objects apart too.
    options : SplitOptions, optional

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

    if method not in get_args(Split):
        raise _wrong(f"--split {method!r}", " or ".join(get_args(Split)), "Choose one of these for --split.")
    if method == "none":
        return None
    chosen = options or watershed.DEFAULTS
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


def _objects_steps(volume: Volume, model: Model, options: SegmentOptions, device: torch.device) -> Steps[Prediction]:
    """Find the separate objects of an image, or of a part of it."""
    from medseg.instance.predict import MapOptions
    from medseg.instance.segment import segment_instances_steps

    part = volume if options.roi is None else _cut(volume, options.roi)
    found = yield from segment_instances_steps(
        part,
        model.network,
        model.card,
        options=MapOptions(options.diameter, options.tta, batch=options.batch, half=device.type == "cuda"),
        split=options.splitting,
        save_maps=options.save_maps,
        device=device,
    )
    if options.split in ("none", "components"):
        objects = yield from split_steps(found.labels, options.split, options=options.splitting)
        found = replace(found, instances=objects)
    if part is volume:
        return found
    objects = found.instances
    placed = None if objects is None else replace(objects, array=_placed(objects.array, volume, part), grid=volume.grid)
    labels = replace(found.labels, array=_placed(found.labels.array, volume, part), grid=volume.grid)
    return replace(found, labels=labels, instances=placed)


def _cut(volume: Volume, roi: Box) -> Volume:
    from medseg.ops.reorient import cropped

    shape = volume.grid.shape
    fits = len(roi) == len(shape) and all(0 <= a < b <= n for (a, b), n in zip(roi, shape, strict=False))
    if not fits:
        found = f"the box {roi} for an image of {shape} voxels"
        raise _wrong(found, "start:stop within the image for every axis", "Correct --roi.")
    return cropped(volume, tuple(a for a, _ in roi), tuple(b - a for a, b in roi))


def _placed(array: npt.NDArray[Any], whole: Volume, part: Volume) -> npt.NDArray[Any]:
    """Return the numbers of a part in the whole image; 0 outside of it."""
    out = np.zeros(whole.grid.shape, array.dtype)
    start = np.rint(whole.grid.index(part.grid.origin)).astype(int)
    out[tuple(slice(a, a + n) for a, n in zip(start, part.grid.shape, strict=True))] = array
    return out


def _wrong(found: str, expected: str, remedy: str) -> UsageError:
    return UsageError("E_USAGE", found=found, expected=expected, not_done="nothing was segmented", remedy=remedy)
