"""From an image to separate objects on its own grid."""

import numpy as np
import pytest
import torch

from medseg.grid import image_grid
from medseg.instance.options import SplitOptions
from medseg.instance.predict import MapOptions
from medseg.instance.segment import SPLIT_MAPS, card_split, instances_on_steps, segment_instances_steps
from medseg.instance.targets import classes_of, object_maps
from medseg.io.read import read, read_labels
from medseg.learn.weights import load_network
from medseg.metrics.instances import instance_scores
from medseg.models.bundle import load_bundle
from medseg.progress import finish
from medseg.volume import Volume

CPU = torch.device("cpu")


def two_discs(shape: tuple[int, int], radius: float) -> np.ndarray:
    y, x = np.indices(shape)
    labels = np.zeros(shape, np.uint16)
    labels[(y - 40) ** 2 + (x - 40) ** 2 <= radius**2] = 1
    labels[((y - 40) ** 2 + (x - 40 - 1.9 * radius) ** 2 <= radius**2) & (labels == 0)] = 2
    return labels


def perfect_maps(labels: np.ndarray, spacing: tuple[float, float]) -> Volume:
    found = object_maps(labels, spacing)
    classes = classes_of(labels, found.distance)
    shares = [(classes == k).astype(np.float32) for k in range(3)]
    return Volume(np.stack([*shares, found.relative]), image_grid(labels.shape, spacing, "um"), SPLIT_MAPS)


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_objects_come_back_on_the_grid_of_the_image_whatever_the_grid_of_the_maps(factor):
    native = two_discs((80, 120), 15)
    grid = image_grid((80, 120), (0.5, 0.5), "um")
    maps = perfect_maps(two_discs((80, 120), 15), (0.5, 0.5))
    if factor != 1.0:
        step = int(2 * factor) if factor > 1 else 2
        array = np.kron(maps.array, np.ones((1, step, step))) if factor > 1 else maps.array[:, ::step, ::step]
        maps = Volume(array.astype(np.float32), grid.reshaped(array.shape[1:]), SPLIT_MAPS)
    found = finish(instances_on_steps(maps, grid, SplitOptions()))
    assert found.grid.same_as(grid)
    assert len(found.segments) == 2
    assert {s.id for s in found.segments} == set(np.unique(found.array)) - {0}
    for i in (1, 2):
        own, truth = found.array == i, native == i
        assert (own & truth).sum() / (own | truth).sum() > 0.85


def test_objects_that_vanish_between_the_voxels_of_the_image_are_not_listed():
    labels = np.zeros((60, 60), np.uint16)
    labels[10:40, 10:40] = 1
    labels[50, 51] = 2
    maps = perfect_maps(labels, (0.5, 0.5))
    found = finish(instances_on_steps(maps, maps.grid.reshaped((30, 30)), SplitOptions(seed_threshold=0.2)))
    assert {s.id for s in found.segments} == set(np.unique(found.array)) - {0}
    assert len(found.segments) == 1


def test_lengths_of_the_card_follow_the_voxels_of_the_working_grid(trained_on_cells):
    card = load_bundle(trained_on_cells).card
    tuned = card.model_copy(update={"split": {"diameter": 32.0, "smoothing": 2.0, "min_size": 10.0, "min_depth": 0.3}})
    found = card_split(tuned, image_grid((8, 8), (0.5, 0.5), "um"))
    assert (found.smoothing, found.min_size, found.min_depth) == (1.0, 2.5, 0.3)


def test_most_objects_of_an_unseen_picture_are_found_and_touching_ones_are_two(trained_on_cells, cells):
    rows = (trained_on_cells.with_name("discs.training") / "split.csv").read_text().splitlines()
    unseen = [row.split(",")[0] for row in rows if row.endswith("test")]
    bundle = load_bundle(trained_on_cells)
    network = load_network(bundle)
    hits = total = 0
    for name in unseen:
        volume = read(cells / "images" / f"{name}.png")
        truth = read_labels(cells / "labels" / f"{name}.png")
        steps = segment_instances_steps(
            volume, network, bundle.card, options=MapOptions(diameter=16.0), save_maps=True, device=CPU
        )
        prediction = finish(steps)
        found = prediction.instances
        assert found is not None
        assert prediction.maps is not None
        assert found.grid.same_as(volume.grid)
        assert np.array_equal(found.array > 0, prediction.labels.array == 1)
        reference = type(found)(truth.array, found.grid)
        best = instance_scores(found, reference).at[0]
        hits += best.true_positives
        total += best.true_positives + best.false_negatives
    assert total > 20
    assert hits / total > 0.7
