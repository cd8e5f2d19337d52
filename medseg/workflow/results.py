"""Write what a case gives - labels, table, overlay, maps - and say what in it needs eyes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from medseg.errors import Notice, UsageError
from medseg.prediction import Prediction
from medseg.volume import Volume
from medseg.workflow.hashing import digest
from medseg.workflow.inputs import Case
from medseg.workflow.options import LABEL_SUFFIXES, RunContext
from medseg.workflow.record import OutputFile
from medseg.workflow.staging import write_bytes
from medseg.workflow.tables import Tables, tables_of

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["labels", "structures", "overlay", "maps", "instances", "objects"]

_SUFFIX_OF_FORMAT = {"nrrd": ".nrrd", "mha": ".mha", "mhd": ".mha"}


def write_outputs(
    case: Case, run: RunContext, volume: Volume, prediction: Prediction, folder: Path
) -> tuple[tuple[OutputFile, ...], Tables]:
    """Write all files of a case but its record into the staging folder."""
    from medseg.io.write import write

    made: list[tuple[Path, Kind]] = []

    def target(ending: str, kind: Kind) -> Path:
        made.append((folder / f"{case.name}{ending}", kind))
        return made[-1][0]

    suffix = labels_suffix(case.files[0], volume, run.options.format)
    tables = tables_of(volume, prediction, run.options.positive, is_image=_is_image(run))
    if not run.options.only_objects:
        write(prediction.labels, target(f"_labels{suffix}", "labels"))
        write_bytes(target("_structures.csv", "structures"), _csv(tables.structures))
    if prediction.instances is not None and tables.objects is not None:
        write(prediction.instances, target(f"_instances{suffix}", "instances"))
        write_bytes(target("_objects.csv", "objects"), _csv(tables.objects))
    _write_overlay(volume, prediction, target("_overlay.png", "overlay"))
    if run.options.save_maps and prediction.maps is not None:
        from medseg.io.zarr import write_maps

        write_maps(prediction.maps, target("_maps.ome.zarr", "maps"))
    outputs = []
    for path, kind in made:
        part = digest(path)
        outputs.append(OutputFile(path=path.name, kind=kind, sha256=part.sha256, n_bytes=part.n_bytes))
    return tuple(outputs), tables


def _is_image(run: RunContext) -> bool:
    return not run.options.only_objects or run.options.image is not None


def _csv(table: pd.DataFrame) -> bytes:
    text: str = table.to_csv(index=False, lineterminator="\n", float_format="%.10g")
    return text.encode()


def _write_overlay(volume: Volume, prediction: Prediction, path: Path) -> None:
    from medseg.io.atomic import write_atomically
    from medseg.report.overlay import write_overlay

    shown = prediction.labels if prediction.instances is None else prediction.instances
    write_atomically(path, lambda temporary: write_overlay(volume, shown, temporary))


def labels_suffix(file: Path, volume: Volume, wanted: str | None) -> str:
    """Return the suffix of the label image: what was asked for, else that of the input's own format.

    Raises
    ------
    UsageError
        If the format asked for is unknown.
    """
    if wanted is not None:
        if wanted.lstrip(".") not in LABEL_SUFFIXES:
            raise UsageError(
                "E_USAGE",
                found=f"the output format {wanted!r}",
                expected=", ".join(LABEL_SUFFIXES),
                not_done="nothing was written",
                remedy="Choose one of these, or leave it out to keep the input's own.",
            )
        return LABEL_SUFFIXES[wanted.lstrip(".")]
    if volume.grid.space == "image":
        return ".tif"
    stored = "" if volume.source is None else volume.source.format
    uncompressed = stored.startswith("nifti") and file.name.lower().endswith(".nii")
    return _SUFFIX_OF_FORMAT.get(stored, ".nii" if uncompressed else ".nii.gz")


def notices_of(volume: Volume, prediction: Prediction, tables: Tables) -> tuple[Notice, ...]:
    """Return every notice of a case once, those on cut structures among them."""
    found = [*volume.warnings, *prediction.warnings, *prediction.labels.warnings, *tables.notices]
    table = tables.structures
    # in a picture full of objects some always lie at the edge: their own rows say so
    if prediction.instances is None and "touches_border" in table.columns:
        cut = [str(name) for name in table.loc[table["touches_border"].fillna(False).astype(bool), "name"]]
        if cut:
            text = f"{', '.join(cut)}: cut by the edge of the image, so that sizes are lower limits"
            found.append(Notice("W_TOUCHES_BORDER", text))
    if prediction.instances is not None:
        found += prediction.instances.warnings
    return tuple(dict.fromkeys(found))
