"""A folder in a process of its own: rows as cases end, stop, resume, open."""

import numpy as np
import pytest

pytest.importorskip("napari")
from segmenting import LONG, long_scan, sample

from medseg.io.write import write
from medseg.volume import Volume

pytestmark = pytest.mark.gl


@pytest.fixture
def widget(make_napari_viewer_proxy, qtbot):
    from napari_plugin._batch import BatchWidget

    viewer = make_napari_viewer_proxy()
    made = BatchWidget(viewer)
    made.viewer_of_test = viewer
    qtbot.addWidget(made)
    yield made
    made.run.close_down()


@pytest.fixture
def scans(tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    for name in ("a", "b"):
        write(Volume(sample().numpy(), sample().grid), folder / f"{name}.nii.gz")
    (folder / "cut.nii.gz").write_bytes((folder / "a.nii.gz").read_bytes()[:300])
    return folder


def rows(widget):
    """Return state and codes of every case in the table."""

    def text(row, column):
        item = widget.table.item(row, column)
        return "" if item is None else item.text()

    return {widget.case_at(r): [text(r, 1), text(r, 3)] for r in range(widget.table.rowCount())}


def states(widget):
    return [state for state, _ in rows(widget).values()]


def test_what_is_missing_is_said(widget, scans, tmp_path):
    assert "Choose the folder" in widget.run_button.toolTip()
    assert not widget.run_button.isEnabled()
    widget.inputs.line.setText(str(tmp_path / "nowhere"))
    assert "There is no folder" in widget.problem.text()
    widget.inputs.path = scans
    assert widget.out.path == tmp_path / "scans_results"
    assert widget.run_button.isEnabled()
    widget.out.path = scans
    assert "a folder of their own" in widget.run_button.toolTip()
    assert not widget.stop_button.isEnabled()
    assert not widget.report_button.isEnabled()


def test_a_folder_can_be_dropped(widget, scans, qtbot):
    from qtpy.QtCore import QMimeData, QPoint, Qt, QUrl
    from qtpy.QtGui import QDragEnterEvent, QDropEvent
    from qtpy.QtWidgets import QApplication

    held = QMimeData()
    held.setUrls([QUrl.fromLocalFile(str(scans))])
    where, given = QPoint(5, 5), (Qt.DropAction.CopyAction, held, Qt.MouseButton.LeftButton)
    over = QDragEnterEvent(where, *given, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(widget.inputs, over)
    assert over.isAccepted()
    QApplication.sendEvent(widget.inputs, QDropEvent(where.toPointF(), *given, Qt.KeyboardModifier.NoModifier))
    assert widget.inputs.path == scans


def test_each_case_has_a_row_and_a_finished_one_opens(widget, scans, qtbot):
    from medseg.io.read import read_labels

    widget.inputs.path = scans
    told = []
    widget.run.stepped.connect(told.append)
    with qtbot.waitSignal(widget.run.ended, timeout=LONG) as ended:
        widget.run_button.click()
        assert widget.stop_button.isEnabled()
        assert not widget.run_button.isEnabled()
    assert ended.args == [3]
    assert any(step.phase == "a: segmenting" for step in told)
    found = rows(widget)
    assert found["a"][0].startswith("ok")
    assert found["b"][0].startswith("ok")
    assert found["cut"] == ["refused", "E_INPUT_UNREADABLE"]
    assert "some cases were refused" in widget.result.text()
    assert widget.summary_button.isEnabled()
    assert widget.resume_button.isHidden()
    row = next(r for r in range(3) if widget.case_at(r) == "a")
    with qtbot.waitSignal(widget.bar.done, timeout=LONG):
        widget.table.cellDoubleClicked.emit(row, 0)
    image, labels = widget.viewer_of_test.layers
    written = read_labels(widget.out.path / "a_labels.nii.gz")
    np.testing.assert_array_equal(np.asarray(labels.data), written.array.T)
    np.testing.assert_allclose(labels.affine.affine_matrix, image.affine.affine_matrix)
    # results are there now: a second run is refused in words, not silently
    with qtbot.waitSignal(widget.run.ended, timeout=LONG) as ended:
        widget.run_button.click()
    assert ended.args == [2]
    assert "E_OUTPUT_EXISTS" in widget.result.text()


def test_the_row_of_the_case_under_way_tells_its_tiles_and_its_time(widget, tmp_path):
    from medseg.progress import Progress
    from medseg.workflow.journal import Watch

    widget._watch = Watch(tmp_path, cases=("a", "a: b", "c"))
    widget.show_rows(widget._watch.cases, [])
    widget.run.stepped.emit(Progress("a: b: segmenting", 3, 8, 75.0))
    assert rows(widget)["a: b"][0] == "segmenting 37 %"
    assert rows(widget)["a"][0] == rows(widget)["c"][0] == "waiting"
    assert "3 of 8, about 1 min 15 s left" in widget.table.item(1, 1).toolTip()
    widget.show_progress(1, 3, 20.0)
    assert widget.result.text() == "1 of 3 cases, about 20 s left"
    widget.show_progress(1, 3, None)
    assert widget.result.text() == "1 of 3 cases"


def test_a_run_that_is_stopped_keeps_what_is_complete_and_can_be_resumed(widget, scans, qtbot):
    write(long_scan(5), scans / "z.nii.gz")  # still under way when the first is done
    widget.inputs.path = scans
    widget.run_button.click()
    qtbot.waitUntil(lambda: any(state.startswith("ok") for state in states(widget)), timeout=LONG)
    with qtbot.waitSignal(widget.run.ended, timeout=LONG) as ended:
        widget.stop_button.click()
    assert ended.args == [143]
    assert "Resume" in widget.result.text()
    assert "not started" in states(widget)
    done = [case for case, (state, _) in rows(widget).items() if state.startswith("ok")]
    before = {case: (widget.out.path / f"{case}_labels.nii.gz").stat().st_mtime_ns for case in done}
    assert not widget.resume_button.isHidden()
    assert "--resume" in widget.request(resume=True).command_line()
    with qtbot.waitSignal(widget.run.ended, timeout=LONG) as ended:
        widget.resume_button.click()
    assert ended.args == [3]
    assert {c: (widget.out.path / f"{c}_labels.nii.gz").stat().st_mtime_ns for c in done} == before
    assert sum(state.startswith("ok") for state in states(widget)) == 3
    assert widget.resume_button.isHidden()
