"""What a plan or a card may say about a Mask R-CNN, with bounds, and how one is asked for its answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from medseg.nets.shape import NetworkOptions, Width

Step = Annotated[int, Field(ge=1, le=16)]
Steps = Annotated[tuple[tuple[Step, ...], ...], Field(min_length=3, max_length=10)]
Length = Annotated[float, Field(gt=0.0, le=4096.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Bins = Annotated[tuple[Annotated[int, Field(ge=1, le=64)], ...], Field(min_length=1, max_length=3)]
Count = Annotated[int, Field(ge=1, le=100_000)]


class MaskRCNNOptions(NetworkOptions):
    """Options of the detector.

    Everything per axis has one entry per spatial axis. Levels are counted from the image down: level 0 has the stride
    ``strides[0]``, level 1 that times ``strides[1]`` and so on.

    Parameters
    ----------
    filters, strides, kernels
        Per level: channels, stride and kernel of the residual encoder, those of a ``dynunet``.
    blocks : int
        Residual blocks per level.
    norm
        ``batch``; ``frozen``, batch norm with the statistics it was loaded with, for tiny batches; ``group``;
        ``instance``.
    neck
        Name of an entry of `medseg.nets.maskrcnn.neck.NECKS`.
    width : int
        Channels of every pyramid level.
    finest : int
        Level at which the pyramid begins. Masks are drawn at twice its resolution at best.
    anchor_levels
        Levels that propose objects.
    anchor_sizes
        Per proposing level some sizes, each one length in voxels per axis.
    anchor_shapes
        Factors per axis that are applied to every size; empty: only the sizes themselves.
    proposal_overlaps
        An anchor below the first overlap (IoU) with all objects is background, above the second it is an object.
    proposal_nms : float
        Proposals that overlap a better one by more are dropped.
    box_bins, mask_bins
        Cells per axis over a box that box head and mask head see; masks come out with twice as many.
    samples : int
        Samples per axis in each cell.
    hidden : int
        Width of the box head.
    stages
        One box head per entry, each taking a box that overlaps an object by that much for this object. More than one is
        a cascade (Cai and Vasconcelos 2018): each stage starts from the boxes of the stage before.
    box_loss, class_loss
        ``smooth_l1`` or ``giou``; ``cross_entropy`` or ``focal``.
    class_weights
        Weights of background and classes in the class loss; empty: all 1.
    mask_width, mask_convolutions, mask_per_class
        Shape of the mask head; one mask per class or one for all.
    semantic : bool
        A further head that names the class of every voxel at the finest level, whichever object it belongs to.
    anchors_per_image, boxes_per_image, masks_per_image
        How many are drawn per image and training step, at most half of them objects in the first two.
    proposals_per_image : int
        How many proposals per image the box head chooses its boxes from in training.
    """

    filters: Annotated[tuple[Width, ...], Field(min_length=3, max_length=10)]
    strides: Steps
    kernels: Steps
    anchor_sizes: Annotated[
        tuple[Annotated[tuple[tuple[Length, ...], ...], Field(min_length=1, max_length=16)], ...],
        Field(min_length=1, max_length=10),
    ]
    anchor_levels: Annotated[tuple[Annotated[int, Field(ge=0, le=9)], ...], Field(min_length=1)] = (2, 3, 4)
    anchor_shapes: Annotated[tuple[tuple[Length, ...], ...], Field(max_length=16)] = ()
    blocks: int = Field(default=1, ge=1, le=8)
    norm: Literal["batch", "frozen", "group", "instance"] = "batch"
    neck: str = "unet"
    width: Width = 64
    finest: int = Field(default=1, ge=0, le=9)
    proposal_overlaps: tuple[Share, Share] = (0.3, 0.5)
    proposal_nms: Share = 0.7
    box_bins: Bins = (7, 7)
    mask_bins: Bins = (14, 14)
    samples: int = Field(default=2, ge=1, le=4)
    hidden: Width = 256
    stages: Annotated[tuple[Share, ...], Field(min_length=1, max_length=5)] = (0.5,)
    box_loss: Literal["smooth_l1", "giou"] = "smooth_l1"
    class_loss: Literal["cross_entropy", "focal"] = "cross_entropy"
    class_weights: tuple[Annotated[float, Field(gt=0.0, le=1000.0)], ...] = ()
    mask_width: Width = 48
    mask_convolutions: int = Field(default=2, ge=1, le=8)
    mask_per_class: bool = False
    semantic: bool = True
    anchors_per_image: Count = 256
    boxes_per_image: Count = 64
    masks_per_image: Count = 16
    proposals_per_image: Count = 400

    @property
    def n_axes(self) -> int:
        """Return the number of spatial axes."""
        return len(self.strides[0])

    @model_validator(mode="after")
    def _levels_agree(self) -> Self:
        if not len(self.strides) == len(self.kernels) == len(self.filters):
            raise ValueError("filters, strides and kernels must have one entry per level")
        last = len(self.filters) - 1
        if self.finest >= last:
            raise ValueError("finest must be a level above the last one")
        if len(self.anchor_levels) != len(self.anchor_sizes):
            raise ValueError("anchor_sizes must have one entry per anchor level")
        if list(self.anchor_levels) != sorted(set(self.anchor_levels)) or not (
            self.finest <= self.anchor_levels[0] and self.anchor_levels[-1] <= last
        ):
            raise ValueError("anchor_levels must rise, from finest at least to the last level at most")
        if self.proposal_overlaps[0] > self.proposal_overlaps[1]:
            raise ValueError("proposal_overlaps must rise")
        return self

    @model_validator(mode="after")
    def _axes_agree(self) -> Self:
        per_axis: list[Sequence[Any]] = [
            *self.strides,
            *self.kernels,
            *self.anchor_shapes,
            self.box_bins,
            self.mask_bins,
        ]
        per_axis += [size for level in self.anchor_sizes for size in level]
        if {len(entry) for entry in per_axis} != {self.n_axes} or self.n_axes not in (2, 3):
            raise ValueError("strides, kernels, anchors and bins must all have one number per axis, for 2 or 3 axes")
        return self

    @model_validator(mode="after")
    def _head_sizes_stay_small(self) -> Self:
        cells = 1
        for n in self.box_bins:
            cells *= n
        if cells * self.width * self.hidden > 64 * 1024**2:
            raise ValueError("box_bins, width and hidden together make a box head of more than 64 million weights")
        return self

    @property
    def groups(self) -> int:
        """Return into how many groups group norm divides channels: 8, or fewer where the channels ask for it."""
        return gcd(8, *self.filters, self.width)


def around(
    diameter: Sequence[float], *, filters: Sequence[int], strides: Sequence[Sequence[int]] | None = None, **more: Any
) -> MaskRCNNOptions:
    """Return options for objects of about a diameter.

    Proposals come from the last three levels; the middle one of them fits `diameter` best, two sizes per level, each
    √2 of the one before, from 0.4 to 2.3 diameters.

    Parameters
    ----------
    diameter : sequence of float
        Typical size of an object in voxels, per axis.
    filters : sequence of int
        Channels per level.
    strides : sequence of sequence of int, optional
        Per level and axis; default 1, then always 2.
    more
        Other fields of `MaskRCNNOptions`.

    Examples
    --------
    >>> around((32.0, 32.0), filters=(16, 32, 64, 96, 128)).anchor_levels
    (2, 3, 4)
    """
    n_axes, n_levels = len(diameter), len(filters)
    chosen = strides or [[1] * n_axes, *([2] * n_axes for _ in range(n_levels - 1))]
    levels = tuple(range(max(1, n_levels - 3), n_levels))
    sizes = [[[0.4 * d * 2 ** (i + j / 2) for d in diameter] for j in (0, 1)] for i in range(len(levels))]
    fields: dict[str, Any] = {
        "filters": list(filters),
        "strides": chosen,
        "kernels": [[3] * n_axes for _ in filters],
        "anchor_levels": levels,
        "anchor_sizes": sizes,
        "finest": min(1, levels[0]),
        "box_bins": (7,) * n_axes if n_axes == 2 else (5,) * n_axes,
        "mask_bins": (14,) * n_axes if n_axes == 2 else (8,) * n_axes,
    }
    return MaskRCNNOptions.model_validate({**fields, **more})


@dataclass(frozen=True, slots=True)
class DetectSettings:
    """How proposals become detections. There is no small cap on their number: dense images hold hundreds.

    Parameters
    ----------
    score_threshold : float
        Detections below it are dropped.
    nms_overlap : float
        Of two boxes of one class that overlap (IoU) by more, the better stays. High, because the boxes of slanting
        neighbours overlap although the objects do not; their masks decide, see `mask_overlap`.
    mask_overlap : float
        Of two masks of one class that overlap (IoU) by more, the better stays. 1 switches this off.
    max_proposals : int
        Proposals per image that reach the box head, best first.
    proposal_threshold : float
        Proposals that look less like an object are dropped before the box head.
    candidates : int
        Proposals per level that are compared with each other, best first.
    proposal_nms : float
        Proposals that overlap a better one by more are dropped.
    max_detections : int
        Objects per image (of one tile, not of the whole scan).
    chunk : int
        Boxes whose features are held at a time.
    """

    score_threshold: float = 0.05
    nms_overlap: float = 0.6
    mask_overlap: float = 0.4
    max_proposals: int = 2000
    proposal_threshold: float = 0.01
    candidates: int = 6000
    proposal_nms: float = 0.7
    max_detections: int = 4000
    chunk: int = 512
