"""From an image to maps of its objects, at a size that the network knows, flat and in stacks."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from medseg.errors import InputError
from medseg.grid import image_grid
from medseg.instance.predict import MapOptions, predict_maps_steps
from medseg.instance.scale import canonical, ground_notices, noise_of, quietened, zoom_for, zoomed_grid
from medseg.instance.sizing import estimated_diameter
from medseg.io.read import read
from medseg.learn.weights import load_network
from medseg.models.bundle import load_bundle
from medseg.progress import finish
from medseg.volume import Volume

CPU = torch.device("cpu")


class Painter(nn.Module):
    """Answers with what can be computed by hand: bright is interior, the way to the centre is a fixed arrow."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bright = (x[:, :1] > 0.5).float()
        classes = torch.cat([1 - bright, bright, torch.zeros_like(bright)], dim=1) * 20
        arrow = [torch.full_like(bright, v) for v in (0.25, 0.5)]
        return torch.cat([classes, x[:, :1], *arrow], dim=1)


@pytest.fixture(scope="module")
def card(trained_on_cells):
    return load_bundle(trained_on_cells).card


def maps_of(volume: Volume, network: nn.Module, card, **options) -> Volume:
    return finish(predict_maps_steps(volume, network, card, options=MapOptions(**options), device=CPU))


def stack_of_balls(spacing: tuple[float, float, float], radius: float = 12.0) -> Volume:
    shape = tuple(round(60 / s) for s in spacing)
    places = np.indices(shape) * np.array(spacing).reshape(3, 1, 1, 1)
    array = np.zeros(shape, np.float32)
    for centre in ((18, 18, 16), (42, 40, 38)):
        array[sum((p - c) ** 2 for p, c in zip(places, centre, strict=True)) <= radius**2] = 1.0
    return Volume(array[None], image_grid(shape, spacing, "um"))


def test_the_maps_of_an_unseen_picture_tell_its_objects_from_its_ground(trained_on_cells, cells, card):
    split = (trained_on_cells.with_name("discs.training") / "split.csv").read_text()
    unseen = next(row.split(",")[0] for row in split.splitlines() if row.endswith("test"))
    volume = read(cells / "images" / f"{unseen}.png")
    truth = np.asarray(Image.open(cells / "labels" / f"{unseen}.png")) > 0
    maps = maps_of(volume, load_network(load_bundle(trained_on_cells)), card, diameter=16.0)
    assert maps.channels == card.outputs
    assert maps.grid.spacing == pytest.approx((0.5, 0.5))
    found = maps.array[0, ::2, ::2] < 0.5
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.85
    assert np.allclose(maps.array[:3].sum(axis=0), 1.0, atol=1e-5)
    assert maps.array[3].min() >= 0.0
    assert maps.array[3].max() <= 1.0


@pytest.mark.parametrize("radius", [5, 12, 40])
def test_objects_of_any_size_are_brought_to_the_wanted_size(card, radius):
    y, x = np.indices((200, 240))
    array = np.zeros((200, 240), np.float32)
    for cy, cx in ((50, 55), (140, 170), (145, 60)):
        array[(y - cy) ** 2 + (x - cx) ** 2 <= radius**2] = 1.0
    volume = Volume(array[None], image_grid(array.shape, (1.0, 1.0), "px"))
    maps = maps_of(volume, Painter(), card)
    seen = estimated_diameter(maps.array[:3].argmax(axis=0), maps.grid.spacing)
    assert 32 / 1.3 <= seen <= 32 * 1.3
    assert np.multiply(maps.grid.shape, maps.grid.spacing) == pytest.approx((200.0, 240.0))


def test_a_given_diameter_is_obeyed_in_the_unit_of_the_grid(card):
    array = np.zeros((1, 120, 120), np.float32)
    array[0, 40:80, 40:80] = 1.0
    volume = Volume(array, image_grid((120, 120), (0.25, 0.25), "um"))
    maps = maps_of(volume, Painter(), card, diameter=16.0)
    assert maps.grid.spacing == pytest.approx((0.5, 0.5))


def test_an_image_without_objects_is_left_at_its_size_and_stays_background(card):
    flat = Volume(np.full((1, 70, 90), 7, np.uint8), image_grid((70, 90), (1.0, 1.0), "px"))
    maps = maps_of(flat, Painter(), card)
    assert maps.grid.shape == (70, 90)
    assert maps.array[0].min() > 0.5
    assert any(n.code == "W_CONSTANT_IMAGE" for n in maps.warnings)


def test_pixels_that_are_not_square_become_square(card):
    array = np.zeros((1, 60, 120), np.float32)
    array[0, 20:40, 40:80] = 1.0
    volume = Volume(array, image_grid((60, 120), (1.0, 0.5), "um"))
    maps = maps_of(volume, Painter(), card, diameter=16.0)
    assert maps.grid.spacing == pytest.approx((0.5, 0.5))


