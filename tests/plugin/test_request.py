"""What was clicked can be repeated: as a command and as a recipe, with the same labels."""

import shlex

import numpy as np
import pytest
import yaml

pytest.importorskip("napari")
from segmenting import LONG, sample

from medseg.cli.app import build
from medseg.io.read import read_labels
from medseg.io.write import write
from medseg.volume import Source, Volume
from medseg.workflow.recipe import load_recipe, run_of_recipe
from napari_plugin._request import Request, request_of_image

BOX = ((2, 30), (5, 40), (3, 30))
REQUESTS = {
    "plain": Request("segment", ("scan one.nii.gz",), {"model": "hippocampus"}),
    "all": Request(
        "segment",
        ("a.nii.gz", "b.nii.gz"),
        {"model": "hippocampus", "device": "cpu", "tta": True, "roi": BOX, "save_maps": True, "out": "my results"},
    ),
    "count": Request("count", ("cells.png",), {"model": "nuclei", "diameter": 29.5, "splitting": {"min_depth": 0.3}}),
    "series": Request("segment", ("dicom",), {"series": "1.2.3", "pixel_size": (0.5, 0.25, 0.25)}),
}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_command_and_recipe_say_the_same(request_, tmp_path, monkeypatch):
    from typer.testing import CliRunner

    told = []
    monkeypatch.setattr("medseg.workflow.run.run_steps", lambda *given, **options: told.append((given, options)))
    monkeypatch.setattr("medseg.progress.finish", lambda steps, show=None: steps)
    words = shlex.split(request_.command_line())
    assert words[0] == "medseg"
    CliRunner().invoke(build(), words[1:])
    (inputs, out), options = told[0]
    (tmp_path / "recipe.yaml").write_text(request_.recipe())
    assert (inputs, out, options["options"]) == run_of_recipe(load_recipe(tmp_path / "recipe.yaml"))


@pytest.mark.parametrize(
    ("request_", "options"),
    [
        (Request("split", ("cells_labels.tif",), {"method": "watershed", "min_size": 30.0}), {"min_size": 30.0}),
        (Request("measure", ("a_labels.nii.gz",), {"image": "a.nii.gz"}), {"image": "a.nii.gz"}),
        (Request("evaluate", ("mine", "theirs"), {"kind": "instances"}), {"references": "theirs"}),
    ],
)
def test_other_verbs_have_recipes_too(request_, options):
    recipe = yaml.safe_load(request_.recipe())
    assert recipe["verb"] == request_.verb
    assert options.items() <= recipe["options"].items()


def test_an_image_that_is_not_on_disk_cannot_be_named(tmp_path):
    gone = Source(str(tmp_path / "gone.nii.gz"), "nifti")
    for source in (None, gone):
        with pytest.raises(LookupError, match="no command can name it"):
            request_of_image([source], ["0"], verb="segment")


def test_one_channel_of_several_is_named_and_channel_files_are_joined_by_their_numbers(tmp_path, oblique_grid):
    from medseg.grid import image_grid

    two = Volume(np.zeros((2, 16, 16), np.uint8), image_grid((16, 16), (1.0, 1.0), "um"), ("dapi", "gfp"))
    write(two, tmp_path / "two.tif")
    source = Source(str(tmp_path / "two.tif"), "tiff")
    assert request_of_image([source], ["gfp"], verb="count").options["channel"] == "gfp"
    names = [tmp_path / f"case_{k:04d}.nii.gz" for k in range(2)]
    for name in names:
        write(Volume(np.zeros((1, *oblique_grid.shape), np.float32), oblique_grid), name)
    sources = [Source(str(name), "nifti") for name in names]
    assert request_of_image(sources, ["0", "0"], verb="segment").inputs == tuple(str(name) for name in names)
    with pytest.raises(LookupError, match="cannot join"):
        request_of_image(sources[::-1], ["0", "0"], verb="segment")


@pytest.mark.gl
def test_the_copied_recipe_gives_the_very_labels_of_the_layer(make_napari_viewer_proxy, qtbot, tmp_path, monkeypatch):
    from qtpy.QtWidgets import QApplication
    from typer.testing import CliRunner

    from napari_plugin._layers import label_map_of
    from napari_plugin._segment import SegmentWidget

    monkeypatch.chdir(tmp_path)
    write(Volume(sample().numpy(), sample().grid), tmp_path / "my scan.nii.gz")
    viewer = make_napari_viewer_proxy()
    widget = SegmentWidget(viewer)
    qtbot.addWidget(widget)
    viewer.open(str(tmp_path / "my scan.nii.gz"), plugin="medseg")
    for box in (None, BOX):
        monkeypatch.setattr(widget.where, "box", lambda layer, box=box: box)
        with qtbot.waitSignal(widget.bar.done, timeout=LONG):
            widget.run_button.click()
        widget.recipe_button.click()
        text = QApplication.clipboard().text()
        name = "whole" if box is None else "box"
        (tmp_path / "recipe.yaml").write_text(text.replace("out: results", f"out: {name}"))
        made = CliRunner().invoke(build(), ["run", "recipe.yaml"])
        assert made.exit_code == 0, made.output
        written, shown = read_labels(tmp_path / name / "my scan_labels.nii.gz"), label_map_of(viewer.layers[-1])
        assert written.grid.same_as(shown.grid)
        np.testing.assert_array_equal(written.array, shown.array)
        assert shown.array.any()
