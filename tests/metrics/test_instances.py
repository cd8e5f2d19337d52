import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from medseg.errors import GeometryError
from medseg.grid import image_grid
from medseg.labels import Instances, Segment
from medseg.metrics.contingency import contingency
from medseg.metrics.instances import (
    THRESHOLDS,
    image_mean,
    instance_scores,
    panoptic_scores,
    pooled,
    pooled_panoptic,
)
from medseg.metrics.matching import match


def objects(array, spacing=None, segments=()):
    array = np.asarray(array)
    return Instances(array, image_grid(array.shape, spacing or (1.0,) * array.ndim, "um"), segments)


def overlaps(a, b):
    """Compare every object with every other, mask by mask."""
    ids_a, ids_b = ([i for i in np.unique(x) if i] for x in (a, b))
    shared = np.array([[np.sum((a == i) & (b == j)) for j in ids_b] for i in ids_a]).reshape(len(ids_a), len(ids_b))
    either = np.array([[np.sum((a == i) | (b == j)) for j in ids_b] for i in ids_a]).reshape(len(ids_a), len(ids_b))
    return shared, shared / np.maximum(either, 1), ids_a, ids_b


def slow_true_positives(iou, threshold):
    """Count matches by one assignment over the full table, as StarDist's definition says."""
    if not iou.size:
        return 0
    good = iou >= threshold
    rows, columns = linear_sum_assignment(-good.astype(float) - iou / (2 * min(iou.shape)))
    return int(good[rows, columns].sum())


def slow_aji(a, b):
    shared, iou, ids_a, ids_b = overlaps(a, b)
    top, bottom, used = 0, 0, set()
    for j, number in enumerate(ids_b):
        size = np.sum(b == number)
        best = int(np.argmax(iou[:, j])) if len(ids_a) else 0
        if not len(ids_a) or iou[best, j] == 0:
            bottom += size
            continue
        used.add(best)
        top += shared[best, j]
        bottom += size + np.sum(a == ids_a[best]) - shared[best, j]
    bottom += sum(np.sum(a == i) for k, i in enumerate(ids_a) if k not in used)
    return top, bottom


labels = st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).integers(0, 6, (2, 7, 8)) * np.array([1, 40_000])[seed % 2]
)


@settings(max_examples=60, deadline=None)
@given(labels, labels, st.booleans())
def test_matches_equal_those_of_a_slow_independent_reference(a, b, alike):
    b = np.where(b % 3 == 0, a, b) if alike else b
    scores = instance_scores(objects(a), objects(b), thresholds=(0.1, 0.3, *THRESHOLDS))
    shared, iou, ids_a, ids_b = overlaps(a, b)
    for at in scores.at:
        assert at.true_positives == slow_true_positives(iou, at.threshold)
        assert at.true_positives + at.false_positives == len(ids_a) == scores.n_prediction
        assert at.true_positives + at.false_negatives == len(ids_b) == scores.n_reference
    assert (scores.aji_shared, scores.aji_union) == slow_aji(a, b)
    assert scores.panoptic.true_positives == (iou > 0.5).sum()
    assert scores.panoptic.iou_sum == pytest.approx(iou[iou > 0.5].sum())
    size_a, size_b = (np.array([np.sum(x == i) for i in ids]) for x, ids in ((a, ids_a), (b, ids_b)))
    assert scores.merges == ((2 * shared > size_b[None, :]).sum(axis=1) > 1).sum()
    assert scores.splits == ((2 * shared > size_a[:, None]).sum(axis=0) > 1).sum()


@settings(max_examples=40, deadline=None)
@given(labels, labels)
def test_the_contingency_equals_a_count_of_masks(a, b):
    table = contingency(objects(a), objects(b))
    shared, iou, ids_a, ids_b = overlaps(a, b)
    assert table.prediction_ids.tolist() == ids_a
    assert table.reference_ids.tolist() == ids_b
    dense = np.zeros(shared.shape, int)
    dense[table.rows, table.columns] = table.shared
    assert np.array_equal(dense, shared)
    assert table.prediction_voxels.tolist() == [np.sum(a == i) for i in ids_a]
    np.testing.assert_allclose(iou[table.rows, table.columns], table.iou)


