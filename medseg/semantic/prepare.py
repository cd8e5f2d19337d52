"""Turn the files of a data set into training cases on the working grid, once, and keep them on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medseg.io.dataset import CasePaths
from medseg.io.read import read_labels
from medseg.learn import cases as case_store
from medseg.learn.cases import Case, make_case
from medseg.learn.preprocess import to_working
from medseg.models.card import InputSpec
from medseg.ops.reorient import reoriented
from medseg.ops.resample import resampled_labels
from medseg.planning import read_case
from medseg.progress import Pace, Steps


def prepare_steps(cases: tuple[CasePaths, ...], spec: InputSpec, folder: Path, *, resume: bool = False) -> Steps[None]:
    """Prepare every case; what an earlier training has left in `folder` may be of other labels or another plan.

    Parameters
    ----------
    cases : tuple of CasePaths
    spec : InputSpec
    folder : Path
    resume : bool
        Go on with that training: only what is not yet in `folder` is prepared.
    """
    pace = Pace("preparing the cases", len(cases))
    for done, case in enumerate(cases, 1):
        if not resume or not (folder / f"{case.id}.labels.npy").exists():
            case_store.store(prepared(case, spec), folder)
        yield pace.at(done)


def prepared(case: CasePaths, spec: InputSpec) -> Case:
    """Read one case and bring image and labels onto the working grid."""
    working, _ = to_working(read_case(case), spec)
    labels = read_labels(case.label)
    turned = reoriented(labels, spec.orientation) if spec.orientation else labels
    onto = resampled_labels(turned, working.grid)
    image = np.ascontiguousarray(working.numpy(), dtype=np.float32)
    return make_case(case.id, image, np.ascontiguousarray(onto.array))
