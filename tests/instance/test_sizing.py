"""The size of objects is looked for a few times, and not believed where nothing speaks for it."""

import numpy as np
import pytest

from medseg.errors import ResourceError
from medseg.grid import image_grid
from medseg.instance.memory import affordable_zoom, predicted_bytes
from medseg.instance.scale import zoomed_grid
from medseg.instance.sizing import CLEAR_ENOUGH, STACK_ZOOM, size_steps
from medseg.progress import Progress, finish
from medseg.volume import Volume

WANTED = 32.0


def picture(*shape: int) -> Volume:
    rng = np.random.default_rng(0)
    return Volume(rng.random((3, *shape)).astype(np.float32), image_grid(shape, (1.0,) * len(shape), "px"))


class Looks:
    """Answers with discs of a width that may depend on the zoom, as sure as it is told to be; keeps the zooms."""

    def __init__(self, width, sure=0.95):
        self.width, self.sure, self.zooms = width, sure, []

    def __call__(self, image: Volume, zoom: float):
        self.zooms.append(zoom)
        yield Progress("looking", 0, 1)
        grid = zoomed_grid(image.grid, zoom, (0, 1))
        y, x = np.indices(grid.shape)
        # the boundary that the estimate adds is left out here
        radius = (self.width(zoom) * zoom - 4.0) / 2
        inside = np.hypot(y - grid.shape[0] / 2, x - grid.shape[1] / 2) < radius
        share = np.where(inside, self.sure, 0.0)
        return Volume(np.stack([1.0 - share, share, 0 * share]).astype(np.float32), grid), ()


def size_of(image: Volume, looks: Looks, model_axes: int = 2):
    return finish(size_steps(image, looks, model_axes=model_axes, wanted=WANTED))


def test_objects_of_one_clear_size_are_brought_to_the_wanted_size_without_a_word():
    looks = Looks(lambda _: 16.0)
    size = size_of(picture(90, 120), looks)
    assert size.zoom == pytest.approx(2.0, rel=0.1)
    assert size.notices == ()
    assert size.seen is not None
    assert looks.zooms == [1.0, size.zoom]


def test_an_image_without_objects_is_left_as_it_is_without_a_word():
    size = size_of(picture(60, 60), Looks(lambda _: 0.0))
    assert (size.zoom, size.notices) == (1.0, ())


def test_a_size_that_the_model_is_not_sure_of_is_not_followed_and_the_looking_ends_at_once():
    looks = Looks(lambda _: 12.0, sure=CLEAR_ENOUGH - 0.05)
    size = size_of(picture(90, 120), looks)
    assert size.zoom == 1.0
    assert [n.code for n in size.notices] == ["W_OBJECT_SIZE"]
    assert "--diameter" in size.notices[0].text
    assert len(looks.zooms) == 1


def test_a_size_that_shrinks_with_every_look_is_not_followed():
    looks = Looks(lambda zoom: 20.0 if zoom == 1.0 else 8.0)
    size = size_of(picture(90, 120), looks)
    assert size.zoom == 1.0
    assert "20 voxels, the next of 8" in size.notices[0].text


def test_looking_never_goes_on_for_ever():
    widths = iter([20.0, 14.0, 10.0, 7.0, 5.0, 4.0])
    looks = Looks(lambda _: next(widths))
    size = size_of(picture(90, 120), looks)
    assert len(looks.zooms) == 3
    assert size.zoom <= 6.0


def test_a_stack_is_not_enlarged_beyond_a_bound_by_an_estimate_and_says_so():
    looks = Looks(lambda _: 7.0)
    size = size_of(picture(12, 90, 120), looks)
    assert size.zoom == STACK_ZOOM
    assert "--diameter" in size.notices[0].text
    flat = size_of(picture(90, 120), Looks(lambda _: 7.0))
    assert flat.zoom > STACK_ZOOM


def enlarged(image: Volume):
    return lambda zoom: zoomed_grid(image.grid, zoom, tuple(range(image.grid.ndim)))


def test_memory_that_is_too_small_lowers_an_estimated_zoom_and_says_so(monkeypatch):
    image = picture(40, 50, 60)
    working = enlarged(image)
    free = predicted_bytes(image.grid, working(2.0))
    monkeypatch.setattr("medseg.instance.memory.available_bytes", lambda: free)
    zoom, notices = affordable_zoom(image.grid, 3.0, working, asked=False)
    assert 1.9 <= zoom <= 2.02
    assert predicted_bytes(image.grid, working(zoom)) <= free
    assert [n.code for n in notices] == ["W_OBJECT_SIZE"]
    assert affordable_zoom(image.grid, 1.5, working, asked=False) == (1.5, ())


@pytest.mark.parametrize(("share", "zoom", "asked"), [(0.5, 1.0, False), (0.5, 3.0, False), (1.5, 3.0, True)])
def test_work_that_does_not_fit_is_refused_before_it_begins(monkeypatch, share, zoom, asked):
    image = picture(40, 50, 60)
    free = int(share * predicted_bytes(image.grid, image.grid))
    monkeypatch.setattr("medseg.instance.memory.available_bytes", lambda: free)
    with pytest.raises(ResourceError, match="--roi") as refusal:
        affordable_zoom(image.grid, zoom, enlarged(image), asked=asked)
    assert refusal.value.code == "E_OOM_CPU"


def test_nothing_is_bounded_where_the_system_does_not_tell_its_memory(monkeypatch):
    image = picture(40, 50, 60)
    monkeypatch.setattr("medseg.instance.memory.available_bytes", lambda: None)
    assert affordable_zoom(image.grid, 6.0, enlarged(image), asked=True) == (6.0, ())
