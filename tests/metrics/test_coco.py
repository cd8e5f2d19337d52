"""Average precision agrees with the reference implementation, and counts masks of three axes voxel by voxel."""

import contextlib
import io

import numpy as np
import pytest

from medseg.metrics.coco import Overlaps, box_overlaps, coco_scores, mask_overlaps

ONE = np.array([1])


def a_scene(rng, n, side=60):
    low = rng.integers(0, side - 12, (n, 2))
    return np.concatenate([low, low + rng.integers(3, 12, (n, 2))], axis=1)


def shaken(rng, boxes):
    moved = boxes + rng.integers(-2, 3, boxes.shape)
    moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
    return np.concatenate([moved, a_scene(rng, 4)])


def by_the_reference(truths, founds, most):
    coco = pytest.importorskip("pycocotools.coco")
    evaluation = pytest.importorskip("pycocotools.cocoeval")

    def entries(rows, first):
        made = []
        for image, row in rows:
            for box, kind, *score in zip(*row, strict=True):
                size = box[2:] - box[:2]
                area = float(size.prod())
                entry = {
                    "id": len(made) + first,
                    "image_id": image,
                    "category_id": int(kind),
                    "iscrowd": 0,
                    "area": area,
                }
                entry["bbox"] = [float(v) for v in (box[1], box[0], size[1], size[0])]
                made.append(entry | ({"score": float(score[0])} if score else {}))
        return made

    with contextlib.redirect_stdout(io.StringIO()):
        truth, found = coco.COCO(), coco.COCO()
        kinds = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
        shared = {"images": [{"id": i} for i in range(1, len(truths) + 1)], "categories": kinds}
        truth.dataset = {**shared, "annotations": entries(enumerate(truths, 1), 1)}
        found.dataset = {**shared, "annotations": entries(enumerate(founds, 1), 1)}
        truth.createIndex()
        found.createIndex()
        judge = evaluation.COCOeval(truth, found, "bbox")
        judge.params.maxDets = [1, 2, most]
        judge.params.areaRng = [[0, 1e10]]
        judge.params.areaRngLbl = ["all"]
        judge.evaluate()
        judge.accumulate()
    table = judge.eval["precision"][..., 0, -1]
    return [float(part[part > -1].mean()) for part in (table, table[:1], table[5:6])]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("most", [5, 1000])
def test_the_scores_of_boxes_are_those_of_the_reference_implementation(seed, most):
    rng = np.random.default_rng(seed)
    truths, founds, images = [], [], []
    for _ in range(6):
        boxes, kinds = a_scene(rng, 9), rng.integers(1, 3, 9)
        found = shaken(rng, boxes)
        own = np.concatenate([kinds, rng.integers(1, 3, 4)])
        scores = rng.permutation(len(found)) / 7.0 // 1 / 10 + 0.1  # with ties
        truths.append((boxes, kinds))
        founds.append((found, own, scores))
        images.append(Overlaps(box_overlaps(found, boxes), scores, own, kinds))
    ours = coco_scores(images, most=most)
    assert [ours.mean, ours.at_50, ours.at_75] == pytest.approx(by_the_reference(truths, founds, most), abs=1e-9)


def test_masks_of_three_axes_overlap_as_voxel_sets_do():
    rng = np.random.default_rng(1)
    labels = rng.choice([0, 0, 7, 70000], (5, 9, 8))
    pieces = [((1, 2, 0), rng.random((3, 4, 8)) > 0.4), ((0, 0, 0), np.zeros((2, 2, 2), bool))]
    iou, ids = mask_overlaps(pieces, labels)
    assert ids.tolist() == [7, 70000]
    for row, (start, mask) in enumerate(pieces):
        whole = np.zeros(labels.shape, bool)
        whole[tuple(slice(a, a + n) for a, n in zip(start, mask.shape, strict=True))] = mask
        for column, number in enumerate(ids):
            truth = labels == number
            assert iou[row, column] == pytest.approx((whole & truth).sum() / (whole | truth).sum())


def test_boxes_of_three_axes_overlap_by_their_volume():
    found = box_overlaps(np.array([[0, 0, 0, 2, 4, 4]]), np.array([[1, 0, 0, 3, 4, 4], [5, 5, 5, 6, 6, 6]]))
    np.testing.assert_allclose(found, [[1 / 3, 0.0]])


def test_an_object_that_is_found_twice_counts_once():
    twice = Overlaps(np.array([[0.9], [0.95], [0.0]]), np.array([0.9, 0.8, 0.95]), np.ones(3, int), ONE)
    assert coco_scores([twice]).at_50 == pytest.approx(0.5)


def test_nothing_found_scores_nothing_and_nothing_to_find_is_no_number():
    empty = np.zeros(0)
    none = np.zeros(0, np.int64)
    assert coco_scores([Overlaps(np.zeros((0, 1)), empty, none, ONE)]).mean == 0.0
    assert np.isnan(coco_scores([Overlaps(np.zeros((0, 0)), empty, none, none)]).mean)
    assert np.isnan(coco_scores([]).mean)
