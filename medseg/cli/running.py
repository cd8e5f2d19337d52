"""Options that all verbs share which run over many images."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """Formats in which labels can be written."""

    nii_gz = "nii.gz"
    nii = "nii"
    nrrd = "nrrd"
    mha = "mha"
    tif = "tif"
    png = "png"


class BackendWay(StrEnum):
    """What computes the network."""

    auto = "auto"
    torch = "torch"
    openvino = "openvino"
    openvino_bf16 = "openvino-bf16"


class SplitWay(StrEnum):
    """Ways to separate objects."""

    none = "none"
    components = "components"
    watershed = "watershed"
    maskrcnn = "maskrcnn"


OBJECTS = "Objects"

Inputs = Annotated[
    list[str],
    typer.Argument(metavar="INPUT...", help="Images, DICOM folders, folders of them, or patterns.", show_default=False),
]
Out = Annotated[Path, typer.Option("--out", "-o", metavar="OUT", help="Folder of the results.", show_default=False)]
MODEL_HELP = "Name of a model, or a model folder; give it several times and the models answer as one, averaged."
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Backend = Annotated[
    BackendWay,
    typer.Option(help="What computes on the CPU; auto takes OpenVINO where it is installed and agrees with PyTorch."),
]
Tta = Annotated[bool, typer.Option("--tta", help="Average mirrored copies: slower, a little better.")]
Overlap = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="What neighbouring tiles share, 0 to 0.9: less is faster, and borders of tiles count more. By default 0.5"
        " for structures, 0.25 for objects.",
        show_default=False,
    ),
]
Roi = Annotated[
    str | None, typer.Option(metavar="BOX", help="Work only in this box of voxels, such as 10:60,20:80,0:40.")
]
SaveMaps = Annotated[bool, typer.Option("--save-maps", help="Keep the probability maps too.")]
LabelFormat = Annotated[
    Format | None, typer.Option("--format", help="Format of the labels; that of the input when not given.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Keep valid results, do the rest.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace results that are there.")]
Strict = Annotated[bool, typer.Option("--strict", help="Warnings give exit code 3.")]
SaveRecipe = Annotated[Path | None, typer.Option(metavar="FILE", help="Save this command for `medseg run`.")]
Split = Annotated[
    SplitWay | None,
    typer.Option(
        help="How objects are told apart: connected parts, touching ones too (watershed), or one by one by a detector"
        " (maskrcnn). By default what suits the model.",
        rich_help_panel=OBJECTS,
    ),
]
Diameter = Annotated[
    float | None,
    typer.Option(
        help="Typical diameter of an object in µm (in pixels where no pixel size is known); estimated when not given.",
        rich_help_panel=OBJECTS,
    ),
]
PositiveStain = Annotated[
    str | None,
    typer.Option(
        metavar="STAIN",
        help="Tell positive from negative cells: dab, hematoxylin or eosin in a stained section, or the name of a"
        " channel.",
        rich_help_panel=OBJECTS,
    ),
]
PositiveThreshold = Annotated[
    float | None,
    typer.Option(
        help="Mean strength from which a cell is positive; found for each image (Otsu) when not given.",
        rich_help_panel=OBJECTS,
    ),
]
