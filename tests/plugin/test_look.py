"""A bright voxel whose place in the patient is known lies on the right side of the picture, in every plane."""

import numpy as np
import pytest

pytest.importorskip("napari")
from medseg import Grid, Volume
from medseg.grid import image_grid
from medseg.report.window import CT_WINDOWS
from medseg.volume import Source
from napari_plugin._layers import label_map_of, volume_layers

pytestmark = [pytest.mark.gl, pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")]

# stored orientations: as most scanners write, cut from the side, and turned by 20 degrees about the long axis
SAGITTAL_CUT = np.array([[0, 0, 3.0, -40], [-1.0, 0, 0, 25], [0, -1.2, 0, 12], [0, 0, 0, 1]])
TURN = np.deg2rad(20.0)
OBLIQUE = np.array(
    [
        [-0.8 * np.cos(TURN), -1.5 * np.sin(TURN), 0, 31.0],
        [-0.8 * np.sin(TURN), 1.5 * np.cos(TURN), 0, -17.5],
        [0, 0, 3.0, 8.25],
        [0, 0, 0, 1],
    ]
)
STORED = {"LAS": np.diag([-1.0, 1.2, 3.0, 1.0]), "cut from the side": SAGITTAL_CUT, "oblique": OBLIQUE}

# side of the picture on which a landmark shows that lies towards right, anterior and superior: (row, column) signs
TOWARDS = {"axial": ("A", "R"), "coronal": ("S", "R"), "sagittal": ("S", "A"), "3-D": ("S", "R")}


def scan_with_landmark(affine):
    """Return a dark scan with one bright block towards the patient's right, front and head."""
    grid = Grid((33, 31, 17), affine)
    centre = grid.world((np.array(grid.shape) - 1) / 2)
    index = np.indices(grid.shape).reshape(3, -1).T
    ahead = grid.world(index) - centre
    extent = np.abs(ahead).max(axis=0)
    inside = (np.abs(ahead / extent - 0.5) < 0.2).all(axis=1)
    image = np.zeros(grid.shape, np.float32)
    image.reshape(-1)[inside] = 1000.0
    return Volume(image[None], grid)


def look(viewer):
    _, widget = viewer.window.add_plugin_dock_widget("medseg", "Look")
    return widget


def show_landmark(viewer, volume):
    """Bring the slices of all planes through the landmark."""
    from napari_plugin._layers import world_point

    place = np.argwhere(volume.array[0] > 0).mean(axis=0)
    viewer.dims.set_point((0, 1, 2), world_point(viewer.layers[0], place, viewer))


def bright_side(viewer, qtbot):
    """Return on which side of the picture's own middle the bright pixels lie: (up, left), each True or False."""
    qtbot.wait(20)
    seen = viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(float).sum(axis=2)
    # the letters at the sides are white too
    rows, columns = np.nonzero(seen[60:-60, 60:-60] > 600)
    assert rows.size > 20
    return rows.mean() + 60 < seen.shape[0] / 2, columns.mean() + 60 < seen.shape[1] / 2


@pytest.mark.parametrize("affine", STORED.values(), ids=STORED)
def test_a_landmark_lies_on_its_side_in_every_plane(make_napari_viewer_proxy, qtbot, affine):
    viewer = make_napari_viewer_proxy(show=True)
    volume = scan_with_landmark(affine)
    ((data, attributes, _),) = volume_layers(volume, "scan")
    viewer.add_image(data, **attributes)
    widget = look(viewer)
    qtbot.wait(50)
    for plane, (top, left) in TOWARDS.items():
        widget.planes[plane].click()
        show_landmark(viewer, volume)
        # the block lies towards right, anterior and superior: R is on the left, A on the left of sagittal pictures
        assert bright_side(viewer, qtbot) == (True, True), plane
        sides = widget.letters.sides
        assert (sides.top, sides.left) == (top, left), plane
        assert viewer.canvas.overlays["medseg_top"].text == top
        assert widget.planes[plane].isChecked()


def test_the_letters_follow_a_picture_that_is_turned_by_hand(make_napari_viewer_proxy):
    viewer = make_napari_viewer_proxy()
    ((data, attributes, _),) = volume_layers(scan_with_landmark(STORED["LAS"]), "scan")
    viewer.add_image(data, **attributes)
    widget = look(viewer)
    assert widget.letters.sides.right == "L"
    viewer.dims.transpose()
    assert widget.letters.sides.right == "P"
    viewer.scene.camera.orientation2d = ("up", "right")
    assert widget.letters.sides.top == "L"


def test_windows_are_those_of_the_modality(make_napari_viewer_proxy, qtbot):
    viewer = make_napari_viewer_proxy()
    widget = look(viewer)
    assert not widget.planes["axial"].isEnabled()
    assert "Open an image" in widget.windows["brain"].toolTip()
    scan = scan_with_landmark(STORED["LAS"])
    ct = Volume(scan.array - 1000.0, scan.grid, source=Source("ct", "dicom", details={"modality": "CT"}))
    ((data, attributes, _),) = volume_layers(ct, "ct")
    layer = viewer.add_image(data, **attributes)
    assert layer.contrast_limits == [CT_WINDOWS["soft tissue"].low, CT_WINDOWS["soft tissue"].high]
    for name, window in CT_WINDOWS.items():
        widget.windows[name].click()
        assert layer.contrast_limits == [window.low, window.high]
    widget.windows["full range"].click()
    assert layer.contrast_limits == [-1000.0, 0.0]
    ((data, attributes, _),) = volume_layers(scan, "mr")
    viewer.add_image(data, **attributes)
    widget.choice.layer = viewer.layers["mr"]
    assert not widget.windows["brain"].isEnabled()
    assert "Hounsfield" in widget.windows["brain"].toolTip()
    assert widget.windows["auto"].isEnabled()


def test_an_oblique_scan_says_so_and_a_straight_one_does_not(make_napari_viewer_proxy):
    viewer = make_napari_viewer_proxy()
    widget = look(viewer)
    for name in ("LAS", "oblique"):
        ((data, attributes, _),) = volume_layers(scan_with_landmark(STORED[name]), name)
        viewer.add_image(data, **attributes)
        widget.choice.layer = viewer.layers[name]
        assert ("Oblique" in widget.facts.text()) == (name == "oblique")
    assert "20°" in widget.facts.text()


def test_a_flat_micrograph_has_no_planes_and_no_letters(make_napari_viewer_proxy):
    viewer = make_napari_viewer_proxy()
    widget = look(viewer)
    picture = Volume(np.eye(20)[None], image_grid((20, 20), (0.5, 0.5), "um"))
    ((data, attributes, _),) = volume_layers(picture, "cells")
    viewer.add_image(data, **attributes)
    assert not widget.planes["axial"].isEnabled()
    assert "flat" in widget.planes["axial"].toolTip()
    assert widget.letters.sides is None
    assert "µm" in widget.facts.text()


def test_the_centre_is_found_and_new_labels_lie_on_the_image(make_napari_viewer_proxy):
    viewer = make_napari_viewer_proxy()
    widget = look(viewer)
    volume = scan_with_landmark(STORED["cut from the side"])
    ((data, attributes, _),) = volume_layers(volume, "scan")
    viewer.add_image(data, **attributes)
    viewer.dims.set_point((0, 1, 2), (-1e3, -1e3, -1e3))
    widget.centre.click()
    x, y, z = volume.grid.world((16, 15, 8))
    np.testing.assert_allclose(viewer.dims.point, (-z, -y, -x), atol=1e-6)
    widget.draw.click()
    made = label_map_of(viewer.layers["scan_labels"])
    assert made.grid.same_as(volume.grid, tolerance=0.0)
    assert not made.array.any()


def test_closing_the_widget_takes_the_letters_away(make_napari_viewer_proxy):
    viewer = make_napari_viewer_proxy()
    ((data, attributes, _),) = volume_layers(scan_with_landmark(STORED["LAS"]), "scan")
    viewer.add_image(data, **attributes)
    widget = look(viewer)
    assert viewer.canvas.overlays["medseg_left"].text == "R"
    widget.close()
    assert "medseg_left" not in viewer.canvas.overlays
    viewer.dims.transpose()
    assert "medseg_left" not in viewer.canvas.overlays
