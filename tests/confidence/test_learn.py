import numpy as np
import pytest

from medseg.confidence.expect import expected_dice, lower_bound
from medseg.confidence.learn import AS_IT_IS, Look, area_under_curve, learned

WAYS = ("noise", "blur", "ghosts", "bias")


def looks(noise=0.03, *, n_cases=12, follows=True, seed=0):
    """Two structures whose Dice follows from the width of the rim, or does not."""
    rng = np.random.default_rng(seed)
    made = []
    for case in range(n_cases):
        for way in (AS_IT_IS, *(way for way in WAYS for _ in range(4))):
            width = rng.uniform(0.5, 0.7, 2) if way == AS_IT_IS else rng.uniform(0.5, 2.5, 2)
            dice = 1 / (1 + np.exp(-(4 - 2 * width))) if follows else np.full(2, 0.7) + rng.uniform(-0.2, 0.2, 2)
            dice = np.clip(dice + rng.normal(0, noise, 2), 0, 1)
            made.append(Look(f"case {case:02}", way, tuple(width), tuple(dice)))
    return made


def test_the_curve_behind_the_looks_is_found():
    found = learned(looks(), (1, 2), {1})
    for curve in found.structures.values():
        width = np.linspace(0.5, 2.5, 9)
        np.testing.assert_allclose(expected_dice(width, curve), 1 / (1 + np.exp(-(4 - 2 * width))), atol=0.03)
    assert [found.structures[c].always_there for c in (1, 2)] == [True, False]
    assert found.n_cases == 12
    assert found.n_looks == 12 * 17
    assert found.ways == tuple(sorted(WAYS))
    assert found.measured["rank"] > 0.9


def test_new_results_reach_the_bound_as_often_as_it_says():
    found = learned(looks(), (1, 2), ())
    new = looks(seed=1, n_cases=60)
    for k, curve in enumerate(found.structures.values()):
        low = lower_bound(expected_dice(np.array([own.widths[k] for own in new]), curve), curve.widening)
        assert (np.array([own.dice[k] for own in new]) >= low).mean() > 0.88


def test_the_order_of_the_looks_does_not_matter():
    own = looks()
    other = [own[k] for k in np.random.default_rng(3).permutation(len(own))]
    a, b = learned(own, (1, 2), ()), learned(other, (1, 2), ())
    for c in (1, 2):
        assert a.structures[c].slope == pytest.approx(b.structures[c].slope, abs=1e-4)
        assert a.structures[c].widening == pytest.approx(b.structures[c].widening, abs=1e-3)


def test_a_dice_that_does_not_follow_is_not_promised():
    assert learned(looks(follows=False), (1, 2), ()) is None


@pytest.mark.parametrize("n_cases", [1, 3])
def test_from_a_few_cases_nothing_is_learned(n_cases):
    assert learned(looks(n_cases=n_cases), (1, 2), ()) is None


def test_where_no_look_is_bad_nothing_is_learned():
    good = [Look(own.case, own.way, own.widths, (0.9, 0.91 + 0.001 * k % 0.01)) for k, own in enumerate(looks())]
    assert learned(good, (1, 2), ()) is None


def test_looks_without_a_structure_do_not_count_for_it():
    nothing = float("nan")
    own = [Look(a.case, a.way, (a.widths[0], nothing), (a.dice[0], nothing)) for a in looks()]
    assert list(learned(own, (1, 2), ()).structures) == [1]


def test_a_limit_lies_below_what_is_usual():
    found = learned(looks(), (1, 2), ())
    plain = np.array([own.dice for own in looks() if own.way == AS_IT_IS])
    for k, curve in enumerate(found.structures.values()):
        assert curve.limit == pytest.approx(np.median(plain[:, k]) - 0.1, abs=1e-3)


def test_the_area_under_the_curve_counts_ties_half():
    assert area_under_curve(np.array([True, False]), np.array([1.0, 1.0])) == 0.5
    assert np.isnan(area_under_curve(np.array([True, True]), np.array([1.0, 2.0])))


def test_a_network_that_is_sure_where_it_is_wrong_promises_nothing_instead_of_an_error():
    def dice(width):
        return 1 / (1 + np.exp(-(6.5 - 4 * width)))

    found = []
    for case in range(20):
        name = f"case {case:02}"
        found.append(Look(name, AS_IT_IS, (0.1,), (dice(0.1),)))
        found += [Look(name, way, (width,), (dice(width),)) for way in WAYS for width in (0.6, 1.2, 1.8, 2.4)]
        found += [Look(name, "not seen", (0.1,), (0.1 if level == 3 else dice(0.1),)) for level in range(4)]
    assert learned(found, (1,), {1}) is None
    assert learned([look for look in found if look.way != "not seen"], (1,), {1}) is not None


def test_looks_that_are_hardly_ever_spoiled_teach_nothing():
    plain = [look for look in looks(n_cases=200) if look.way == AS_IT_IS]
    assert learned([*plain, *looks(n_cases=12)[:20]], (1, 2), {1}) is None
