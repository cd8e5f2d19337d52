"""What a run is told, and what it segments with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from medseg.instance.choice import SplitChoice
from medseg.instance.options import SplitOptions
from medseg.io.options import ReadOptions
from medseg.measure.positive import Positive
from medseg.models.card import ModelCard
from medseg.nets.backend import Asked, Backend
from medseg.prediction import Prediction
from medseg.progress import Steps
from medseg.volume import Volume
from medseg.workflow.hashing import digest_of_options

Split = Literal["none", "components", "watershed", "maskrcnn"]

LABEL_SUFFIXES = {"nii.gz": ".nii.gz", "nii": ".nii", "nrrd": ".nrrd", "mha": ".mha", "tif": ".tif", "png": ".png"}
"""Formats of label images that may be asked for, and their suffixes."""


def counting_model(split: str | None) -> str:
    """Return the model that counts where none is named.

    Examples
    --------
    >>> counting_model("maskrcnn")
    'nuclei_maskrcnn'
    """
    return "nuclei_maskrcnn" if split == "maskrcnn" else "nuclei"


def one_or_several(names: Sequence[str]) -> str | tuple[str, ...]:
    """Return a single name as text, and several together.

    Examples
    --------
    >>> one_or_several(["a"]), one_or_several(["a", "b"])
    ('a', ('a', 'b'))
    """
    return names[0] if len(names) == 1 else tuple(names)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options of a run over many inputs.

    Parameters
    ----------
    model : str or tuple of str
        Name of a model, or the path of a model folder; several answer as one.
    read : ReadOptions
        What the user says about the files.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    backend : {"auto", "torch", "openvino", "openvino-bf16"}
        What computes the network.
    tta : bool
        Predict mirrored copies too and average.
    overlap : float, optional
        Share of a tile that its neighbour covers too; what suits the task when not given.
    roi : tuple of (start, stop) pairs, optional
        Box in voxels of the input to restrict the work to.
    batch : int
        Tiles per forward pass.
    save_maps : bool
        Keep the probability maps beside the labels.
    split : {"none", "components", "watershed", "maskrcnn"}, optional
        How objects are separated; what the model's card says when not given.
    splitting : SplitOptions or SplitChoice, optional
        All or some numbers of the splitting, in the unit of the image; the model's card says the others.
    diameter : float, optional
        Median diameter of the objects in the unit of the image, for models that look for one size; else estimated.
    positive : Positive, optional
        Tell positive objects from negative ones by a stain or a channel.
    image : Path, optional
        The image that label images or maps belong to, or a folder of such images; only with `only_objects`.
    only_objects : bool
        Write no label map and no table of structures: the input is a label map itself.
    counts : bool
        Objects are what is wanted: a semantic model's labels are split too, and the run ends with report.html.
    format : str, optional
        One of `LABEL_SUFFIXES`; by default the labels have the format of the input.
    resume : bool
        Keep results whose record matches input, model, options and files; do the rest.
    overwrite : bool
        Replace results that are there.
    strict : bool
        Let warnings count in the exit code.
    """

    model: str | tuple[str, ...] = "hippocampus"
    read: ReadOptions = field(default_factory=ReadOptions)
    device: str = "auto"
    backend: Asked = "auto"
    tta: bool = False
    overlap: float | None = None
    roi: tuple[tuple[int, int], ...] | None = None
    batch: int = 1
    save_maps: bool = False
    split: Split | None = None
    splitting: SplitOptions | SplitChoice | None = None
    diameter: float | None = None
    positive: Positive | None = None
    image: Path | None = None
    only_objects: bool = False
    counts: bool = False
    format: str | None = None
    resume: bool = False
    overwrite: bool = False
    strict: bool = False

    def as_recorded(self) -> dict[str, Any]:
        """Return, as plain data, the options that a result depends on; the model is recorded by its hash."""
        read = asdict(self.read)
        del read["max_bytes"]  # decides whether a file is read, never what is read
        if read["pixel_size"] is not None:
            read["pixel_size"] = list(read["pixel_size"])
        roi = None if self.roi is None else [list(pair) for pair in self.roi]
        plain = {name: getattr(self, name) for name in ("device", "tta", "batch", "save_maps", "format")}
        # what was not asked for is not written down, so that results of earlier versions can still be resumed
        added: dict[str, Any] = {
            "backend": None if self.backend == "auto" else self.backend,
            "overlap": self.overlap,
            "split": self.split,
            "diameter": self.diameter,
            "only_objects": self.only_objects or None,
            "counts": self.counts or None,
            "with_image": True if self.image is not None else None,  # its bytes stand among the input files
        }
        added["splitting"] = None if self.splitting is None else self.splitting.as_dict()
        added["positive"] = None if self.positive is None else asdict(self.positive)
        return {**plain, "roi": roi, "read": read, **{k: v for k, v in added.items() if v is not None}}


class Segmenter(Protocol):
    """A loaded model that segments one image after another."""

    @property
    def card(self) -> ModelCard:
        """What the model is and takes."""

    @property
    def folder_sha256(self) -> str:
        """Hash of the model folder as it was loaded."""

    @property
    def members(self) -> tuple[tuple[ModelCard, str], ...]:
        """Card and hash of each model where several answer as one; else nothing."""

    @property
    def device(self) -> str:
        """Device that the work runs on."""

    @property
    def backend(self) -> Backend | None:
        """What computes the network now; None where there is none."""

    def segment_steps(self, volume: Volume) -> Steps[Prediction]:
        """Segment one image."""


@dataclass(frozen=True, slots=True)
class RunContext:
    """What all cases of a run share."""

    out: Path
    run_id: str
    options: RunOptions
    segmenter: Segmenter

    @property
    def options_sha256(self) -> str:
        """Hash of the options that a result depends on."""
        return digest_of_options(self.options.as_recorded())


def load_segmenter(options: RunOptions) -> Segmenter:
    """Load the model that `options` name.

    Raises
    ------
    ModelError
        If the model folder is refused.
    UsageError
        If the model cannot do what is asked of it.
    """
    from medseg.pipeline import SegmentOptions, check_split, load_model

    model = load_model(options.model, device=options.device, backend=options.backend)
    by_default: Split | None = "watershed" if options.counts and model.card.task == "semantic" else None
    chosen = SegmentOptions(
        device=options.device,
        tta=options.tta,
        overlap=options.overlap,
        roi=options.roi,
        save_maps=options.save_maps,
        batch=options.batch,
        split=options.split or by_default,
        splitting=options.splitting,
        diameter=options.diameter,
    )
    check_split(model.card, chosen)
    return _PipelineSegmenter(model, chosen)


class _PipelineSegmenter:
    """The natural path with its model and options."""

    def __init__(self, model: Any, options: Any) -> None:
        self._model = model
        self._options = options

    @property
    def card(self) -> ModelCard:
        card: ModelCard = self._model.card
        return card

    @property
    def folder_sha256(self) -> str:
        return str(self._model.folder_sha256)

    @property
    def members(self) -> tuple[tuple[ModelCard, str], ...]:
        members: tuple[tuple[ModelCard, str], ...] = self._model.members
        return members

    @property
    def device(self) -> str:
        return str(self._model.device)

    @property
    def backend(self) -> Backend | None:
        backend: Backend | None = self._model.computed_by
        return backend

    def segment_steps(self, volume: Volume) -> Steps[Prediction]:
        from medseg.pipeline import segment_steps

        return segment_steps(volume, self._model, self._options)
