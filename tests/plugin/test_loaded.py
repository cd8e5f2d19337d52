"""The model that stays in memory between two runs is one that somebody waited for."""

import pytest

pytest.importorskip("napari")
from medseg.progress import finish

A, B = ("a", "cpu"), ("b", "cpu")


@pytest.fixture
def loaded(monkeypatch):
    """Return an empty shelf; `loads` of it lists what was loaded, and `before` is called in the middle of a load."""
    from napari_plugin._loaded import LoadedModel

    made = LoadedModel()
    made.loads, made.before = [], lambda: None

    def load(name, *, device):
        made.loads.append((name, device))
        made.before()
        return object()

    monkeypatch.setattr("medseg.pipeline.load_model", load)
    return made


def test_a_model_is_loaded_once_for_two_runs_in_a_row(loaded):
    loaded.want(A)
    first = finish(loaded.steps(A))
    loaded.want(A)
    assert finish(loaded.steps(A)) is first
    assert loaded.loads == [A]


def test_another_model_takes_the_place_of_the_first_before_it_is_loaded(loaded):
    loaded.want(A)
    finish(loaded.steps(A))
    loaded.want(B)
    assert loaded.get(A) is None
    finish(loaded.steps(B))
    assert loaded.get(B) is not None


def test_a_model_whose_run_was_given_up_while_it_loaded_is_not_held(loaded):
    loaded.want(A)
    loaded.before = loaded.give_up
    finish(loaded.steps(A))
    assert loaded.get(A) is None


def test_a_model_whose_window_was_closed_while_it_loaded_is_not_held(loaded):
    loaded.want(A)
    loaded.before = loaded.forget
    finish(loaded.steps(A))
    assert loaded.get(A) is None


def test_a_model_that_was_given_up_and_wanted_again_while_it_loaded_is_held(loaded):
    loaded.want(A)
    loaded.before = lambda: (loaded.give_up(), loaded.want(A))
    first = finish(loaded.steps(A))
    assert loaded.get(A) is first


def test_a_late_load_does_not_take_the_place_of_the_model_that_is_wanted_now(loaded):
    loaded.want(A)
    loaded.before = lambda: loaded.want(B)
    finish(loaded.steps(A))
    assert loaded.get(A) is None
    loaded.before = lambda: None
    second = finish(loaded.steps(B))
    assert loaded.get(B) is second


def test_a_run_that_is_given_up_after_its_model_was_loaded_leaves_it_for_the_next(loaded):
    loaded.want(A)
    first = finish(loaded.steps(A))
    loaded.give_up()
    loaded.want(A)
    assert finish(loaded.steps(A)) is first
