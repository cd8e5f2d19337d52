"""Separate objects against references, image by image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from medseg.errors import InputError, MedsegError
from medseg.io.read import read_labels
from medseg.labels import Instances
from medseg.metrics.instances import instance_scores
from medseg.metrics.lesions import lesion_scores
from medseg.ops.agreement import require_same_grid
from medseg.progress import Pace, Progress, Steps
from medseg.workflow.evaluation_of_objects import ObjectCase, ObjectEvaluation
from medseg.workflow.pairs import Pair, Pairs, find_label_pairs

LESION_EDGES_MM3 = (10.0, 100.0, 1000.0)
"""Borders of the volume bands of lesions in a scan: 0.01, 0.1 and 1 ml."""
_STACK = 3


def evaluate_objects_steps(
    predictions: Path, references: Path, *, components: bool = False, size_edges: tuple[float, ...] = ()
) -> Steps[ObjectEvaluation]:
    """Compare separate objects with references; yields after each image.

    Parameters
    ----------
    predictions, references : path
        Two folders (with their sub-folders) or two files. ``NAME_instances`` or ``NAME`` on one side belongs to either
        on the other. A voxel's number is an object.
    components : bool
        The files hold masks or classes, ``NAME_labels`` among them: every connected part is one object.
    size_edges : tuple of float
        Ascending borders of the size bands, as area or volume in the grid's unit.

    Returns
    -------
    ObjectEvaluation
        A case whose files cannot be read or lie on different grids is listed as refused; the others go on.

    Raises
    ------
    UsageError
        If a path does not exist (E_USAGE).
    InputError
        If no pair is found (E_INPUT_EMPTY).
    """
    pairs = _pairs(Path(predictions), Path(references), components)
    pace = Pace("comparing", len(pairs.matched))
    yield Progress("comparing", 0, len(pairs.matched))
    cases = [ObjectCase(name, error=error) for name, error in pairs.ambiguous]
    for done, pair in enumerate(pairs.matched, start=1):
        cases.append(_compared(pair, components, size_edges))
        yield pace.at(done)
    cases.sort(key=lambda case: case.name)
    return ObjectEvaluation(tuple(cases), pairs.without_prediction, pairs.without_reference)


def _pairs(predictions: Path, references: Path, components: bool) -> Pairs:
    """Pair files by name; parts are looked for in ``NAME_labels`` first, then in what holds objects already."""
    if not components:
        return find_label_pairs(predictions, references, kind="instances")
    try:
        return find_label_pairs(predictions, references, kind="semantic")
    except InputError:
        return find_label_pairs(predictions, references, kind="instances")


def _compared(pair: Pair, components: bool, size_edges: tuple[float, ...]) -> ObjectCase:
    bare = ObjectCase(pair.name, str(pair.prediction), str(pair.reference))
    try:
        prediction, reference = (_objects(path, components) for path in (pair.prediction, pair.reference))
        require_same_grid(
            prediction.grid, reference.grid, what="prediction and reference", not_done="the case was not compared"
        )
        scores = instance_scores(prediction, reference, size_edges=size_edges)
        if reference.grid.ndim != _STACK or reference.grid.unit != "mm":
            return replace(bare, scores=scores)  # lesions are a matter of scans; their bands are in mm3
        edges = size_edges or LESION_EDGES_MM3
        return replace(bare, scores=scores, lesions=lesion_scores(prediction, reference, volume_edges=edges))
    except MedsegError as error:
        return replace(bare, error=error)


def _objects(path: Path, components: bool) -> Instances:
    labels = read_labels(path)
    if components:
        from medseg.instance.watershed import components as connected

        return connected(replace(labels, array=(np.asarray(labels.array) > 0).astype(np.uint8), classes={}))
    return Instances(labels.array, labels.grid, source=labels.source)
