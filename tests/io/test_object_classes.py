"""The classes of objects: from a table or an image, and one sentence for each way in which they can be wrong."""

import json

import numpy as np
import pytest

from medseg.errors import InputError
from medseg.grid import image_grid
from medseg.io.dataset import find_pairs
from medseg.io.object_classes import names_in_tables, read_object_classes
from medseg.io.tiff_write import write_tiff
from medseg.labels import LabelMap

ARRAY = np.array([[7, 7, 0, 90_000], [0, 7, 0, 90_000], [3, 3, 0, 0]], np.uint32)
NAMES = {1: "cell", 4: "debris"}
GOOD = "label,class\n7,cell\n90000,debris\n3,cell\n"


def label_map(array=ARRAY):
    return LabelMap(array, image_grid(array.shape, (1.0,) * array.ndim, "px"))


def a_table(folder, text, name="a.csv", **encoding):
    path = folder / name
    path.write_text(text, **encoding)
    return path


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        GOOD.replace(",", ";"),
        "\ufeff" + GOOD,
        "object_id,class_id,name,score,flags\n7,1,cell,1.0,\n90000,4,debris,0.5,likely_merged\n3,1,cell,1.0,\n",
        "label,class\n7,1\n90000,4\n3,1\n",
        "class,label\ncell,7\ndebris,90000\ncell,3\ncell,7\n",
    ],
    ids=["plain", "semicolons", "byte order mark", "objects of count", "numbers of classes", "one row twice"],
)
def test_a_table_tells_the_class_of_every_object(tmp_path, text):
    path = a_table(tmp_path, text, encoding="utf-8")
    assert read_object_classes(path, label_map(), NAMES) == {7: 1, 90_000: 4, 3: 1}


def test_an_image_tells_the_class_of_every_object_though_it_may_leave_out_some_of_its_voxels(tmp_path):
    classes = np.where(ARRAY == 90_000, 4, np.where(ARRAY > 0, 1, 0)).astype(np.uint8)
    classes[0, 0] = 0
    write_tiff(label_map(classes), tmp_path / "a.tif")
    assert read_object_classes(tmp_path / "a.tif", label_map(), NAMES) == {3: 1, 7: 1, 90_000: 4}
    assert read_object_classes(tmp_path / "a.tif", label_map(), {}) == {3: 1, 7: 1, 90_000: 4}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GOOD + "3,debris\n", "object 3 as cell and as debris"),
        (GOOD.replace("90000,debris", "90000,bubble"), "the class 'bubble' of object 90000"),
        ("label,class\n7,cell\n", "no class for objects 3, 90000 of the label image"),
        (GOOD + "8,cell\n", "classes for object 8, which the label image does not hold"),
        (GOOD.replace("7,cell", "seven,cell"), "the object 'seven' of class 'cell' in line 2"),
        (GOOD.replace("7,cell", "7,"), "the object '7' of class '' in line 2"),
        ("id,kind\n7,cell\n", "a table with id, kind"),
        ("", "a table with no columns"),
    ],
)
def test_a_wrong_table_is_refused_in_one_sentence(tmp_path, text, told):
    with pytest.raises(InputError) as refused:
        read_object_classes(a_table(tmp_path, text), label_map(), NAMES)
    assert told in refused.value.found
    assert refused.value.code == "E_LABELS_INVALID"
    assert refused.value.not_done == "no training was started"


