"""Necks: from the encoder's levels to a pyramid whose levels all have the same channels."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional

from medseg.nets.maskrcnn.backbone import norm_of
from medseg.nets.maskrcnn.options import MaskRCNNOptions


def convolution(n_axes: int, n_in: int, n_out: int, kernel: int = 1) -> nn.Module:
    """Return a plain convolution that keeps the size."""
    kind = nn.Conv2d if n_axes == 2 else nn.Conv3d
    return kind(n_in, n_out, kernel, padding=kernel // 2)


class UNetNeck(nn.Module):
    """The way up of MONAI's dynamic U-Net as far as the pyramid reaches, one lateral convolution per level.

    The names of the parameters on the way up are those of ``DynUNet``, `upsamples` counted from the deepest.
    """

    def __init__(self, options: MaskRCNNOptions) -> None:
        from monai.networks.blocks.dynunet_block import UnetUpBlock

        super().__init__()
        levels = range(len(options.filters) - 1, options.finest, -1)
        self.upsamples = nn.ModuleList(
            UnetUpBlock(
                options.n_axes,
                options.filters[i],
                options.filters[i - 1],
                options.kernels[i],
                options.strides[i],
                options.strides[i],
                norm_of(options),
            )
            for i in levels
        )
        self.laterals = nn.ModuleList(
            convolution(options.n_axes, f, options.width) for f in options.filters[options.finest :]
        )
        self.finest = options.finest

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        """Return the pyramid, finest level first."""
        x = levels[-1]
        up = [x]
        for block, skip in zip(self.upsamples, levels[-2::-1], strict=False):
            x = block(x, skip)
            up.append(x)
        return [lateral(x) for lateral, x in zip(self.laterals, up[::-1], strict=True)]


class FPNNeck(nn.Module):
    """Feature pyramid network (Lin et al. 2017): laterals, summed from the deepest level up, then smoothed."""

    def __init__(self, options: MaskRCNNOptions) -> None:
        super().__init__()
        filters = options.filters[options.finest :]
        self.laterals = nn.ModuleList(convolution(options.n_axes, f, options.width) for f in filters)
        self.smooth = nn.ModuleList(convolution(options.n_axes, options.width, options.width, 3) for _ in filters)
        self.finest = options.finest

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        """Return the pyramid, finest level first."""
        own = [lateral(x) for lateral, x in zip(self.laterals, levels[self.finest :], strict=True)]
        for i in range(len(own) - 2, -1, -1):
            own[i] = own[i] + functional.interpolate(own[i + 1], size=own[i].shape[2:], mode="nearest")
        return [smooth(x) for smooth, x in zip(self.smooth, own, strict=True)]


NECKS: dict[str, Callable[[MaskRCNNOptions], nn.Module]] = {"unet": UNetNeck, "fpn": FPNNeck}
"""Name → builder. ``unet``: learned way up, can take over the weights of a U-Net. ``fpn``: sums, cheaper."""
