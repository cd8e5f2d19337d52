"""What napari does once for a session is done on the thread of the work, before the window gets the layer."""

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("napari")
from medseg.grid import image_grid
from medseg.labels import LabelMap
from napari_plugin._layers import labels_layer
from napari_plugin._ready import ready

SCRIPT = """
import sys
import numpy as np
from numba.core.event import install_recorder
from napari.layers import Labels
from medseg.grid import image_grid
from medseg.labels import LabelMap
from napari_plugin._layers import labels_layer
from napari_plugin._ready import ready

numbers = np.arange(60, dtype=np.dtype(sys.argv[1])).reshape(3, 4, 5)
layer = labels_layer(LabelMap(numbers, image_grid((3, 4, 5), (1.0,) * 3, "px"), {1: "a"}), "result")
with install_recorder("numba:compile") as beside:
    ready([layer])
with install_recorder("numba:compile") as in_the_window:
    Labels(layer[0], **layer[1])
print(len(beside.buffer) > 0, len(in_the_window.buffer), "pandas.io.api" in sys.modules)
"""


@pytest.mark.parametrize("dtype", ["uint8", "int32"])
def test_nothing_is_left_to_compile_when_a_layer_of_classes_comes_to_the_window(dtype):
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, dtype], capture_output=True, text=True, timeout=300, check=False
    )
    assert ran.stdout.split() == ["True", "0", "True"], ran.stderr


def test_layers_of_every_kind_are_made_ready_and_stay_as_they_are():
    numbers = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    data, attributes, kind = labels_layer(LabelMap(numbers, image_grid((3, 4, 5), (1.0,) * 3, "px"), {1: "a"}), "one")
    levels = [numbers, numbers[:, ::2, ::2]]
    before = dict(attributes)
    ready([(data, attributes, kind), (levels, {"multiscale": True}, "labels"), (numbers, {}, "image")])
    assert attributes == before
    assert (data == np.arange(60).reshape(3, 4, 5)).all()