def test_mirrored_answers_are_turned_back_with_the_arrows(card, trained_on_cells, cells):
    network = load_network(load_bundle(trained_on_cells))
    volume = read(cells / "images" / "c00.png")
    mirrored = replace(volume, array=volume.numpy()[:, ::-1, ::-1])
    plain = maps_of(volume, network, card, diameter=32.0, tta=True).array
    turned = maps_of(mirrored, network, card, diameter=32.0, tta=True).array[:, ::-1, ::-1]
    assert np.allclose(plain[:4], turned[:4], atol=1e-3)
    assert np.allclose(plain[4:], -turned[4:], atol=1e-2)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 1.0, 1.0)])
def test_a_flat_model_sees_a_stack_from_three_sides_on_cubic_voxels(card, spacing):
    volume = stack_of_balls(spacing)
    maps = maps_of(volume, Painter(), card, diameter=32.0)
    assert maps.channels[-3:] == ("offset_z", "offset_y", "offset_x")
    assert maps.grid.spacing == pytest.approx((1.0, 1.0, 1.0))
    ball = 4 / 3 * np.pi * 12**3
    assert (maps.array[1] > 0.5).sum() == pytest.approx(2 * ball, rel=0.1)
    # y is the first axis of one view and the second of the other, z always the first, x always the second
    arrows = maps.array[4:, 5, 5, 5]
    assert np.allclose(arrows, 24.0 * np.array([0.25, 0.375, 0.5]), atol=1e-3)


def test_a_stack_of_far_slices_is_seen_from_above_only_and_not_filled_in(card):
    volume = stack_of_balls((6.0, 1.0, 1.0))
    maps = maps_of(volume, Painter(), card, diameter=32.0)
    assert maps.grid.shape == volume.grid.shape
    assert np.abs(maps.array[4]).max() == 0.0


class Overflowing(Painter):
    """Overflows in half precision wherever it sees something bright."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        spoiled = torch.is_autocast_enabled("cpu") and bool((x > 0.5).any())
        return super().forward(x) * (torch.inf if spoiled else 1.0)


@pytest.mark.parametrize("tta", [False, True])
def test_what_happened_at_one_slice_of_a_stack_is_told_once(card, tta):
    balls = stack_of_balls((6.0, 1.0, 1.0))
    array = np.concatenate([balls.array, np.zeros_like(balls.array[:, :2])], axis=1)  # nothing in the last slices
    volume = Volume(array, image_grid(array.shape[1:], balls.grid.spacing, "um"))
    maps = maps_of(volume, Overflowing(), card, diameter=32.0, half=True, tta=tta)
    assert [n.code for n in maps.warnings] == ["W_PRECISION_FALLBACK"]


def test_one_image_gives_the_same_maps_every_time_and_reports_progress(trained_on_cells, cells, card):
    network = load_network(load_bundle(trained_on_cells))
    volume = read(cells / "images" / "c03.png")
    phases: list[str] = []
    steps = predict_maps_steps(volume, network, card, options=MapOptions(), device=CPU)
    first = finish(steps, lambda step: phases.append(step.phase))
    assert np.array_equal(first.array, maps_of(volume, network, card).array)
    assert {"preparing", "looking for the size of the objects"} <= set(phases)


def test_values_that_are_not_numbers_are_replaced_and_named(card):
    array = np.zeros((1, 64, 64), np.float32)
    array[0, 20:44, 20:44] = 1.0
    array[0, 0, 0] = np.nan
    maps = maps_of(Volume(array, image_grid((64, 64), (1.0, 1.0), "px")), Painter(), card, diameter=32.0)
    assert np.isfinite(maps.array).all()
    assert "W_NONFINITE_REPLACED" in {n.code for n in maps.warnings}


def test_light_ground_is_inverted_and_a_single_stain_looks_like_grey():
    array = np.zeros((3, 40, 40), np.uint8)
    array[2, 10:20, 10:20] = 200
    grid = image_grid((40, 40), (1.0, 1.0), "px")
    blue = canonical(Volume(array, grid), (1.0, 99.8)).array
    grey = canonical(Volume(array[2:], grid), (1.0, 99.8)).array
    assert np.array_equal(blue, grey)
    light = canonical(Volume(255 - array[2:], grid), (1.0, 99.8)).array
    assert light[:, 15, 15].min() > 0.8
    assert light[:, 0, 0].max() < 0.2


@pytest.mark.parametrize(("covered", "told"), [(0.2, False), (0.75, True)])
def test_bright_cells_that_cover_most_of_a_picture_stay_bright_and_the_doubt_is_told(covered, told):
    values = np.random.default_rng(3).normal(0.08, 0.02, (1, 80, 80))
    values[:, : round(80 * covered)] += np.linspace(0.1, 0.9, 80)  # cells are of unequal brightness, the ground is not
    grid = image_grid((80, 80), (1.0, 1.0), "px")
    volume = Volume(values.astype(np.float32), grid)
    seen = canonical(volume, (1.0, 99.8)).array
    assert seen[:, 0].mean() > seen[:, -1].mean() + 0.2
    assert [n.code for n in ground_notices(volume)] == (["W_OUT_OF_DISTRIBUTION"] if told else [])


def test_channels_that_are_neither_grey_nor_colour_are_asked_for_by_name(card):
    volume = Volume(np.zeros((2, 32, 32)), image_grid((32, 32), (1.0, 1.0), "px"), ("dapi", "gfp"))
    with pytest.raises(InputError, match="dapi, gfp") as refusal:
        maps_of(volume, Painter(), card)
    assert "--channel" in refusal.value.remedy


def test_a_flat_image_is_no_input_for_a_model_of_stacks(card):
    deep = card.model_copy(update={"input": card.input.model_copy(update={"patch": (8, 32, 32)})})
    with pytest.raises(InputError, match="2 axes"):
        maps_of(Volume(np.zeros((1, 32, 32)), image_grid((32, 32), (1.0, 1.0), "px")), Painter(), deep)


def test_the_zoom_is_left_at_one_where_the_size_is_close_and_bounded_where_it_is_absurd():
    assert zoom_for(32.0) == zoom_for(35.0) == zoom_for(float("nan")) == 1.0
    assert zoom_for(16.0) == 2.0
    assert zoom_for(0.001) == 6.0
    grid = image_grid((10, 30, 20), (2.0, 1.0, 1.0), "um")
    assert zoomed_grid(grid, 1.0, (1, 2)) is grid
    assert zoomed_grid(grid, 1.0, (0, 1, 2)).shape == (20, 30, 20)


class Stacker(Painter):
    """The same for stacks."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([super().forward(x), torch.zeros_like(x[:, :1])], dim=1)


