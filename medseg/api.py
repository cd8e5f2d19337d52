"""The public doors for programs: each is one call with convenient arguments around the room that does the work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medseg.progress import Progress, finish

if TYPE_CHECKING:
    import pandas as pd

    from medseg.labels import LabelMap
    from medseg.models.card import ModelCard
    from medseg.planning import Plan
    from medseg.prediction import Prediction
    from medseg.volume import Volume
    from medseg.workflow.evaluate import Evaluation
    from medseg.workflow.evaluation_of_objects import ObjectEvaluation

Show = Callable[[Progress], object]
"""Receives each step of long work; an exception raised in it cancels the work."""


def segment(
    volume: Volume,
    model: str | Sequence[str] = "hippocampus",
    *,
    device: str = "auto",
    backend: str = "auto",
    tta: bool = False,
    show: Show | None = None,
) -> Prediction:
    """Segment one image in memory; nothing is written.

    Parameters
    ----------
    volume : Volume
        As `medseg.read` returns it.
    model : str or sequence of str
        Name of a model, or the path of a model folder; several answer as one, their answers averaged.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    backend : {"auto", "torch", "openvino", "openvino-bf16"}
        What computes on the CPU; auto takes OpenVINO where it is installed and agrees with PyTorch.
    tta : bool
        Predict mirrored copies too and average: slower, a little better.
    show : callable, optional
        Receives each `Progress`.

    Returns
    -------
    Prediction
        Its labels lie on the grid of `volume`.

    Raises
    ------
    ModelError
        If the model folder is refused.
    InputError
        If the image does not suit the model.
    """
    from medseg.pipeline import SegmentOptions, load_model, segment_steps

    loaded = load_model(model, device=device, backend=backend)
    return finish(segment_steps(volume, loaded, SegmentOptions(device=device, tta=tta)), show)


def measure(labels: LabelMap, image: Volume | None = None) -> pd.DataFrame:
    """Measure every structure of a label image; see `medseg.measure.measure`."""
    from medseg.measure import measure as measured

    return measured(labels, image)


def evaluate(
    predictions: str | Path, references: str | Path, *, kind: str = "semantic", show: Show | None = None
) -> Evaluation | ObjectEvaluation:
    """Compare predicted label images with reference label images.

    Parameters
    ----------
    predictions, references : path-like
        Two files, or two folders: NAME, NAME_labels or NAME_instances is paired with NAME.
    kind : {"semantic", "instances"}
        What a voxel's number means: a class, or an object.
    show : callable, optional
        Receives each `Progress`.

    Returns
    -------
    Evaluation or ObjectEvaluation
        ``as_dict()`` gives plain data for JSON.
    """
    if kind == "instances":
        from medseg.workflow.evaluate_objects import evaluate_objects_steps

        return finish(evaluate_objects_steps(Path(predictions), Path(references)), show)
    from medseg.workflow.evaluate import evaluate_steps

    return finish(evaluate_steps(Path(predictions), Path(references), kind=kind), show)


def models() -> tuple[ModelCard, ...]:
    """Return the cards of the models that are built in and of those of the user."""
    from medseg.models.registry import listed

    return listed()


def plan(dataset: str | Path, *, name: str | None = None, show: Show | None = None) -> Plan:
    """Look at every case of a data set and plan a training.

    Parameters
    ----------
    dataset : path-like
        ``images/`` and ``labels/`` with equal names, or an MSD or nnU-Net folder.
    name : str, optional
        Name of the future model; the folder's name when not given.
    show : callable, optional
        Receives each `Progress`.
    """
    from medseg.io.dataset import find_pairs
    from medseg.planning import PlanOptions, plan_steps

    folder = Path(dataset)
    options = PlanOptions(name=name or folder.resolve().name)
    return finish(plan_steps(find_pairs(folder), options=options), show)


def train(
    dataset: str | Path,
    out: str | Path,
    *,
    task: str = "semantic",
    minutes: float | None = None,
    epochs: int | None = None,
    show: Show | None = None,
    **choices: Any,
) -> Path:
    """Train a model and return its folder.

    Parameters
    ----------
    dataset : path-like
        ``images/`` and ``labels/`` with equal names, or an MSD or nnU-Net folder.
    out : path-like
        The model folder to make.
    task : {"semantic", "instance", "detection"}
        Name the tissue of every voxel; separate objects that are numbered in the labels; find them one by one.
    minutes, epochs : float, int
        The budget; exactly one of them.
    show : callable, optional
        Receives each `Progress`.
    **choices
        Any other field of `medseg.training.options.TrainOptions`, such as ``seed`` or ``device``.
    """
    from medseg.io.dataset import find_pairs
    from medseg.training.options import TrainOptions

    if task == "instance":
        from medseg.instance.train import train_steps
    elif task == "detection":
        from medseg.detection.train import train_steps
    else:
        from medseg.semantic.train import train_steps
    choices.setdefault("name", Path(out).name)
    options = TrainOptions(minutes=minutes, epochs=epochs, **choices)
    return finish(train_steps(find_pairs(Path(dataset)), Path(out), options=options), show)
