"""Augmentation: replayable, labels stay labels, image and labels move together."""

import numpy as np
import pytest

from medseg.learn.augment import Augmenter


@pytest.fixture(params=[(16, 20), (12, 16, 14)], ids=["2-D", "3-D"])
def pair(request):
    labels = np.zeros(request.param, np.uint8)
    labels[tuple(slice(4, 9) for _ in request.param)] = 7
    return labels[None].astype(np.float32), labels


def test_equal_seeds_give_equal_results_and_others_do_not(pair):
    augment = Augmenter(pair[1].ndim, mirror_axes=(0,))
    first, again, other = (augment(pair, seed=s)[0] for s in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_labels_keep_their_values_type_and_shape(pair):
    augment = Augmenter(pair[1].ndim, mirror_axes=(0, 1))
    for seed in range(15):
        image, labels = augment(pair, seed=seed)
        assert image.dtype == np.float32
        assert image.shape == pair[0].shape
        assert labels.dtype == np.uint8
        assert set(np.unique(labels)) <= {0, 7}


def test_the_image_moves_with_its_labels(pair):
    augment = Augmenter(pair[1].ndim, mirror_axes=(0,))
    for seed in range(15):
        image, labels = augment(pair, seed=seed)
        inside, outside = image[0][labels == 7], image[0][labels == 0]
        assert np.median(inside) > np.median(outside) + 0.4


def test_the_given_arrays_are_not_changed(pair):
    before = pair[0].copy(), pair[1].copy()
    Augmenter(pair[1].ndim, mirror_axes=(0,))(pair, seed=3)
    np.testing.assert_array_equal(pair[0], before[0])
    np.testing.assert_array_equal(pair[1], before[1])
