"""The tile loop: exact blending, honest progress, cancel between tiles, and the way down when memory runs out."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from medseg.errors import OutputError, ResourceError
from medseg.nets.tiled import TileOptions, all_finite, predict_maps, predict_slabs
from medseg.progress import FinishEarly, finish

CPU = torch.device("cpu")


class Twice(nn.Module):
    """Answers with the image and its double, and counts its calls."""

    def __init__(self):
        super().__init__()
        self.batches = []

    def forward(self, x):
        self.batches.append(len(x))
        return torch.cat([x, 2 * x], dim=1)


@settings(max_examples=25, deadline=None)
@given(
    shape=st.lists(st.integers(1, 13), min_size=2, max_size=3),
    patch=st.integers(2, 6),
    overlap=st.sampled_from([0.0, 0.25, 0.5, 0.75]),
)
def test_a_network_that_works_voxel_by_voxel_gives_the_same_tiled_or_whole(shape, patch, overlap):
    image = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)
    options = TileOptions(patch=(patch,) * len(shape), n_out=2, overlap=overlap, batch=2)
    maps, notices = finish(predict_maps(Twice(), image, options=options, device=CPU))
    np.testing.assert_allclose(maps, np.concatenate([image, 2 * image]), atol=1e-5)
    assert notices == ()


def joined(network, image, options):
    """Return the maps of all slabs put together, and what was said."""
    parts = []

    def take(slab):
        if slab.start == 0:
            parts.clear()
        assert slab.start == sum(part.count for part in parts)
        parts.append(replace(slab, maps=slab.finished.copy()))

    notices = finish(predict_slabs(network, image, options=options, device=CPU, take=take))
    return np.concatenate([part.maps for part in parts], axis=1 if parts[0].axis == 0 else -1), notices


@settings(max_examples=40, deadline=None)
@given(
    shape=st.lists(st.integers(1, 15), min_size=2, max_size=3),
    patch=st.lists(st.integers(2, 6), min_size=3, max_size=3),
    overlap=st.sampled_from([0.0, 0.25, 0.5, 0.75]),
)
def test_slabs_put_together_are_the_maps_that_are_kept_whole(shape, patch, overlap):
    image = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)
    torch.manual_seed(0)
    network = (nn.Conv2d if len(shape) == 2 else nn.Conv3d)(1, 2, 3, padding=1)
    options = TileOptions(patch=tuple(patch[: len(shape)]), n_out=2, overlap=overlap, batch=2)
    whole, _ = finish(predict_maps(network, image, options=options, device=CPU))
    found, _ = joined(network, image, options)
    np.testing.assert_allclose(found, whole, atol=1e-5)


def test_slabs_follow_each_other_along_the_axis_that_is_longest_in_patches_and_only_a_row_of_tiles_is_kept():
    for shape, axis in (((9, 8, 40), -1), ((40, 8, 9), 0)):
        slabs = []
        image = np.zeros((1, *shape), np.float32)
        finish(predict_slabs(Twice(), image, options=TileOptions((8, 8, 8), 2), device=CPU, take=slabs.append))
        assert {slab.axis for slab in slabs} == {axis}
        assert sum(slab.count for slab in slabs) == 40
        assert {slab.maps.shape[1:][axis] for slab in slabs} == {8}


@pytest.mark.parametrize("done", [1, 3, 4, 9, 11])
def test_slabs_of_a_run_that_was_stopped_are_its_maps(done):
    image = np.random.default_rng(0).normal(size=(1, 30, 9)).astype(np.float32)
    options = TileOptions((8, 8), 2)

    def stopped(steps):
        while next(steps).done < done:
            pass
        with pytest.raises(StopIteration) as end:
            steps.throw(FinishEarly())
        return end.value.value

    whole, said = stopped(predict_maps(Twice(), image, options=options, device=CPU))
    parts = []
    steps = predict_slabs(Twice(), image, options=options, device=CPU, take=lambda s: parts.append(s.finished.copy()))
    assert stopped(steps) == said
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-5)


def test_after_a_step_down_the_slabs_begin_anew():
    image = np.random.default_rng(0).normal(size=(1, 40, 8)).astype(np.float32)

    class FullLater(Twice):
        def forward(self, x):
            if len(self.batches) == 3:
                self.batches.append(0)
                raise torch.OutOfMemoryError("no room")
            return super().forward(x)

    maps, notices = joined(FullLater(), image, TileOptions((8, 8), 2, batch=2, overlap=0.0))
    np.testing.assert_allclose(maps, np.concatenate([image, 2 * image]), atol=1e-6)
    assert [n.code for n in notices] == ["W_DEVICE_FALLBACK"]


def test_a_run_that_was_stopped_does_not_begin_anew_when_memory_runs_out():
    network, image = Twice(), np.zeros((1, 40, 8), np.float32)

    def full(slab):
        if slab.start:
            raise MemoryError

    steps = predict_slabs(network, image, options=TileOptions((8, 8), 2, batch=2), device=CPU, take=full)
    next(steps)
    next(steps)
    with pytest.raises(ResourceError) as refusal:
        steps.throw(FinishEarly())
    assert refusal.value.code == "E_OOM_CPU"
    assert len(network.batches) == 1


def test_one_tile_is_the_bare_answer_of_the_network():
    torch.manual_seed(0)
    network = nn.Conv3d(1, 2, 3, padding=1)
    image = np.random.default_rng(0).normal(size=(1, 6, 7, 8)).astype(np.float32)
    maps, _ = finish(predict_maps(network, image, options=TileOptions((6, 7, 8), 2), device=CPU))
    with torch.inference_mode():
        bare = network(torch.from_numpy(image)[None])[0].numpy()
    np.testing.assert_allclose(maps, bare, atol=1e-6)


def test_mirroring_averages_the_answers_of_all_flips():
    torch.manual_seed(0)
    network = nn.Conv2d(1, 1, 3, padding=1)
    image = np.random.default_rng(1).normal(size=(1, 8, 8)).astype(np.float32)
    maps, _ = finish(predict_maps(network, image, options=TileOptions((8, 8), 1, mirror_axes=(0, 1)), device=CPU))
    x = torch.from_numpy(image)[None]
    flips = [(), (2,), (3,), (2, 3)]
    with torch.inference_mode():
        mean = sum(network(x.flip(f)).flip(f) for f in flips) / 4
    np.testing.assert_allclose(maps, mean[0].numpy(), atol=1e-6)


def test_progress_counts_every_tile_and_closing_stops_at_once():
    network, image = Twice(), np.zeros((1, 40, 8), np.float32)
    steps = predict_maps(network, image, options=TileOptions((8, 8), 2, overlap=0.0), device=CPU)
    assert [next(steps).done for _ in range(3)] == [0, 1, 2]
    steps.close()
    assert len(network.batches) == 2


class OutOfMemory(Twice):
    """Fails as a small graphics card would: for more than `most` tiles at once."""

    def __init__(self, most):
        super().__init__()
        self.most = most

    def forward(self, x):
        if len(x) > self.most:
            raise torch.OutOfMemoryError("no room")
        return super().forward(x)


def test_a_batch_that_does_not_fit_is_done_one_by_one_with_the_same_result_and_says_so():
    image = np.random.default_rng(0).normal(size=(1, 30, 8)).astype(np.float32)
    options = TileOptions((8, 8), 2, batch=4)
    small, notices = finish(predict_maps(OutOfMemory(1), image, options=options, device=CPU))
    large, none = finish(predict_maps(OutOfMemory(9), image, options=options, device=CPU))
    np.testing.assert_array_equal(small, large)
    assert [n.code for n in notices] == ["W_DEVICE_FALLBACK"]
    assert none == ()


def test_when_not_even_one_tile_fits_the_user_is_told():
    image = np.zeros((1, 8, 8), np.float32)
    with pytest.raises(ResourceError) as refusal:
        finish(predict_maps(OutOfMemory(0), image, options=TileOptions((8, 8), 2, batch=2), device=CPU))
    assert refusal.value.code == "E_OOM_CPU"


class OverflowsInHalf(Twice):
    """Infinite in half precision only."""

    def forward(self, x):
        half = torch.is_autocast_enabled("cpu")
        return super().forward(x) + (torch.inf if half else 0.0)


def test_an_overflow_in_half_precision_is_repeated_in_full_and_noticed():
    image = np.ones((1, 20, 8), np.float32)
    options = TileOptions((8, 8), 2, half=True)
    maps, notices = finish(predict_maps(OverflowsInHalf(), image, options=options, device=CPU))
    np.testing.assert_allclose(maps[1], 2.0, rtol=1e-6)
    assert [n.code for n in notices] == ["W_PRECISION_FALLBACK"]


class NotANumber(Twice):
    def forward(self, x):
        return super().forward(x) * torch.nan


def test_an_answer_that_is_not_a_number_never_becomes_background():
    with pytest.raises(OutputError) as refusal:
        finish(predict_maps(NotANumber(), np.ones((1, 8, 8), np.float32), options=TileOptions((8, 8), 2), device=CPU))
    assert refusal.value.code == "E_OUTPUT_NONFINITE"


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_one_value_that_is_not_a_number_is_seen_among_many(bad):
    values = torch.zeros(3, 50)
    values[1, 7] = bad
    assert not all_finite(values)


def test_numbers_whose_sum_overflows_are_still_numbers():
    values = torch.full((4,), 3e38)
    assert torch.isinf(values.sum())
    assert all_finite(values)