def test_a_case_worked_by_hand():
    truth = [[1, 1, 1, 1, 0, 2, 2, 2, 2, 0, 3, 3, 0, 0, 4, 4, 4, 4]]
    found = [[5, 5, 5, 0, 0, 6, 6, 7, 7, 0, 8, 8, 8, 8, 0, 0, 0, 9]]
    scores = instance_scores(objects(found), objects(truth))
    # IoU: 5-1 3/4; 6-2 and 7-2 1/2 each, one of them matches; 8-3 1/2; 9-4 1/4
    assert [at.true_positives for at in scores.at] == [3, 1, 1, 1, 1, 1, 0, 0, 0, 0]
    first = scores.at[0]
    assert (first.precision, first.recall, first.ap) == (3 / 5, 3 / 4, 3 / 6)
    assert first.f1 == pytest.approx(2 * 3 / (5 + 4))
    assert (scores.count_error, scores.relative_count_error) == (1, 0.25)
    assert scores.mean_ap == pytest.approx((3 / 6 + 5 * 1 / 8) / 10)
    assert scores.panoptic.pq == pytest.approx(0.75 / (1 + 4 / 2 + 3 / 2))  # one match above one half
    assert (scores.merges, scores.splits) == (0, 1)
    # shared 3 + 2 + 2 + 1; unions 4 + 4 + 4 + 4; object 7 was no one's best
    assert scores.aji == pytest.approx(8 / (16 + 2))


def test_merges_and_splits_are_counted():
    truth = [[1, 1, 1, 2, 2, 2, 0, 3, 3, 3, 3]]
    found = [[7, 7, 7, 7, 7, 7, 0, 4, 4, 5, 5]]
    scores = instance_scores(objects(found), objects(truth))
    assert (scores.merges, scores.splits) == (1, 1)


def test_what_is_not_defined_is_none_and_left_out_of_means():
    nothing, one = objects(np.zeros((3, 4), int)), objects(np.eye(3, 4, dtype=int))
    neither, missed, false, right = (
        instance_scores(a, b) for a, b in ((nothing, nothing), (nothing, one), (one, nothing), (one, one))
    )
    assert set(neither.values().values()) == {None}
    assert (missed.at[0].ap, missed.at[0].recall, missed.at[0].precision) == (0.0, 0.0, None)
    assert (false.at[0].ap, false.at[0].recall, false.relative_count_error) == (0.0, None, None)
    assert right.mean_ap == right.aji == right.panoptic.pq == 1.0
    mean = image_mean([neither, missed, right])["ap_50"]
    assert (mean.value, mean.n) == (0.5, 2)


def test_pooled_and_image_mean_are_different_things():
    many = np.arange(1, 21).reshape(1, 20).repeat(2, 0)
    good = instance_scores(objects(many), objects(many), size_edges=(1.0,))
    bad = instance_scores(objects([[0, 0]]), objects([[1, 2]]), size_edges=(1.0,))
    both = pooled([good, bad])
    assert both.at[0].ap == pytest.approx(20 / 22)
    assert image_mean([good, bad])["ap_50"].value == 0.5
    assert (both.n_reference, both.absolute_count_error, both.panoptic.false_negatives) == (22, 2, 2)
    assert [b.n_reference for b in both.bands] == [0, 22]


def test_errors_of_two_images_in_number_do_not_cancel():
    one, two = objects([[1, 0, 0]]), objects([[1, 0, 2]])
    both = pooled([instance_scores(one, two), instance_scores(two, one)])
    assert (both.count_error, both.absolute_count_error) == (0, 2)


def test_recall_by_size_is_in_the_unit_of_the_grid():
    truth = np.zeros((2, 9), int)
    truth[:, :1], truth[:, 2:5], truth[:, 6:9] = 1, 2, 3
    found = np.where(truth == 3, 0, truth)
    scores = instance_scores(objects(found, (0.5, 2.0)), objects(truth, (0.5, 2.0)), size_edges=(2.0, 6.0))
    bands = [(b.low, b.high, b.n_reference, b.recall) for b in scores.bands]
    assert bands == [(0.0, 2.0, 0, None), (2.0, 6.0, 1, 1.0), (6.0, float("inf"), 2, 0.5)]


