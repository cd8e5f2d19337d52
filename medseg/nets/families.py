"""Networks beyond the plain U-Nets: with attention, nested, residual, with windows or large kernels; all from MONAI."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Annotated, Any, Self

from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from medseg.errors import ModelError
from medseg.nets.shape import Levels, NetworkOptions, Shape, Width

Count = Annotated[int, Field(ge=1, le=16)]


class AttentionUNetOptions(NetworkOptions):
    """Options of the attention U-Net: channels per level, strides between levels."""

    filters: Annotated[tuple[Width, ...], Field(min_length=2, max_length=10)]
    strides: Levels

    @model_validator(mode="after")
    def _levels_agree(self) -> Self:
        if len(self.strides) != len(self.filters) - 1:
            raise ValueError("one stride fewer than filters is wanted")
        return self


class UNetPlusPlusOptions(NetworkOptions):
    """Options of U-Net++: channels of its five levels."""

    filters: Annotated[tuple[Width, ...], Field(min_length=5, max_length=5)]


class VNetOptions(NetworkOptions):
    """V-Net has a fixed size: no options."""


class SegResNetOptions(NetworkOptions):
    """Options of SegResNet: channels of the first level (a multiple of 8), residual blocks per level."""

    width: Annotated[int, Field(ge=8, le=256, multiple_of=8)]
    blocks: Annotated[tuple[Count, ...], Field(min_length=2, max_length=7)]


class SwinUNETROptions(NetworkOptions):
    """Options of Swin UNETR: channels of the first level (a multiple of 12)."""

    width: Annotated[int, Field(ge=12, le=192, multiple_of=12)]


class MedNeXtOptions(NetworkOptions):
    """Options of MedNeXt: channels of the first level, blocks per level, size of the kernels."""

    width: Annotated[int, Field(ge=4, le=256)]
    blocks: Annotated[tuple[Count, ...], Field(min_length=1, max_length=6)] = (2, 2, 2, 2)
    kernel: int = Field(default=3, ge=3, le=7)


class Padded(nn.Module):
    """A network whose input must be a multiple of some size: edge voxels are repeated, the answer is cut back.

    Parameters
    ----------
    network : nn.Module
        Answers (b, c, *s), or a list whose first entry is that.
    multiple : int
        Every axis is brought to a multiple of this, and to two of them at least: a single voxel left on the deepest
        level has no spread to normalise by.
    """

    def __init__(self, network: nn.Module, multiple: int) -> None:
        super().__init__()
        self.network = network
        self.multiple = multiple

    def forward(self, image: Tensor) -> Tensor:
        """Answer on the grid of the image."""
        m = self.multiple
        missing = [max(2 * m, -(-n // m) * m) - n for n in image.shape[2:]]
        pads = [amount for n in reversed(missing) for amount in (n // 2, n - n // 2)]
        answer = self.network(functional.pad(image, pads, mode="replicate") if any(pads) else image)
        whole: Tensor = answer[0] if isinstance(answer, list | tuple) else answer
        inner = tuple(slice(g // 2, g // 2 + n) for g, n in zip(missing, image.shape[2:], strict=True))
        return whole[:, :, *inner]


def _attention(shape: Shape, options: AttentionUNetOptions) -> nn.Module:
    from monai.networks.nets.attentionunet import AttentionUnet

    network = AttentionUnet(
        spatial_dims=shape.n_axes,
        in_channels=shape.n_in,
        out_channels=shape.n_out,
        channels=options.filters,
        strides=options.strides,
    )
    whole = 1
    for stride in options.strides:
        whole *= max(stride)
    return Padded(network, whole)


def _nested(shape: Shape, options: UNetPlusPlusOptions) -> nn.Module:
    from monai.networks.nets.basic_unetplusplus import BasicUNetPlusPlus

    features = (*options.filters, options.filters[0])
    return Padded(BasicUNetPlusPlus(shape.n_axes, shape.n_in, shape.n_out, features=features), 16)


def _vnet(shape: Shape, _: VNetOptions) -> nn.Module:
    from monai.networks.nets.vnet import VNet

    return Padded(VNet(shape.n_axes, shape.n_in, shape.n_out), 16)


def _segresnet(shape: Shape, options: SegResNetOptions) -> nn.Module:
    from monai.networks.nets.segresnet import SegResNet

    levels = len(options.blocks)
    network = SegResNet(
        spatial_dims=shape.n_axes,
        init_filters=options.width,
        in_channels=shape.n_in,
        out_channels=shape.n_out,
        blocks_down=options.blocks,
        blocks_up=(1,) * (levels - 1),
    )
    return Padded(network, 2 ** (levels - 1))


def _swin(shape: Shape, options: SwinUNETROptions) -> nn.Module:
    from monai.networks.nets.swin_unetr import SwinUNETR

    if find_spec("einops") is None:
        raise ModelError(
            "E_BUNDLE_INCOMPATIBLE",
            found="the architecture 'swinunetr'",
            expected="the library einops, which it needs and which is not installed",
            not_done="no network was built",
            remedy="Install it: pip install 'medseg[swin]'. Or choose another architecture.",
        )
    network = SwinUNETR(
        in_channels=shape.n_in, out_channels=shape.n_out, feature_size=options.width, spatial_dims=shape.n_axes
    )
    return Padded(network, 32)


def _mednext(shape: Shape, options: MedNeXtOptions) -> nn.Module:
    from monai.networks.nets.mednext import MedNeXt

    network = MedNeXt(
        spatial_dims=shape.n_axes,
        init_filters=options.width,
        in_channels=shape.n_in,
        out_channels=shape.n_out,
        kernel_size=options.kernel,
        blocks_down=options.blocks,
        blocks_up=options.blocks,
        blocks_bottleneck=options.blocks[-1],
    )
    return Padded(network, 2 ** len(options.blocks))


FAMILIES: dict[str, tuple[type[NetworkOptions], Callable[[Shape, Any], nn.Module]]] = {
    "attentionunet": (AttentionUNetOptions, _attention),
    "unetplusplus": (UNetPlusPlusOptions, _nested),
    "vnet": (VNetOptions, _vnet),
    "segresnet": (SegResNetOptions, _segresnet),
    "swinunetr": (SwinUNETROptions, _swin),
    "mednext": (MedNeXtOptions, _mednext),
}
"""Name → type of its options and its builder.

``attentionunet`` (Oktay et al. 2018): small structures in a large field, where skip connections bring much noise.
``unetplusplus`` (Zhou et al. 2018): nested skips, for objects of very different sizes; costs memory.
``vnet`` (Milletari et al. 2016): the residual classic, to compare with; large, and one or two channels only.
``segresnet`` (Myronenko 2018): residual and deep with few weights; a good first choice for large 3-D patches.
``swinunetr`` (Hatamizadeh et al. 2022): attention in windows, for much data and a GPU; wants the extra ``swin``.
``mednext`` (Roy et al. 2023): depth-wise convolutions, strong where there is time to train; slow on a CPU.
"""
