"""The table without a viewer: rows are label ids, whatever the sorting, the filter and the gaps in the numbers."""

import numpy as np
import pandas as pd
import pytest
from qtpy.QtCore import Qt

from medseg.grid import image_grid
from medseg.labels import Instances, Segment
from medseg.measure import measure
from napari_plugin._objects_export import as_text, features, save_csv
from napari_plugin._objects_model import ObjectModel
from napari_plugin._objects_store import REVIEWED, ObjectStore

GRID = image_grid((20, 30), (0.5, 0.5), "um")
ROWS = {3: 1, 7: 12, 40: 5, 41: 9}
"""Ids and their sizes in pixels."""


def _table():
    array = np.zeros(GRID.shape, np.uint8)
    for row, (number, size) in enumerate(ROWS.items()):
        array[4 * row, 1 : 1 + size] = number
    segments = (
        Segment(3, 1, 0.9),
        Segment(7, 2, 0.4, flags=("likely_merged",)),
        Segment(40, 1, 0.8, flags=("touches_border",)),
        Segment(41, 1, 0.95, flags=("likely_fragment",)),
    )
    return measure(Instances(array, GRID, segments, {1: "cell", 2: "debris"}))


@pytest.fixture
def model(qapp):
    model = ObjectModel()
    model.show(ObjectStore(_table()))
    return model


def _column(model, name):
    return model.columns.index(name)


def test_the_store_gives_back_the_table_of_the_measuring_with_a_column_for_what_was_seen():
    table = _table()
    back = ObjectStore(table, reviewed=(40,)).frame()
    pd.testing.assert_frame_equal(back.drop(columns=REVIEWED), table, check_dtype=False)
    assert back[REVIEWED].tolist() == [False, False, True, False]
    assert [str(back[c].dtype) for c in ("object_id", "class_id", "voxels")] == ["int64", "Int64", "int64"]


def test_sorting_by_size_moves_rows_but_ids_stay_with_their_values(model):
    size = _column(model, "area_um2")
    model.sort(size, Qt.SortOrder.DescendingOrder)
    assert model.shown_ids() == [7, 41, 40, 3]
    assert model.data(model.index(model.row_of(41), size)) == "2.25"
    model.sort(size)
    assert model.shown_ids() == [3, 40, 41, 7]


def test_empty_values_stand_last_either_way(model):
    model.store.put(40, "score", np.nan)
    for order in (Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder):
        model.sort(_column(model, "score"), order)
        assert model.shown_ids()[-1] == 40
    assert model.data(model.index(3, _column(model, "score"))) == ""


def test_what_needs_eyes_comes_first_and_what_was_seen_last(model):
    model.sort_by_need()
    assert model.shown_ids() == [7, 41, 40, 3]  # flagged by score, then the rest; an edge alone asks for no look
    model.put(7, {REVIEWED: True})
    model.sort_by_need()
    assert model.shown_ids() == [41, 40, 3, 7]


@pytest.mark.parametrize(
    ("typed", "ids"),
    [
        ("", [3, 7, 40, 41]),
        ("debris", [7]),
        ("likely", [7, 41]),
        ("not likely", [3, 40]),
        ("41", [41]),
        ("score < 0.85", [7, 40]),
        ("size >= 1.25, cell", [40, 41]),
        ("area um2 = 0.25", [3]),
        ("reviewed", []),
        ("not reviewed, longest diameter > 2", [7, 41]),
    ],
)
def test_the_filter_understands_words_numbers_and_comparisons(model, typed, ids):
    model.filter_by(typed)
    assert model.shown_ids() == ids


def test_a_column_that_is_not_there_is_told_in_words_and_changes_nothing(model):
    model.filter_by("cell")
    with pytest.raises(ValueError, match="weight"):
        model.filter_by("weight > 3")
    assert model.shown_ids() == [3, 40, 41]


def test_rows_are_replaced_added_and_dropped_without_the_others_moving(model, qtbot):
    model.sort(_column(model, "area_um2"), Qt.SortOrder.DescendingOrder)
    table = _table()
    grown = table[table["object_id"] == 3].assign(area_um2=99.0)
    new = table[table["object_id"] == 3].assign(object_id=200)
    with qtbot.waitSignals([model.rowsInserted, model.rowsRemoved, model.dataChanged]):
        model.update_rows(pd.concat([grown, new]), gone=[41])
    assert model.shown_ids() == [7, 40, 3, 200]
    assert model.data(model.index(model.row_of(3), _column(model, "area_um2"))) == "99"
    assert model.row_of(41) is None
    assert model.store.ids.tolist() == [3, 7, 40, 200]
    model.sort(_column(model, "object_id"))
    assert model.shown_ids() == [3, 7, 40, 200]


def test_the_chosen_row_follows_its_object_through_sorting_and_filter(model):
    from qtpy.QtCore import QPersistentModelIndex

    held = QPersistentModelIndex(model.index(model.row_of(40), 0))
    model.sort(_column(model, "area_um2"), Qt.SortOrder.DescendingOrder)
    assert model.id_at(held.row()) == 40
    model.filter_by("debris")
    assert not held.isValid()


def test_a_tick_is_handed_on_and_not_taken_for_an_edit(model, qtbot):
    cell = model.index(model.row_of(40), _column(model, REVIEWED))
    with qtbot.waitSignal(model.ticked) as told:
        model.setData(cell, Qt.CheckState.Checked.value, Qt.ItemDataRole.CheckStateRole)
    assert told.args == [40, True]
    assert not model.setData(model.index(0, 0), "x")


def test_saved_and_copied_tables_have_the_columns_of_the_command_line_and_reviewed(tmp_path):
    table, store = _table(), ObjectStore(_table(), reviewed=(7,))
    store.update(table[:0], gone=[3])
    save_csv(store, tmp_path / "objects.csv")
    back = pd.read_csv(tmp_path / "objects.csv")
    assert list(back.columns) == [*table.columns, "reviewed"]
    assert back["object_id"].tolist() == [7, 40, 41]
    assert back["reviewed"].tolist() == [True, False, False]
    lines = as_text(store, np.array([store.place(41)])).splitlines()
    assert lines[0].split("\t") == [*table.columns, "reviewed"]
    assert lines[1].startswith("41\t")
    assert len(lines) == 2


def test_features_are_found_by_label_id(qapp):
    from napari.layers import Labels

    layer = Labels(np.zeros(GRID.shape, np.uint8))
    layer.features = features(ObjectStore(_table()))
    assert layer.features["index"].tolist() == [3, 7, 40, 41]
    assert layer.features.loc[1, "class"] == "debris"


@pytest.fixture(scope="module")
def many():
    rng = np.random.default_rng(0)
    n = 100_000
    table = pd.concat([_table()[:1]] * 2, ignore_index=True)
    table = table.loc[np.zeros(n, int)].reset_index(drop=True)
    table["object_id"] = np.arange(n) * 3 + 1
    table["area_um2"], table["score"] = rng.random(n), rng.random(n)
    return table


def test_a_hundred_thousand_rows_are_sorted_and_followed_by_whole_columns(qapp, many):
    model = ObjectModel()
    model.show(ObjectStore(many))
    assert model.rowCount() == 100_000
    model.sort(_column(model, "score"))
    values = model.store.column("score")[model.shown_places()]
    assert (np.diff(values) >= 0).all()
    model.update_rows(many[500:501].assign(area_um2=5.0), gone=[4])
    assert model.rowCount() == 99_999
    assert model.data(model.index(model.row_of(1501), _column(model, "area_um2"))) == "5"
