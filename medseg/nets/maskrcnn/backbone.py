"""The residual encoder: the way down of MONAI's dynamic U-Net, so that a trained one can lend its weights."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from medseg.nets.maskrcnn.options import MaskRCNNOptions


def norm_of(options: MaskRCNNOptions) -> tuple[str, dict[str, Any]]:
    """Return the norm as MONAI's blocks want it."""
    if options.norm == "group":
        return "GROUP", {"num_groups": options.groups, "affine": True}
    return ("INSTANCE" if options.norm == "instance" else "BATCH"), {"affine": True}


class Encoder(nn.Module):
    """Residual blocks, each with a stride, whose answers at all levels are kept.

    The names of the parameters are those of MONAI's ``DynUNet``.
    """

    def __init__(self, n_in: int, options: MaskRCNNOptions) -> None:
        from monai.networks.blocks.dynunet_block import UnetResBlock

        super().__init__()
        norm = norm_of(options)
        channels = (n_in, *options.filters)
        blocks = [
            UnetResBlock(options.n_axes, channels[i], channels[i + 1], kernel, stride, norm)
            for i, (kernel, stride) in enumerate(zip(options.kernels, options.strides, strict=True))
        ]
        self.input_block, self.bottleneck = blocks[0], blocks[-1]
        self.downsamples = nn.ModuleList(blocks[1:-1])
        self.further = nn.ModuleList(
            nn.Sequential(*(UnetResBlock(options.n_axes, f, f, kernel, 1, norm) for _ in range(options.blocks - 1)))
            for f, kernel in zip(options.filters, options.kernels, strict=True)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the features of every level, finest first."""
        levels = []
        x = images
        for block, more in zip((self.input_block, *self.downsamples, self.bottleneck), self.further, strict=True):
            x = more(block(x))
            levels.append(x)
        return levels
