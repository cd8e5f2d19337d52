"""The natural path in one function: an image and a model give labels and maps. Nothing is written here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from medseg.errors import UsageError
from medseg.models.bundle import load_bundle
from medseg.models.card import ModelCard
from medseg.models.registry import find
from medseg.prediction import Prediction
from medseg.progress import Steps
from medseg.volume import Volume

if TYPE_CHECKING:
    from torch import nn

Box = tuple[tuple[int, int], ...]


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
    """

    device: str = "auto"
    tta: bool = False
    roi: Box | None = None
    save_maps: bool = False
    batch: int = 1


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
    if bundle.card.task != "semantic":
        raise UsageError(
            "E_USAGE",
            path=bundle.path,
            found=f"a model for {bundle.card.task} segmentation",
            expected="a semantic model",
            not_done="it was not loaded",
            remedy="Choose another model: medseg models",
        )
    from medseg.nets.device import choose
    from medseg.semantic.model import load_network

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
        Labels on the grid of `volume`, and warnings about the image and the run.
    """
    import torch

    from medseg.semantic.predict import PredictOptions, predict_steps

    chosen = options or SegmentOptions()
    device = torch.device(model.device)
    settings = PredictOptions(
        tta=chosen.tta,
        roi=chosen.roi,
        save_maps=chosen.save_maps,
        batch=chosen.batch,
        half=device.type == "cuda",
    )
    return (yield from predict_steps(volume, model.network, model.card, options=settings, device=device))
