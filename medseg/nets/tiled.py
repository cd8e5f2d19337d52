"""The tile loop over a network: a generator that reports every tile, may stop there, and steps down on trouble."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from medseg.errors import Notice, OutputError, ResourceError
from medseg.nets.sums import Sums
from medseg.ops.slab import Slab
from medseg.ops.tiles import outer_axis, rows_along, starts
from medseg.progress import FinishEarly, Pace, Progress, Steps

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TileOptions:
    """How an image is cut into tiles and put together again.

    Parameters
    ----------
    patch : tuple of int
    n_out : int
        Channels of the network's answer.
    overlap : float
        Share of the patch that neighbouring tiles have in common.
    batch : int
        Tiles per call of the network.
    mirror_axes : tuple of int
        Spatial axes over which the answers of mirrored tiles are averaged.
    half : bool
        Compute in bfloat16 (CPU) or float16 (CUDA); checked, and repeated in float32 where it overflows.
    """

    patch: tuple[int, ...]
    n_out: int
    overlap: float = 0.5
    batch: int = 1
    mirror_axes: tuple[int, ...] = ()
    half: bool = False


@dataclass(slots=True)
class _Rung:
    device: torch.device
    sums_on: torch.device
    batch: int
    half: bool
    notices: list[Notice] = field(default_factory=list)
    stopped: bool = False


def predict_maps(
    network: nn.Module, image: Floats, *, options: TileOptions, device: torch.device
) -> Steps[tuple[Floats, tuple[Notice, ...]]]:
    """Apply a network to an image of any size, tile by tile, and keep all of its answer.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode; (b, c, *patch) → (b, n_out, *patch) logits.
    image : (c, *s) float32 array
        Normalised; padded with zeros where it is smaller than the patch.
    options : TileOptions
    device : torch.device
        Where to compute. On out-of-memory: batch 1, then sums in main memory, then the CPU; each step is a notice.

    Returns
    -------
    maps : (n_out, *s) float32 array
        Blended logits.
    notices : tuple of Notice
        W_PARTIAL after `FinishEarly`: voxels whose tiles are all finished are as they would be in the whole run, the
        others are surely background, the first channel.

    Raises
    ------
    OutputError
        If the network answers with values that are not numbers even in float32.
    ResourceError
        If the memory does not suffice even tile by tile on the CPU.
    """
    kept: list[Floats] = []

    def take(slab: Slab) -> None:
        kept[:] = [np.ascontiguousarray(slab.finished)]

    notices = yield from _predicted(network, image, options, device, take, axis=None)
    return kept[0], notices


def predict_slabs(
    network: nn.Module, image: Floats, *, options: TileOptions, device: torch.device, take: Callable[[Slab], object]
) -> Steps[tuple[Notice, ...]]:
    """Apply a network as `predict_maps` does, but hand on each part of the maps once it is finished, and forget it.

    Memory is needed for one row of tiles instead of the whole image.

    Parameters
    ----------
    network, image, options, device
        As for `predict_maps`.
    take : callable
        Is given one `Slab` after the other, which together are the whole maps. One that starts at 0 begins anew: what
        was taken before is void, since memory ran out and the work was begun again.

    Returns
    -------
    tuple of Notice
        As of `predict_maps`.
    """
    return (
        yield from _predicted(network, image, options, device, take, axis=outer_axis(image.shape[1:], options.patch))
    )


def _predicted(
    network: nn.Module,
    image: Floats,
    options: TileOptions,
    device: torch.device,
    take: Callable[[Slab], object],
    *,
    axis: int | None,
) -> Steps[tuple[Notice, ...]]:
    rung = _Rung(device, device, options.batch, options.half)
    padded, inner = _padded(image, options.patch)
    hand_on = take if padded is image else _cutting(take, inner, padded.shape[1:])
    while True:
        try:
            yield from _run(network, padded, options, rung, hand_on, axis)
        except (torch.OutOfMemoryError, MemoryError) as problem:
            if rung.stopped:  # to begin anew is the last thing that was wanted
                raise _too_little(problem) from problem
            _step_down(rung, problem)
        else:
            return tuple(rung.notices)


def _cutting(
    take: Callable[[Slab], object], inner: tuple[slice, ...], shape: tuple[int, ...]
) -> Callable[[Slab], object]:
    """Return what takes the slabs of a padded image and hands on those of the image itself."""

    def cut_back(slab: Slab) -> None:
        box, start, count = list(inner), slab.start, slab.count
        if inner[slab.axis] == slice(0, shape[slab.axis]):
            box[slab.axis] = slice(0, count)
        else:  # smaller than the patch along this axis: all of it is one slab
            count = box[slab.axis].stop - box[slab.axis].start
        take(Slab(np.ascontiguousarray(slab.maps[(slice(None), *box)]), slab.axis, start, count))

    return cut_back


@torch.inference_mode()
def _run(
    network: nn.Module,
    image: Floats,
    options: TileOptions,
    rung: _Rung,
    take: Callable[[Slab], object],
    axis: int | None,
) -> Steps[None]:
    network = network.to(rung.device).eval()
    shape = image.shape[1:]
    axis_starts = [starts(n, p, options.overlap) for n, p in zip(shape, options.patch, strict=True)]
    sums = Sums(
        options.n_out,
        axis_starts=axis_starts,
        patch=options.patch,
        axis=axis or 0,
        depth=shape[0] if axis is None else options.patch[axis],
        device=rung.sums_on,
    )
    source = torch.from_numpy(image if image.flags.writeable else image.copy())
    total = math.prod(len(begins) for begins in axis_starts)
    pace = Pace("segmenting", total)
    done = 0
    for row in rows_along(axis_starts, shape, axis):
        sums.begin(row.start)
        begun = done
        try:
            if done == 0:
                yield pace.at(0)
            for group in [] if rung.stopped else _groups(row.places, rung.batch):
                tiles = torch.stack([source[(slice(None), *_box(place, options.patch))] for place in group])
                answers = yield from _answer(network, tiles.to(rung.device), options, rung, pace.at(done))
                for place, answer in zip(group, answers.to(rung.sums_on), strict=True):
                    sums.add(place, answer)
                del answers  # else they lie beside the next ones
                done += len(group)
                yield pace.at(done)
        except FinishEarly:
            if done == 0:
                raise
            rung.stopped = True
        take(sums.finish(row.stop, unseen=row.places[done - begun :]))
    if done < total:
        rung.notices.append(stopped_notice(done, total, "tiles"))


def stopped_notice(done: int, total: int, what: str) -> Notice:
    """Return the notice of a run that was stopped after `done` of `total` tiles or slices.

    Examples
    --------
    >>> print(stopped_notice(3, 12, "tiles"))
    W_PARTIAL: stopped after 3 of 12 tiles (25 %); the rest was not looked at and is background
    """
    share = f"{done} of {total} {what} ({100 * done // total} %)"
    return Notice("W_PARTIAL", f"stopped after {share}; the rest was not looked at and is background")


def _answer(network: nn.Module, tiles: Tensor, options: TileOptions, rung: _Rung, step: Progress) -> Steps[Tensor]:
    """Return what the network says of some tiles, pausing with `step` between mirrored looks."""
    answer = yield from _mirrored(network, tiles, options.mirror_axes, half=rung.half, step=step)
    if all_finite(answer):
        return answer
    if rung.half:
        rung.half = False
        rung.notices.append(Notice("W_PRECISION_FALLBACK", "half precision overflowed; continued in float32"))
        answer = yield from _mirrored(network, tiles, options.mirror_axes, half=False, step=step)
        if all_finite(answer):
            return answer
    raise OutputError(
        "E_OUTPUT_NONFINITE",
        found="an answer of the network that is not a number",
        expected="finite values",
        not_done="no labels were made",
        remedy="Look for extreme values in the image; if there are none, the model is damaged.",
    )


def _mirrored(network: nn.Module, tiles: Tensor, axes: tuple[int, ...], *, half: bool, step: Progress) -> Steps[Tensor]:
    kind = torch.float16 if tiles.device.type == "cuda" else torch.bfloat16
    total: Tensor | None = None
    flips = list(product(*((False, True) for _ in axes)))
    for number, flip in enumerate(flips):
        if number:
            yield step
        dims = [axis + 2 for axis, on in zip(axes, flip, strict=True) if on]
        with torch.autocast(tiles.device.type, dtype=kind, enabled=half):
            answer = network(tiles.flip(dims) if dims else tiles)
        answer = (answer.flip(dims) if dims else answer).float()
        total = answer if total is None else total + answer
    assert total is not None
    return total if len(flips) == 1 else total / len(flips)


def all_finite(values: Tensor) -> bool:
    """Tell whether every value is a number, mostly by one sum: one that is not makes the sum so too.

    Examples
    --------
    >>> all_finite(torch.tensor([1.0, 2.0])), all_finite(torch.tensor([1.0, float("-inf"), float("inf")]))
    (True, False)
    """
    # the sum of numbers may overflow as well: only then each is looked at
    return bool(torch.isfinite(values.sum())) or bool(torch.isfinite(values).all())


def _step_down(rung: _Rung, problem: BaseException) -> None:
    if rung.device.type != "cpu":
        torch.cuda.empty_cache()
    if rung.batch > 1:
        rung.batch, text = 1, "not enough memory for several tiles at once; continued one by one"
    elif rung.sums_on.type != "cpu":
        rung.sums_on, text = (
            torch.device("cpu"),
            "not enough graphics memory for the whole image; summed in main memory",
        )
    elif rung.device.type != "cpu":
        rung.device, rung.half, text = torch.device("cpu"), False, "not enough graphics memory; computed on the CPU"
    else:
        raise _too_little(problem) from problem
    rung.notices.append(Notice("W_DEVICE_FALLBACK", text))


def _too_little(problem: BaseException) -> ResourceError:
    return ResourceError(
        "E_OOM_CPU",
        found=f"too little memory for one tile and the result ({type(problem).__name__})",
        expected="room for both",
        not_done="no labels were made",
        remedy="Close other programs, or segment a part of the image with --roi.",
    )


def _padded(image: Floats, patch: tuple[int, ...]) -> tuple[Floats, tuple[slice, ...]]:
    shape = image.shape[1:]
    before = [max(0, p - n) // 2 for n, p in zip(shape, patch, strict=True)]
    after = [max(0, p - n) - b for n, p, b in zip(shape, patch, before, strict=True)]
    inner = tuple(slice(b, b + n) for b, n in zip(before, shape, strict=True))
    if not any(before) and not any(after):
        return image, inner
    return np.pad(image, [(0, 0), *zip(before, after, strict=True)]), inner


def _box(place: tuple[int, ...], patch: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(slice(start, start + length) for start, length in zip(place, patch, strict=True))


def _groups(places: list[Any], size: int) -> Iterator[list[Any]]:
    for begin in range(0, len(places), size):
        yield places[begin : begin + size]
