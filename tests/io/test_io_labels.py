"""Which numbers of an image are labels."""

import numpy as np
import pytest

from medseg.errors import InputError
from medseg.grid import Grid
from medseg.io.labels import as_labels
from medseg.volume import Volume


def volume(numbers, dtype) -> Volume:
    array = np.array(numbers, dtype=dtype).reshape(1, -1, 1, 1)
    return Volume(array, Grid(array.shape[1:], np.eye(4)))


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "u4", "i8", "u8"])
def test_integers_are_kept_exactly(dtype):
    labels = as_labels(volume([0, 1, 127], dtype))
    assert labels.array.dtype == np.dtype(dtype)
    assert labels.array.ravel().tolist() == [0, 1, 127]
    assert labels.warnings == ()


def test_large_numbers_stay_apart_or_are_refused():
    assert as_labels(volume([2**53, 2**53 - 1], "i8")).array.ravel().tolist() == [2**53, 2**53 - 1]
    for numbers, dtype in (([2**53 + 1], "i8"), ([2**63 + 1], "u8"), ([2**24 + 2], "f4")):
        with pytest.raises(InputError) as caught:
            as_labels(volume(numbers, dtype))
        assert caught.value.code == "E_LABELS_INVALID"


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_fractions_near_whole_numbers_are_rounded_not_cut(dtype):
    labels = as_labels(volume([0.0, 0.9999999, 2.0004], dtype))
    assert labels.array.dtype == np.uint8
    assert labels.array.ravel().tolist() == [0, 1, 2]
    assert [n.code for n in labels.warnings] == ["W_LABELS_ROUNDED"]


def test_whole_numbers_stored_as_fractions_need_no_notice():
    labels = as_labels(volume([0.0, 300.0], "f4"))
    assert labels.array.dtype == np.uint16
    assert labels.warnings == ()


@pytest.mark.parametrize(
    ("numbers", "dtype", "words"),
    [
        ([0, -3], "i2", "the label -3"),
        ([0.0, -1.0], "f4", "the label -1"),
        ([0.5], "f4", "0.5 from a whole number"),
        ([1.002], "f8", "from a whole number"),
        ([np.nan, 1.0], "f4", "1 values that are not numbers"),
        ([np.inf], "f8", "not numbers"),
    ],
)
def test_values_that_are_no_labels_are_refused_in_words(numbers, dtype, words):
    with pytest.raises(InputError, match=words) as caught:
        as_labels(volume(numbers, dtype))
    assert caught.value.code == "E_LABELS_INVALID"


def test_unknown_labels_are_named_when_the_classes_are_known():
    known = {1: "anterior", 2: "posterior"}
    labels = as_labels(volume([0, 1, 2], "u1"), classes=known)
    assert labels.classes == known
    for numbers, dtype in (([0, 1, 7], "u1"), ([0, 1, 70000], "i4")):
        with pytest.raises(InputError, match=f"the labels {numbers[-1]}, expected only 0 and 1, 2"):
            as_labels(volume(numbers, dtype), classes=known)
    with pytest.raises(InputError, match="the labels 1"):
        as_labels(volume([0, 1, 2], "u1"), classes={2: "posterior"})


def test_several_channels_are_no_label_image():
    with pytest.raises(InputError, match="2 channels") as caught:
        as_labels(Volume(np.zeros((2, 3, 3, 3), np.uint8), Grid((3, 3, 3), np.eye(4))))
    assert caught.value.code == "E_DIMENSIONS_UNSUPPORTED"