def test_a_table_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"label,class\n7,\xff\xfe\n")
    with pytest.raises(InputError, match="cannot be read"):
        read_object_classes(tmp_path / "a.csv", label_map(), NAMES)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda c: c.__setitem__((0, 0), 4), "object 7 as class 1 and as class 4"),
        (lambda c: c.__setitem__(c == 4, 5), "the class 5"),
        (lambda c: c.__setitem__(c == 4, 0), "no class for object 90000"),
    ],
)
def test_a_wrong_image_of_classes_is_refused_in_one_sentence(tmp_path, spoil, told):
    classes = np.where(ARRAY == 90_000, 4, np.where(ARRAY > 0, 1, 0)).astype(np.uint8)
    spoil(classes)
    write_tiff(label_map(classes), tmp_path / "a.tif")
    with pytest.raises(InputError) as refused:
        read_object_classes(tmp_path / "a.tif", label_map(), NAMES)
    assert told in refused.value.found


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("step", [1, 5_000_000], ids=["small numbers", "large numbers"])
def test_each_object_of_a_stack_gets_the_class_that_the_image_has_there(tmp_path, order, step):
    rng = np.random.default_rng(4)
    array = rng.integers(0, 40, (3, 7, 9)).astype(np.uint32)
    class_of = rng.integers(1, 5, 40)
    classes = np.where(array > 0, class_of[array], 0).astype(np.uint8)
    write_tiff(label_map(classes), tmp_path / "a.tif")
    labels = label_map(np.asarray(array * np.uint32(step), order=order))
    wanted = {int(i) * step: int(class_of[i]) for i in np.unique(array) if i}
    assert read_object_classes(tmp_path / "a.tif", labels, {}) == wanted
    classes[array == 7] = 0
    write_tiff(label_map(classes), tmp_path / "a.tif")
    with pytest.raises(InputError, match=f"no class for object {7 * step} of the label image"):
        read_object_classes(tmp_path / "a.tif", labels, {})


def test_an_image_of_classes_of_another_size_is_refused(tmp_path):
    write_tiff(label_map(np.ones((5, 4), np.uint8)), tmp_path / "a.tif")
    with pytest.raises(InputError, match="5x4 voxels"):
        read_object_classes(tmp_path / "a.tif", label_map(), NAMES)


def test_only_an_image_without_objects_needs_no_classes():
    assert read_object_classes(None, label_map(np.zeros_like(ARRAY)), NAMES) == {}
    with pytest.raises(InputError, match="3 objects whose classes nothing tells"):
        read_object_classes(None, label_map(), NAMES)


def test_names_are_numbered_in_their_order_over_all_tables(tmp_path):
    one = a_table(tmp_path, "label,class\n1,nucleus\n2,debris\n", "one.csv")
    two = a_table(tmp_path, "label,class\n1,axon\n", "two.csv")
    assert names_in_tables([one, two]) == {1: "axon", 2: "debris", 3: "nucleus"}
    many = a_table(tmp_path, "label,class\n" + "".join(f"{n},{n}\n" for n in range(1, 300)), "many.csv")
    with pytest.raises(InputError, match="299 different classes"):
        names_in_tables([many])


def test_numbers_of_thousands_of_digits_are_refused_in_words(tmp_path):
    with pytest.raises(InputError, match=r"the object '1111.* in line 2") as caught:
        names_in_tables([a_table(tmp_path, f"label,class\n{'1' * 5000},cell\n")])
    assert len(str(caught.value)) < 1000
    with pytest.raises(InputError, match="the class '1111"):
        read_object_classes(a_table(tmp_path, f"label,class\n1,{'1' * 5000}\n"), label_map(), NAMES)
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"1" * 5000: "cell"}}))
    with pytest.raises(InputError, match="a whole number from 0 to 65535"):
        find_pairs(data_set(tmp_path, "a"))


def data_set(root, *names):
    for folder in ("images", "labels", "classes"):
        (root / folder).mkdir(exist_ok=True)
    for name in names:
        write_tiff(label_map(), root / "images" / f"{name}.tif")
        write_tiff(label_map(), root / "labels" / f"{name}.tif")
    return root


def test_a_data_set_finds_its_tables_and_names(tmp_path):
    root = data_set(tmp_path, "a", "b", "c")
    a_table(root / "classes", GOOD)
    a_table(root / "classes", GOOD, "b_objects.csv")
    found = find_pairs(root)
    assert [None if c.classes is None else c.classes.name for c in found.cases] == ["a.csv", "b_objects.csv", None]
    assert found.object_classes == {1: "cell", 2: "debris"}
    assert found.classes == {}
    (root / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "cell": 1, "debris": 4}}))
    assert find_pairs(root).object_classes == NAMES
    a_table(root / "classes", GOOD, "a_objects.csv")
    with pytest.raises(InputError, match="two files that say the classes of a"):
        find_pairs(root)


def test_a_data_set_without_the_folder_has_objects_of_one_kind(tmp_path):
    root = data_set(tmp_path, "a")
    (root / "classes").rmdir()
    found = find_pairs(root)
    assert found.cases[0].classes is None
    assert found.object_classes == {}