def test_a_model_of_stacks_keeps_the_shape_of_the_voxels_and_finds_the_size_of_balls(card):
    deep = card.model_copy(
        update={
            "input": card.input.model_copy(update={"patch": (16, 32, 32)}),
            "architecture": card.architecture.model_copy(update={"options": {"strides": [[1, 1, 1], [1, 2, 2]]}}),
            "outputs": ("background", "interior", "boundary", "distance", "offset_z", "offset_y", "offset_x"),
        }
    )
    maps = maps_of(stack_of_balls((2.0, 1.0, 1.0), radius=6.0), Stacker(), deep)
    assert maps.grid.shape[1:] == pytest.approx((120, 120), abs=10)
    z, y, _ = maps.grid.spacing
    assert z / y == pytest.approx(2.0, rel=0.05)


def test_noise_is_told_from_structure():
    rng = np.random.default_rng(0)
    clean = stack_of_balls((2.0, 1.0, 1.0))
    assert noise_of(clean) < 0.005
    noisy = replace(clean, array=clean.array + rng.normal(0, 0.1, clean.array.shape))
    contrast = np.ptp(np.percentile(noisy.array, (1.0, 99.8)))
    assert noise_of(noisy) == pytest.approx(0.1 / contrast, rel=0.1)


def test_a_noisy_image_is_smoothed_alike_in_space_and_says_so_and_a_clean_one_is_left(card):
    rng = np.random.default_rng(0)
    clean = stack_of_balls((2.0, 1.0, 1.0))
    assert quietened(clean) == (clean, 0.0)
    noisy = replace(clean, array=(clean.array + rng.normal(0, 0.2, clean.array.shape)).astype(np.float32))
    quiet, width = quietened(noisy)
    assert width > 0.5
    assert np.abs(quiet.array - clean.array).mean() < 0.6 * np.abs(noisy.array - clean.array).mean()
    left = quiet.array - noisy.array
    assert left.std() > 0.1
    assert "W_OUT_OF_DISTRIBUTION" in {n.code for n in maps_of(noisy, Painter(), card, diameter=32.0).warnings}
    assert not maps_of(clean, Painter(), card, diameter=32.0).warnings


def test_a_point_is_smoothed_into_a_ball_and_not_an_egg():
    rng = np.random.default_rng(1)
    array = rng.normal(0, 0.2, (1, 31, 61, 61)).astype(np.float32)
    array[0, 15, 30, 30] += 1000.0
    array[0, 0] += 1.0
    quiet, width = quietened(Volume(array, image_grid((31, 61, 61), (2.0, 1.0, 1.0), "um")))
    assert width > 0.8
    point = quiet.array[0]
    assert point[16, 30, 30] == pytest.approx(point[15, 32, 30], rel=0.5)
    assert point[15, 30, 32] == pytest.approx(point[15, 32, 30], rel=0.2)