def test_stuff_is_not_counted_as_an_object():
    array = np.array([[1, 1, 2, 2, 3, 3]])
    stuff = objects(array, segments=(Segment(1), Segment(2), Segment(3, 2, is_thing=False)))
    assert instance_scores(stuff, stuff).n_reference == 2


def test_panoptic_quality_is_taken_class_by_class():
    segments = (Segment(1, 1), Segment(2, 1), Segment(3, 2, is_thing=False))
    truth = objects([[1, 1, 2, 2, 2, 2, 3, 3, 3, 3]], segments=segments)
    found = objects([[1, 1, 3, 3, 3, 2, 3, 3, 3, 3]], segments=segments)
    scores = panoptic_scores(found, truth)
    assert scores[1].pq == pytest.approx(1 / (1 + 1 / 2 + 1 / 2))
    assert (scores[2].sq, scores[2].rq) == (pytest.approx(4 / 7), 1.0)
    twice = pooled_panoptic([scores[1], scores[1]])
    assert (twice.pq, twice.true_positives) == (scores[1].pq, 2)


def test_a_segment_of_another_class_is_no_match():
    a = objects([[1, 1]], segments=(Segment(1, 1),))
    b = objects([[1, 1]], segments=(Segment(1, 2),))
    assert {c: s.pq for c, s in panoptic_scores(a, b).items()} == {1: 0.0, 2: 0.0}


def test_below_one_half_the_assignment_is_the_best_of_all():
    truth = objects([[1, 1, 1, 2, 2, 2, 2, 2]])
    found = objects([[7, 7, 3, 3, 3, 3, 3, 3]])
    pairs = match(contingency(found, truth), 0.1)
    # 3-2 has 5/6 and 7-1 has 2/3; 3-1 (1/8) must not take 3 away from 2
    assert sorted(zip(pairs.rows.tolist(), pairs.columns.tolist(), strict=True)) == [(0, 1), (1, 0)]


def test_large_and_negative_orders_of_memory_do_not_matter():
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 4, (5, 6, 7)).astype(np.uint32) * 2**30 for _ in range(2))
    plain = instance_scores(objects(a), objects(b))
    turned = instance_scores(objects(np.asfortranarray(a)), objects(b))
    both = instance_scores(objects(np.asfortranarray(a)), objects(np.asfortranarray(b)))
    assert plain == turned == both


def test_many_pairs_outgrow_the_first_table():
    a = np.arange(1, 40_001).reshape(200, 200)
    b = a[::2, ::2].repeat(2, 0).repeat(2, 1)
    scores = instance_scores(objects(a), objects(b), thresholds=(0.25, 0.5))
    assert [at.true_positives for at in scores.at] == [10_000, 0]
    assert (scores.n_prediction, scores.n_reference, scores.splits) == (40_000, 10_000, 10_000)
    assert instance_scores(objects(a), objects(a)).mean_ap == 1.0


def test_different_grids_are_refused():
    a = np.ones((2, 3), int)
    with pytest.raises(GeometryError, match="E_GEOMETRY_MISMATCH"):
        instance_scores(objects(a), objects(a, (1.0, 2.0)))


@pytest.mark.data
def test_a_real_prediction_of_a_real_stack(data_pack):
    folder = data_pack("cells3d") / "label_only"
    truth, found = (objects(tifffile.imread(folder / f"platynereis_{name}.tif")) for name in ("gt", "voronoi_otsu"))
    scores = instance_scores(found, truth)
    _, iou, ids_found, ids_truth = overlaps(found.array[::2, ::4, ::4], truth.array[::2, ::4, ::4])
    coarse = [objects(i.array[::2, ::4, ::4]) for i in (found, truth)]
    rough = instance_scores(*coarse)
    assert [at.true_positives for at in rough.at] == [slow_true_positives(iou, t) for t in THRESHOLDS]
    assert (len(ids_found), len(ids_truth)) == (rough.n_prediction, rough.n_reference)
    assert (scores.n_prediction, scores.n_reference, scores.merges, scores.splits) == (33, 36, 2, 0)
    assert scores.at[0].true_positives == 23
    assert scores.panoptic.pq == pytest.approx(0.4496, abs=1e-4)
