"""Work that is told to finish early keeps what is final: finished tiles as in the whole run, background elsewhere."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from medseg.grid import image_grid
from medseg.instance.predict import MapOptions, predict_maps_steps
from medseg.instance.segment import segment_instances_steps
from medseg.io.read import read
from medseg.nets.sums import BACKGROUND_IS_SURE as SURE
from medseg.nets.tiled import TileOptions, predict_maps
from medseg.ops.tiles import tiles
from medseg.pipeline import SegmentOptions, load_model, segment_steps
from medseg.progress import FinishEarly, finish
from medseg.samples.shelf import samples
from medseg.volume import Volume

CPU = torch.device("cpu")


class Blur(nn.Module):
    """Answers with a mean over neighbours, so that a tile's edge differs from its middle."""

    def forward(self, x):
        mean = nn.functional.avg_pool2d(x, 5, stride=1, padding=2)
        return torch.cat([mean, 1 - mean], dim=1)


def stopped_at(steps, phase, done):
    """Go on to the step number `done` of a phase, then ask for what is finished."""
    try:
        while True:
            step = next(steps)
            if step.phase == phase and step.done == done:
                step = steps.throw(FinishEarly())
    except StopIteration as end:
        return end.value


def partial(notices):
    return [notice for notice in notices if notice.code == "W_PARTIAL"]


@pytest.mark.parametrize("done", [1, 2, 5, 8])
def test_finished_tiles_are_as_in_the_whole_run_and_the_rest_is_background(done):
    image = np.random.default_rng(0).random((1, 24, 30)).astype(np.float32)
    options = TileOptions((12, 12), 2, overlap=0.25)
    boxes = tiles((24, 30), (12, 12), 0.25)
    whole, silent = finish(predict_maps(Blur(), image, options=options, device=CPU))
    part, notices = stopped_at(predict_maps(Blur(), image, options=options, device=CPU), "segmenting", done)
    unseen = np.zeros((24, 30), bool)
    for box in boxes[done:]:
        unseen[box] = True
    assert (~unseen).any()
    np.testing.assert_array_equal(part[:, ~unseen], whole[:, ~unseen])
    assert (part[0, unseen] == SURE).all()
    assert not part[1:, unseen].any()
    assert not partial(silent)
    assert f"{done} of {len(boxes)} tiles" in partial(notices)[0].text


def test_where_nothing_is_finished_there_is_no_result():
    steps = predict_maps(Blur(), np.zeros((1, 24, 30), np.float32), options=TileOptions((12, 12), 2), device=CPU)
    with pytest.raises(FinishEarly):
        stopped_at(steps, "segmenting", 0)


def test_after_the_last_tile_the_result_is_whole():
    image = np.random.default_rng(0).random((1, 24, 30)).astype(np.float32)
    options = TileOptions((12, 12), 2)
    steps = predict_maps(Blur(), image, options=options, device=CPU)
    n = len(tiles((24, 30), (12, 12), 0.5))
    maps, notices = stopped_at(steps, "segmenting", n)
    np.testing.assert_array_equal(maps, finish(predict_maps(Blur(), image, options=options, device=CPU))[0])
    assert notices == ()


@pytest.fixture(scope="module")
def long_scan():
    """Return a sample repeated along one axis, so that it takes several tiles."""
    scan = read(str(next(s for s in samples() if s.model == "hippocampus").path))
    shape = (scan.grid.shape[0], 2 * scan.grid.shape[1], scan.grid.shape[2])
    return Volume(np.concatenate([scan.numpy()] * 2, axis=2), replace(scan.grid, shape=shape))


@pytest.fixture(scope="module")
def whole_and_model(long_scan):
    model = load_model("hippocampus", device="cpu")
    return finish(segment_steps(long_scan, model)), model


def test_a_scan_that_is_stopped_keeps_finished_structures_on_its_grid(long_scan, whole_and_model):
    whole, model = whole_and_model
    part = stopped_at(segment_steps(long_scan, model), "segmenting", 1)
    assert part.labels.grid.same_as(long_scan.grid)
    kept = part.labels.array > 0
    assert 0 < kept.sum() < (whole.labels.array > 0).sum()
    np.testing.assert_array_equal(part.labels.array[kept], whole.labels.array[kept])
    assert not partial(whole.warnings)
    assert len(partial(part.warnings)) == 1


