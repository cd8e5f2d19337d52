"""Objects from label images or saved maps, by the engine of a run: where other runs have a model, this has a rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from medseg import __version__
from medseg.errors import UsageError
from medseg.instance.options import SplitOptions
from medseg.io.labels import as_labels
from medseg.labels import LabelMap
from medseg.models.card import Architecture, InputSpec, ModelCard, Normalisation, TrainingData
from medseg.pipeline import Split, split_steps
from medseg.prediction import Prediction
from medseg.progress import Steps
from medseg.volume import Volume
from medseg.workflow.hashing import digest_of_options
from medseg.workflow.inputs import Case
from medseg.workflow.names import check_distinct
from medseg.workflow.pairs import class_names_beside

MAP_NAMES = frozenset({"foreground", "interior", "boundary", "distance"})
"""Channels by which maps of a model for objects are known."""
_ENDINGS = ("_labels", "_maps")


class LabelSplitter:
    """Separates the objects of label images and of saved maps; what it is told stands in its hash.

    Parameters
    ----------
    method : {"watershed", "components"}
    options : SplitOptions
    """

    device = "cpu"

    def __init__(self, method: Split, options: SplitOptions) -> None:
        if method == "none":
            raise UsageError(
                "E_USAGE",
                found="method 'none'",
                expected="watershed or components",
                not_done="no objects were separated",
                remedy="Choose one of these.",
            )
        self._method = method
        self._options = options
        self.card = _card(method)
        self.folder_sha256 = digest_of_options({"method": method, "version": __version__, **options.as_dict()})

    def segment_steps(self, volume: Volume) -> Steps[Prediction]:
        """Separate the objects of one label image, or of maps.

        Raises
        ------
        InputError
            If the image holds neither labels nor maps.
        """
        if MAP_NAMES.intersection(volume.channels):
            instances = yield from split_steps(volume, self._method, options=self._options)
            assert instances is not None
            mask = (np.asarray(instances.array) > 0).astype(np.uint8)
            return Prediction(LabelMap(mask, volume.grid, instances.classes), instances=instances)
        labels = as_labels(volume)
        labels = replace(labels, classes=_names_of(labels))
        instances = yield from split_steps(labels, self._method, options=self._options)
        return Prediction(labels, instances=instances)


def named_after_images(cases: Sequence[Case]) -> tuple[Case, ...]:
    """Return the cases with the names of their images: ``scan_labels`` becomes ``scan``.

    Raises
    ------
    UsageError
        E_OUTPUT_COLLISION if two then share a name.
    """
    named = tuple(replace(case, name=_bare(case.name), full_name=_bare(case.full_name)) for case in cases)
    check_distinct((case.name, str(case.files[0])) for case in named)
    return named


def _bare(name: str) -> str:
    for ending in _ENDINGS:
        if name.endswith(ending) and len(name) > len(ending):
            return name.removesuffix(ending)
    return name


def _names_of(labels: LabelMap) -> dict[int, str]:
    if labels.source is None:
        return {}
    from medseg.io.suffixes import split_suffix

    path = Path(labels.source.path)
    return class_names_beside(path, _bare(split_suffix(path.name)[0]))


def _card(method: str) -> ModelCard:
    nothing = TrainingData(name="none", licence="none", attribution="none", n_cases=0, notes="A rule, not a network.")
    return ModelCard(
        name=f"split-{method}",
        version=".".join((*__version__.split(".")[:2], "0")),
        task="instance",
        summary="Separates the objects of a label image or of saved maps; no network takes part.",
        architecture=Architecture(name=method),
        input=InputSpec(
            channels=("labels",),
            space="image",
            unit="px",
            patch=(1, 1),
            normalisation=Normalisation(scheme="percentile"),
        ),
        classes={1: "object"},
        outputs=("instances",),
        weights_sha256="0" * 64,
        licence="Apache-2.0",
        training_data=nothing,
    )
