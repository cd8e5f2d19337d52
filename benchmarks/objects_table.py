"""How long the Objects table of the plugin takes to fill, and to follow one stroke of the brush.

    python benchmarks/objects_table.py [--objects 5000 100000] [--strokes 20]

Needs the plugin's packages, but no screen. The stack is 256 x 512 x 512 with as many small boxes as asked; a stroke
paints over one of them with napari's own brush. The time of napari's brush alone is told beside it. For comparison the
same strokes are followed in a stack of a quarter of the size: a cost that grew with the volume would show. Strokes are
counted in CPU time of the window's thread, so that a busy computer does not blur them.
"""

from __future__ import annotations

import argparse
import os
import sys
from time import perf_counter, thread_time
from typing import Any

import numpy as np

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
WHOLE, QUARTER = (256, 512, 512), (64, 512, 512)
SIZE = (2, 4, 4)


def stack(shape: tuple[int, ...], n: int) -> Any:
    """Return `n` boxes on a lattice, numbered with gaps."""
    labels = np.zeros(shape, np.uint32)
    steps = [s // (e + 2) for s, e in zip(shape, SIZE, strict=True)]
    places = np.random.default_rng(0).choice(int(np.prod(steps)), n, replace=False)
    for number, place in enumerate(np.sort(places)):
        corner = np.array(np.unravel_index(place, steps)) * (np.array(SIZE) + 2)
        labels[tuple(slice(c, c + e) for c, e in zip(corner, SIZE, strict=True))] = 3 * number + 1
    return labels


def follow(shape: tuple[int, ...], n: int, strokes: int) -> dict[str, float]:
    """Return seconds to measure, to show, to sort, and per stroke."""
    from napari.layers import Labels

    from medseg.grid import image_grid
    from medseg.labels import Instances
    from medseg.progress import finish
    from napari_plugin._layers import instances_layer, label_map_of
    from napari_plugin._objects_session import ObjectSession, measuring

    grid = image_grid(shape, (1.0, 0.4, 0.4), "um")
    data, attributes, _ = instances_layer(Instances(stack(shape, n), grid), "cells")
    layer = Labels(data, **attributes)
    labels = label_map_of(layer)
    start = perf_counter()
    found = finish(measuring(labels, {}, None, structures=False))
    measured = perf_counter()
    session = ObjectSession(layer, labels, found, None)
    shown = perf_counter()
    session.model.sort_by_need()
    done = perf_counter()
    layer.n_edit_dimensions, layer.brush_size = 3, 5
    ids = session.store.ids[:: max(1, n // strokes)][:strokes]
    corners = [tuple(s.start for s in session.box(int(i))) for i in ids]
    layer.paint(corners[0], int(ids[0]))
    with_table = [_timed(layer, c, int(i), session) for c, i in zip(corners[1:], ids[1:], strict=True)]
    session.close()
    alone = [_timed(layer, c, 0, session) for c in corners[1:]]
    return {
        "measure": measured - start,
        "show": shown - measured,
        "sort": done - shown,
        "stroke": float(np.median(with_table)),
        "brush": float(np.median(alone)),
    }


def _timed(layer: Any, corner: tuple[int, ...], number: int, session: Any) -> float:
    start = thread_time()
    layer.paint(corner, number)
    session.take_strokes()
    return thread_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, nargs="+", default=[5000, 100_000])
    parser.add_argument("--strokes", type=int, default=20)
    options = parser.parse_args()
    from qtpy.QtWidgets import QApplication

    application = QApplication.instance() or QApplication(sys.argv)
    follow((8, 64, 64), 50, 5)  # compile the loops
    names = ("stack", "objects", "measure s", "show s", "sort s", "stroke CPU ms", "brush CPU ms")
    sys.stdout.write("".join(f"{name:>16}" for name in names) + "\n")
    for n in options.objects:
        for shape in (QUARTER, WHOLE):
            t = follow(shape, n, options.strokes)
            cells = ("x".join(map(str, shape)), str(n), *(f"{t[k]:.2f}" for k in ("measure", "show", "sort")))
            cells = (*cells, *(f"{1000 * t[k]:.1f}" for k in ("stroke", "brush")))
            sys.stdout.write("".join(f"{cell:>16}" for cell in cells) + "\n")
    application.quit()


if __name__ == "__main__":
    main()
