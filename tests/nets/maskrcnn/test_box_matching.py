"""Which box learns from which object."""

import torch

from medseg.nets.maskrcnn import matching
from medseg.nets.maskrcnn.boxes import overlaps
from medseg.nets.maskrcnn.matching import drawn, hard_drawn, match


def boxes(count, seed):
    generator = torch.Generator().manual_seed(seed)
    starts = torch.rand(count, 3, generator=generator) * 30
    return torch.cat([starts, starts + 1 + torch.rand(count, 3, generator=generator) * 20], dim=1)


def test_every_box_gets_its_best_object_whatever_the_number_held_at_a_time(monkeypatch):
    a, objects = boxes(200, 0), boxes(17, 1)
    table = overlaps(objects, a)
    for at_a_time in (256, 5, 1):
        monkeypatch.setattr(matching, "OBJECTS_AT_A_TIME", at_a_time)
        overlap, which, favourite = match(a, objects)
        torch.testing.assert_close(overlap, table.amax(0))
        assert torch.equal(table[which, torch.arange(200)], overlap)
        chosen = favourite >= 0
        torch.testing.assert_close(
            table[favourite[chosen], chosen.nonzero().flatten()], table.amax(1)[favourite[chosen]]
        )
        assert chosen[table.argmax(1)].all()


def test_an_object_far_smaller_than_all_boxes_still_has_a_favourite():
    a = torch.tensor([[0.0, 0.0, 32.0, 32.0], [40.0, 40.0, 72.0, 72.0]])
    overlap, _, favourite = match(a, torch.tensor([[50.0, 50.0, 51.0, 51.0]]))
    assert overlap.max() < 0.01
    assert favourite.tolist() == [-1, 0]


def test_an_object_that_no_box_touches_has_none():
    _, _, favourite = match(torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.tensor([[50.0, 50.0, 51.0, 51.0]]))
    assert favourite.tolist() == [-1]


def test_without_objects_or_boxes_nothing_matches():
    overlap, which, favourite = match(boxes(5, 0), torch.zeros(0, 6))
    assert (overlap.max(), which.max(), favourite.max()) == (0, 0, -1)
    assert all(len(part) == 0 for part in match(torch.zeros(0, 6), boxes(5, 0)))


def test_draws_keep_to_the_count_and_repeat_with_the_seed():
    where = torch.arange(100) % 3 == 0
    one = drawn(where, 10, torch.Generator().manual_seed(4))
    assert torch.equal(one, drawn(where, 10, torch.Generator().manual_seed(4)))
    assert not torch.equal(one, drawn(where, 10, torch.Generator().manual_seed(5)))
    assert len(set(one.tolist())) == 10
    assert where[one].all()
    assert torch.equal(drawn(where, 1000, torch.Generator()), where.nonzero().flatten())


def test_hard_draws_come_from_the_most_mistaken():
    mistaken = torch.arange(1000.0)
    found = hard_drawn(mistaken < 900, mistaken, 10, torch.Generator().manual_seed(0))
    assert len(found) == 10
    assert found.min() >= 900 - 10 * matching.HARD_POOL
    assert found.max() < 900
