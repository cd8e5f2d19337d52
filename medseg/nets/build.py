"""Every network that a plan or a card may name, in one visible table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator
from torch import nn

from medseg.errors import ModelError
from medseg.models.card import Architecture
from medseg.nets.families import FAMILIES
from medseg.nets.maskrcnn.options import MaskRCNNOptions
from medseg.nets.shape import Levels, NetworkOptions, Shape, Width


class UNetOptions(NetworkOptions):
    """Options of the plain residual U-Net: channels per level, strides between levels, residual units per block."""

    filters: Annotated[tuple[Width, ...], Field(min_length=2, max_length=10)]
    strides: Levels
    residual_units: int = Field(default=2, ge=0, le=8)

    @model_validator(mode="after")
    def _levels_agree(self) -> Self:
        if len(self.strides) != len(self.filters) - 1:
            raise ValueError("one stride fewer than filters is wanted")
        return self


class DynUNetOptions(NetworkOptions):
    """Options of the dynamic U-Net: per level the channels, kernel and stride; the first stride is 1.

    ``norm``: ``instance`` for small batches; ``batch`` answers alike for a tile and for the whole image.
    """

    filters: Annotated[tuple[Width, ...], Field(min_length=3, max_length=10)]
    strides: Levels
    kernels: Levels
    residual: bool = True
    deep_supervision: int = Field(default=1, ge=0, le=8)
    norm: Literal["instance", "batch"] = "instance"

    @model_validator(mode="after")
    def _levels_agree(self) -> Self:
        if not len(self.strides) == len(self.kernels) == len(self.filters):
            raise ValueError("filters, strides and kernels must have one entry per level")
        return self


def _unet(shape: Shape, options: UNetOptions) -> nn.Module:
    from monai.networks.nets.unet import UNet

    return UNet(
        spatial_dims=shape.n_axes,
        in_channels=shape.n_in,
        out_channels=shape.n_out,
        channels=options.filters,
        strides=options.strides,
        num_res_units=options.residual_units,
        norm=("INSTANCE", {"affine": True}),
    )


def _dynunet(shape: Shape, options: DynUNetOptions) -> nn.Module:
    from monai.networks.nets.dynunet import DynUNet

    heads = min(options.deep_supervision, len(options.filters) - 2)
    return DynUNet(
        spatial_dims=shape.n_axes,
        in_channels=shape.n_in,
        out_channels=shape.n_out,
        kernel_size=options.kernels,
        strides=options.strides,
        upsample_kernel_size=options.strides[1:],
        filters=options.filters,
        norm_name=(options.norm.upper(), {"affine": True}),
        res_block=options.residual,
        deep_supervision=heads > 0,
        deep_supr_num=max(heads, 1),
    )


def _maskrcnn(shape: Shape, options: MaskRCNNOptions) -> nn.Module:
    from medseg.nets.maskrcnn.network import MaskRCNN

    return MaskRCNN(shape.n_axes, shape.n_in, shape.n_out, options)


ARCHITECTURES: dict[str, tuple[type[NetworkOptions], Callable[[Shape, Any], nn.Module]]] = {
    "unet": (UNetOptions, _unet),
    "dynunet": (DynUNetOptions, _dynunet),
    **FAMILIES,
    "maskrcnn": (MaskRCNNOptions, _maskrcnn),
}
"""Name → type of its options and its builder.

``unet``: small and quick. ``dynunet``: residual, deep supervision, the default. The others stand in `FAMILIES`.
``maskrcnn``: a detector with masks, which answers with objects and not with a map; ``n_out`` counts its classes with
the background.
"""


def build(architecture: Architecture, *, shape: Shape) -> nn.Module:
    """Build a network with fresh weights.

    In training mode a network answers (b, n_out, *s) logits, or (b, heads, n_out, *s) with deep supervision;
    in evaluation mode always (b, n_out, *s). A detector answers with objects instead.

    Parameters
    ----------
    architecture : Architecture
        A name of `ARCHITECTURES` with its options.
    shape : Shape

    Raises
    ------
    ModelError
        If the name is unknown or the options do not fit.

    Examples
    --------
    >>> options = {"filters": [4, 8], "strides": [[2, 2]]}
    >>> network = build(Architecture(name="unet", options=options), shape=Shape(2, 1, 3))
    """
    if architecture.name not in ARCHITECTURES:
        raise _incompatible(f"the architecture {architecture.name!r}", f"one of {', '.join(ARCHITECTURES)}")
    kind, builder = ARCHITECTURES[architecture.name]
    try:
        options = kind.model_validate(architecture.options)
    except ValidationError as problem:
        first = problem.errors()[0]
        place = ".".join(str(p) for p in first["loc"])
        raise _incompatible(f"architecture option {place}: {first['msg']}", "options of that architecture") from None
    try:
        return builder(shape, options)
    except (ValueError, TypeError, AssertionError) as problem:
        raise _incompatible(f"architecture options that do not fit together ({problem})", "a network") from None


def _incompatible(found: str, expected: str) -> ModelError:
    return ModelError(
        "E_BUNDLE_INCOMPATIBLE",
        found=found,
        expected=expected,
        not_done="no network was built",
        remedy="Use a model made by this version of medseg, or correct the plan.",
    )
