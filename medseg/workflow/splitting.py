"""Objects from label images or saved maps, by the engine of a run: where other runs have a model, this has a rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt

from medseg import __version__
from medseg.errors import MedsegError, UsageError
from medseg.grid import Grid
from medseg.instance.choice import SplitChoice, settled
from medseg.instance.options import SplitOptions
from medseg.io.labels import as_labels
from medseg.labels import Instances, LabelMap
from medseg.models.bundle import load_bundle
from medseg.models.card import Architecture, InputSpec, ModelCard, Normalisation, TrainingData
from medseg.models.joined import in_order, joined_card, joined_sha256
from medseg.models.registry import find
from medseg.nets.backend import Backend
from medseg.ops.agreement import PAIR_TOLERANCE, require_same_grid
from medseg.pipeline import Split, split_steps
from medseg.prediction import Prediction
from medseg.progress import Steps
from medseg.volume import Volume
from medseg.workflow.hashing import digest_of_options
from medseg.workflow.inputs import Case
from medseg.workflow.names import check_distinct
from medseg.workflow.pairs import class_names_beside
from medseg.workflow.record import load_record, record_path

MAP_NAMES = frozenset({"foreground", "interior", "boundary", "distance"})
"""Channels by which maps of a model for objects are known."""
_ENDINGS = ("_labels", "_maps")


class LabelSplitter:
    """Separates the objects of label images and of saved maps; what it is told stands in its hash.

    Parameters
    ----------
    method : {"watershed", "components"}
    options : SplitOptions or SplitChoice, optional
        All or some numbers. Those of the model that made the maps stand for the others, where the record beside the
        maps names it and it is installed; else the usual ones.
    grid : Grid, optional
        Of the image that the labels or maps belong to: objects of maps are brought to it.
    """

    device = "cpu"
    backend: Backend | None = None

    def __init__(
        self, method: Split, options: SplitOptions | SplitChoice | None = None, *, grid: Grid | None = None
    ) -> None:
        if method == "none" or method == "maskrcnn":
            raise UsageError(
                "E_USAGE",
                found=f"method {method!r}",
                expected="watershed or components",
                not_done="no objects were separated",
                remedy="Choose one of these.",
            )
        self._method = method
        self._options = options
        self._grid = grid
        self.card = _card(method)
        numbers = settled(options, SplitOptions()).as_dict()
        self.members: tuple[tuple[ModelCard, str], ...] = ()
        self.folder_sha256 = digest_of_options({"method": method, "version": __version__, **numbers})

    def onto(self, grid: Grid) -> LabelSplitter:
        """Return the same for an image of this grid."""
        return LabelSplitter(self._method, self._options, grid=grid)

    def segment_steps(self, volume: Volume) -> Steps[Prediction]:
        """Separate the objects of one label image, or of maps.

        Raises
        ------
        InputError
            If the image holds neither labels nor maps.
        GeometryError
            If the image of the labels or maps lies elsewhere.
        """
        if MAP_NAMES.intersection(volume.channels):
            instances = yield from self._of_maps(volume)
            mask = (np.asarray(instances.array) > 0).astype(np.uint8)
            return Prediction(LabelMap(mask, instances.grid, instances.classes), instances=instances)
        labels = as_labels(volume)
        labels = replace(labels, classes=_names_of(labels))
        if self._grid is not None:
            require_same_grid(labels.grid, self._grid, what="labels and image", not_done="no objects were separated")
        parts = yield from split_steps(labels, self._method, options=self._options)
        return Prediction(labels, instances=parts)

    def _of_maps(self, maps: Volume) -> Steps[Instances]:
        options = settled(self._options, tuned_for(maps) or SplitOptions())
        elsewhere = self._grid is not None and not maps.grid.same_as(self._grid, tolerance=PAIR_TOLERANCE)
        if self._grid is None or not elsewhere:
            instances = yield from split_steps(maps, self._method, options=options)
            assert instances is not None
            return instances
        _check_same_extent(maps.grid, self._grid)
        from medseg.instance.segment import SPLIT_MAPS, instances_on_steps

        if not set(SPLIT_MAPS) <= set(maps.channels):
            what = "maps without background, interior, boundary and distance, and image"
            require_same_grid(maps.grid, self._grid, what=what, not_done="no objects were separated")
        found = yield from instances_on_steps(maps, self._grid, options)
        if self._method == "watershed":
            return replace(found, classes={1: "object"})
        mask = LabelMap((found.array > 0).astype(np.uint8), self._grid, {1: "object"})
        parts = yield from split_steps(mask, "components", options=options)
        assert parts is not None
        return parts


def tuned_for(maps: Volume) -> SplitOptions | None:
    """Return the numbers that were tuned for the model that made saved maps; None where it is not known."""
    if maps.source is None:
        return None
    from medseg.io.suffixes import split_suffix

    path = Path(maps.source.path)
    try:
        record = load_record(record_path(path.parent, _bare(split_suffix(path.name)[0])))
        names = [member.name for member in record.model.members] or [record.model.name]
        bundles = in_order(load_bundle(find(name)) for name in names)
        card = joined_card([bundle.card for bundle in bundles])
    except MedsegError:
        return None
    if joined_sha256([bundle.sha256 for bundle in bundles]) != record.model.sha256 or not card.split:
        return None
    from medseg.instance.segment import card_split

    return card_split(card, maps.grid)


def _check_same_extent(maps: Grid, image: Grid) -> None:
    """Refuse maps and an image that do not cover the same part of space; their steps may differ."""
    gap = PAIR_TOLERANCE * max(*image.spacing, *maps.spacing)
    alike = maps.space == image.space and maps.unit == image.unit and maps.ndim == image.ndim
    if alike and np.allclose(_outer_corners(maps), _outer_corners(image), rtol=0, atol=gap):
        return
    require_same_grid(maps, image, what="maps and image", not_done="no objects were separated")


def _outer_corners(grid: Grid) -> npt.NDArray[np.float64]:
    """Return the corners of a grid, at the outer edges of its voxels."""
    ends = product(*((-0.5, n - 0.5) for n in grid.shape))
    return grid.world(np.array(list(ends)))


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
