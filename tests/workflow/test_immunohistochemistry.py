"""Cells with and without brown stain in a real section, scikit-image's own: told apart as a person sees them."""

import sys
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medseg.labels import LabelMap
from medseg.measure.positive import Positive, stain_density
from medseg.pipeline import split_steps
from medseg.prediction import Prediction
from medseg.progress import Progress, finish
from medseg.volume import Volume
from medseg.workflow.options import RunOptions
from medseg.workflow.run import run_steps

_spec = spec_from_file_location("disc_counter", Path(__file__).parent / "disc_counter.py")
toy = sys.modules["disc_counter"] = module_from_spec(_spec)
_spec.loader.exec_module(toy)


class BlueNuclei(toy.DiscCounter):
    """Nuclei are where the blue counterstain is strong, whatever else is there."""

    def segment_steps(self, volume: Volume):
        from scipy import ndimage

        yield Progress("looking", 0, 1)
        blue = ndimage.gaussian_filter(stain_density(volume, "hematoxylin"), 1.5)
        mask = ndimage.binary_opening(blue > 0.027, iterations=2)
        labels = LabelMap(mask.astype(np.uint8), volume.grid, {1: "cell"})
        return Prediction(labels, instances=(yield from split_steps(labels)))


@pytest.fixture
def section(tmp_path):
    """Write the picture, or skip where scikit-image does not bring it along."""
    from skimage import data

    try:
        picture = data.immunohistochemistry()
    except Exception as error:  # noqa: BLE001 - it is fetched from a network where it is not installed
        pytest.skip(f"scikit-image's picture is not there: {type(error).__name__}")
    Image.fromarray(picture).save(tmp_path / "ihc.png")
    return picture, tmp_path / "ihc.png"


def test_cells_of_the_brown_epithelium_are_positive_and_those_of_the_stroma_negative(section, tmp_path):
    _, path = section
    options = RunOptions(model="threshold", positive=Positive("dab"))
    out = tmp_path / "out"
    summary = finish(run_steps([path], out, options=options, segmenter=BlueNuclei()))
    found = summary.rows[0].objects
    table = pd.read_csv(out / "ihc_objects.csv")
    assert found["positive"] + found["negative"] == found["count"] == len(table)
    assert 0.1 < found["positive_share"] < 0.9
    # by eye: brown epithelium at the upper left, stroma with blue nuclei alone below it
    y, x = table["centroid_y_px"], table["centroid_x_px"]
    brown = table[y.between(40, 220) & x.between(20, 250)]
    blue = table[y.between(250, 400) & x.between(170, 240)]
    assert min(len(brown), len(blue)) > 10
    assert brown["positive"].mean() > 0.9
    assert blue["positive"].mean() < 0.1
    fixed = replace(options, positive=Positive("dab", threshold=10.0), overwrite=True)
    assert finish(run_steps([path], out, options=fixed, segmenter=BlueNuclei())).rows[0].objects["positive"] == 0


def test_the_stains_are_those_of_scikit_image(section):
    from skimage.color import rgb2hed

    from medseg.io.read import read

    picture, path = section
    volume = read(path)
    for place, name in enumerate(("hematoxylin", "eosin", "dab")):
        assert stain_density(volume, name) == pytest.approx(rgb2hed(picture)[..., place], abs=1e-5)
