import numpy as np
import pytest
from crowd_of_cells import crowd
from scipy import ndimage
from skimage.morphology import h_maxima
from skimage.segmentation import watershed

from medseg.instance import flood as loops
from medseg.instance.basins import Rule, distance_levels_steps, find_parts, flooded_steps, numbered
from medseg.instance.distance import weights
from medseg.instance.frame import Frame
from medseg.progress import finish


def flooded(levels, markers, mask):
    """Flood a whole image as one part from given markers."""
    frame = Frame.of(mask.shape)
    solid = (frame.nz, frame.ny, frame.nx)
    labels, height, links = frame.zeros(np.int32), frame.zeros(np.uint16), frame.zeros(np.int32)
    frame.inner(labels)[...] = np.where(markers > 0, markers, -mask.astype(np.int32)).reshape(solid)
    frame.inner(height)[...] = levels.reshape(solid)
    seeds = np.flatnonzero(labels.reshape(-1) > 0).astype(np.int32)
    flat = (height.reshape(-1), labels.reshape(-1), links.reshape(-1), frame.offsets, seeds)
    loops.flood(*flat, np.array([0, len(seeds)]), np.array([-1], np.int32), 0, 1)
    return np.maximum(frame.inner(labels), 0).reshape(mask.shape)


@pytest.mark.parametrize("shape", [(40, 50), (10, 24, 22)])
@pytest.mark.parametrize("steps", [3, 30, 200])
def test_flooding_equals_scikit_image_on_any_landscape(shape, steps):
    rng = np.random.default_rng(steps)
    levels = 16 * rng.integers(0, steps, shape)
    mask = rng.random(shape) < 0.9
    markers = np.zeros(shape, np.int32)
    markers.flat[rng.choice(markers.size, 15, replace=False)] = np.arange(1, 16)
    markers *= mask
    levels += markers  # no two markers on one level: scikit-image leaves open which of them goes first
    assert np.array_equal(flooded(levels, markers, mask), watershed(levels, markers, mask=mask))


@pytest.mark.parametrize(
    ("shape", "spacing", "radius"), [((260, 270), (1.0, 1.0), 13), ((30, 90, 80), (2.0, 1.0, 1.0), 9)]
)
def test_a_crowd_is_split_like_scikit_image_does_from_the_same_summits(shape, spacing, radius):
    mask = crowd(shape, 110, radius, spacing=spacing) > 0
    found = split(mask, spacing, Rule(min_depth=0.15, noise=1.0))
    distance = ndimage.distance_transform_edt(mask, sampling=spacing)
    n = int(found.max())
    places = ndimage.maximum_position(distance, found, np.arange(1, n + 1))
    markers = np.zeros(shape, np.int32)
    for number, place in enumerate(places, start=1):
        markers[place] = number
    expected = watershed(-distance, markers, mask=mask)
    assert n > 20
    assert (expected == found)[mask].mean() > 0.999


def test_summits_that_stay_are_the_h_maxima():
    distance = ndimage.gaussian_filter(np.random.default_rng(5).random((60, 70)), 2)
    levels = np.rint((1 - (distance - distance.min()) / np.ptp(distance)) * 4095).astype(np.uint16)
    parts = find_parts(np.ones(levels.shape, bool))
    padded, links = parts.frame.zeros(np.uint16), parts.frame.zeros(np.int32)
    parts.frame.inner(padded)[...] = levels
    rule = Rule(noise=400 / 4095)
    basins = finish(flooded_steps(parts, padded, links, rule, spacing=(1.0, 1.0), heights=np.array([1.0, 1.0])))
    square = ndimage.generate_binary_structure(2, 1)
    # scikit-image keeps maxima deeper than h, ours at least as deep
    peaks = h_maxima((4095 - levels).astype(np.int32), 399, footprint=square)
    assert len(basins.owner) - 1 == ndimage.label(peaks, square)[1]


def split(mask, spacing, rule):
    parts = find_parts(mask)
    levels, links, heights = finish(distance_levels_steps(parts, weights(spacing, mask.shape)))
    basins = finish(flooded_steps(parts, levels, links, rule, spacing=spacing, heights=heights))
    out = np.zeros(mask.shape, np.int32)
    numbered(basins, rule, out)
    return out


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("shape", [(50, 60), (12, 30, 25), (90, 80, 70)])
def test_parts_equal_those_of_scipy(shape, full):
    classes = (np.random.default_rng(2).random(shape) < 0.35).astype(np.uint8)
    structure = ndimage.generate_binary_structure(len(shape), len(shape) if full else 1)
    expected, n = ndimage.label(classes, structure)
    parts = find_parts(classes, full=full)
    assert parts.count == n
    assert np.array_equal(-parts.frame.inner(parts.labels).reshape(shape), expected)


def test_different_classes_are_never_one_part():
    parts = find_parts(np.array([[1, 1, 2, 2, 1]]))
    assert parts.frame.inner(parts.labels).tolist() == [[[-1, -1, -2, -2, -3]]]
