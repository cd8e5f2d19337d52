"""Who shares a face with whom."""

import numpy as np
import pytest

from medseg.ops.contact import touching


def crowd(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 40, shape).astype(np.uint16) * 7


def by_hand(array, ids):
    pairs = set()
    for axis in range(array.ndim):
        ahead = np.moveaxis(array, axis, 0)
        for a, b in zip(ahead[:-1].ravel().tolist(), ahead[1:].ravel().tolist(), strict=True):
            if a != b and a and b:
                pairs.add((min(a, b), max(a, b)))
    return [sum(i in pair for pair in pairs) for i in ids.tolist()]


@pytest.mark.parametrize("shape", [(9, 14), (4, 6, 5), (1, 8)])
@pytest.mark.parametrize("compiled", [True, False])
def test_contacts_are_those_counted_face_by_face_with_and_without_the_compiler(shape, compiled, monkeypatch):
    if not compiled:
        monkeypatch.setattr("medseg.ops.contact.kernels", lambda name: None)
    array = crowd(shape)
    ids = np.unique(array[array > 0]).astype(np.int64)
    for stored in (array, np.asfortranarray(array), array[::-1]):
        assert touching(stored, ids).tolist() == by_hand(stored, ids)


def test_corners_are_no_contact_and_nothing_touches_nothing():
    assert touching(np.array([[1, 0], [0, 2]]), np.array([1, 2])).tolist() == [0, 0]
    assert touching(np.zeros((3, 3), np.uint8), np.zeros(0, np.int64)).tolist() == []