def test_a_scan_that_is_stopped_while_deciding_is_whole(long_scan, whole_and_model):
    whole, model = whole_and_model
    part = stopped_at(segment_steps(long_scan, model), "deciding", 0)
    np.testing.assert_array_equal(part.labels.array, whole.labels.array)
    assert not partial(part.warnings)


@pytest.mark.parametrize("way", ["components", "watershed"])
def test_a_scan_whose_objects_are_being_separated_is_whole(long_scan, whole_and_model, way):
    whole, model = whole_and_model
    options = SegmentOptions(split=way)
    part = stopped_at(segment_steps(long_scan, model, options), "examining objects", 1)
    np.testing.assert_array_equal(part.labels.array, whole.labels.array)
    assert len(part.instances.segments) == len(finish(segment_steps(long_scan, model, options)).instances.segments) > 1


def discs(shape, pitch, radius):
    image = np.zeros(shape, np.float32)
    places = np.indices(shape)
    for centre in np.ndindex(*(n // pitch for n in shape)):
        middle = [pitch * c + pitch // 2 for c in centre]
        image[sum((p - m) ** 2 for p, m in zip(places, middle, strict=True)) <= radius**2] = 1.0
    return image


@pytest.fixture(scope="module")
def nuclei():
    return load_model("nuclei", device="cpu")


def test_objects_of_finished_tiles_are_those_of_the_whole_run(nuclei):
    picture = discs((64, 768), 64, 15)
    volume = Volume(picture[None], image_grid(picture.shape, (1.0, 1.0), "px"))
    options = SegmentOptions(diameter=32.0)
    whole = finish(segment_steps(volume, nuclei, options)).instances
    part = stopped_at(segment_steps(volume, nuclei, options), "segmenting", 1)
    assert len(partial(part.warnings)) == 1
    first_of_second = tiles((64, 768), (64, 480), 0.25)[1][1].start
    inside = whole.array.copy()
    inside[:, first_of_second:] = 0
    uncut = [i for i in np.unique(inside)[1:] if (inside == i).sum() == (whole.array == i).sum()]
    assert len(uncut) >= 3
    for number in uncut:
        own = np.unique(part.instances.array[whole.array == number])
        np.testing.assert_array_equal(part.instances.array == own.max(), whole.array == number)
    assert not part.instances.array[:, first_of_second:].any()


class Painter(nn.Module):
    """Answers with what can be computed by hand: bright is interior."""

    def forward(self, x):
        bright = (x[:, :1] > 0.5).float()
        classes = torch.cat([1 - bright, bright, torch.zeros_like(bright)], dim=1) * 20
        return torch.cat([classes, x[:, :1], bright, bright], dim=1)


def stack():
    array = discs((24, 48, 48), 24, 9)
    return Volume(array[None], image_grid(array.shape, (1.0, 1.0, 1.0), "um"))


def test_slices_that_were_seen_are_kept_and_the_others_are_background(nuclei):
    options = MapOptions(diameter=32.0)
    whole = finish(predict_maps_steps(stack(), Painter(), nuclei.card, options=options, device=CPU))
    part = stopped_at(
        predict_maps_steps(stack(), Painter(), nuclei.card, options=options, device=CPU), "looking at the slices", 10
    )
    np.testing.assert_allclose(part.array[:4, :10], whole.array[:4, :10], atol=1e-6)
    assert (part.array[0, 10:] == 1).all()
    assert not part.array[1:, 10:].any()
    assert np.abs(part.array[4:, :10]).max() == pytest.approx(np.abs(whole.array[4:, :10]).max())
    assert "10 of 120 slices" in partial(part.warnings)[0].text


def test_an_image_that_was_seen_once_keeps_that_look_when_the_mirrored_ones_are_stopped(nuclei):
    picture = discs((96, 96), 48, 15)
    volume = Volume(picture[None], image_grid(picture.shape, (1.0, 1.0), "px"))
    once = finish(segment_instances_steps(volume, nuclei.network, nuclei.card, options=MapOptions(32.0), device=CPU))
    steps = segment_instances_steps(volume, nuclei.network, nuclei.card, options=MapOptions(32.0, tta=True), device=CPU)
    part = stopped_at(steps, "looking at it mirrored", 1)
    np.testing.assert_array_equal(part.instances.array, once.instances.array)
    assert "1 of 4 mirrored looks" in partial(part.warnings)[0].text
