"""One pair in memory: the same scores as of files, and the worst places where they are."""

import numpy as np
import pytest

from medseg.errors import GeometryError, UsageError
from medseg.labels import Instances, LabelMap
from medseg.metrics.instances import instance_scores
from medseg.progress import finish
from medseg.workflow.comparing import compare_steps
from medseg.workflow.evaluate import evaluate


@pytest.fixture
def pair(oblique_grid):
    truth = np.zeros(oblique_grid.shape, np.uint8)
    truth[1:6, 1:6, 1:4] = 1
    truth[7:10, 5:8, 3:6] = 4
    found = np.roll(truth, 1, axis=1)
    found[9:, 7:, 5:] = 0
    found[0, 0, 6] = 4
    names = {1: "liver", 4: "lesion"}
    return LabelMap(found, oblique_grid, names), LabelMap(truth, oblique_grid, names)


def test_structures_have_the_scores_of_evaluate_and_the_largest_errors_first(pair, tmp_path):
    from medseg.io.write import write

    result = finish(compare_steps(*pair))
    for name, labels in zip(("prediction", "reference"), pair, strict=True):
        write(labels, tmp_path / f"{name}.nii.gz")
    (case,) = evaluate(tmp_path / "prediction.nii.gz", tmp_path / "reference.nii.gz").cases
    for mine, theirs in zip(result.classes, case.classes.values(), strict=True):
        assert (mine.dice, mine.nsd) == pytest.approx((theirs.dice, theirs.nsd))
        assert mine.hd95_mm == pytest.approx(theirs.hd95_mm, rel=1e-4)
    sizes = [place.size for place in result.worst]
    assert sizes == sorted(sizes, reverse=True)
    assert {place.what for place in result.worst} == {"missed", "false alarm"}
    alone = next(place for place in result.worst if place.box == (slice(0, 1), slice(0, 1), slice(6, 7)))
    assert (alone.what, alone.name) == ("false alarm", "lesion")
    assert alone.size == pytest.approx(pair[1].grid.voxel_size)
    worst = result.worst[0]
    assert (result.difference.array[worst.box] > 1).any()


def test_objects_have_the_scores_of_the_metrics_and_each_place_its_box(pair):
    result = finish(compare_steps(*pair, kind="instances"))
    found, truth = (Instances(m.array, m.grid) for m in pair)
    assert result.objects == instance_scores(found, truth)
    assert not result.classes
    for place in result.worst:
        side, number = (truth, place.reference_id) if place.what != "false alarm" else (found, place.prediction_id)
        assert (side.array[place.box] == number).any()


def test_different_grids_and_unknown_kinds_are_refused_in_words(pair):
    found, truth = pair
    moved = LabelMap(found.array[1:], found.grid.cropped((1, 0, 0), found.array[1:].shape))
    with pytest.raises(GeometryError, match="shape"):
        finish(compare_steps(moved, truth))
    with pytest.raises(UsageError, match="kind"):
        finish(compare_steps(found, truth, kind="other"))
