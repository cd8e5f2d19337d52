"""A network that OpenVINO computes on the CPU: converted in memory, and compared with what PyTorch answers."""

from __future__ import annotations

import sys
import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from medseg.nets.tiled import all_finite

Precision = Literal["f32", "bf16"]
LIMITS: dict[Precision, tuple[float, float]] = {"f32": (0.9999, 1e-3), "bf16": (0.98, 0.05)}
"""Least share of equal labels on the check tile, and largest difference of an answer relative to the largest answer."""
TRACED_SIDE = 32
"""A network is traced on a tile of at most this side and checked on a larger one, which shows what the trace froze."""
MOST_SHAPES = 4
"""So many shapes are kept compiled where a network must be converted for each."""


class DisagreementError(Exception):
    """OpenVINO could not take the network over, or answered otherwise than PyTorch; the text says how."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two answers for one tile agree.

    Parameters
    ----------
    share : float
        Voxels with the same label.
    difference : float
        Largest difference, relative to the largest of 1 and the largest reference answer.
    """

    share: float
    difference: float

    def suffices(self, precision: Precision) -> bool:
        """Tell whether the answers agree within `LIMITS`; what is not a number never does."""
        least, most = LIMITS[precision]
        return self.share >= least and self.difference <= most

    def __str__(self) -> str:
        return f"{self.share:.6f} of the labels equal, largest difference {self.difference:.1e} of the largest answer"


def agreement(answer: Tensor, reference: Tensor, *, n_labels: int) -> Agreement:
    """Compare two answers (b, n_out, *s); the first `n_labels` channels decide the label.

    Examples
    --------
    >>> reference = torch.tensor([[[0.0, 2.0], [1.0, 0.0]]])
    >>> agreement(reference + 0.5, reference, n_labels=2)
    Agreement(share=1.0, difference=0.25)
    """
    if answer.shape != reference.shape:
        return Agreement(0.0, float("inf"))
    same = answer[:, :n_labels].argmax(1) == reference[:, :n_labels].argmax(1)
    gap = float((answer - reference).abs().max())
    return Agreement(float(same.float().mean()), gap / max(1.0, float(reference.abs().max())))


def check_tile(n_in: int, shape: tuple[int, ...]) -> Tensor:
    """Return a fixed (1, n_in, *shape) tile as a normalised image is: soft blobs with some noise."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(1, n_in, *(max(2, n // 8) for n in shape), generator=generator)
    blobs = nn.functional.interpolate(coarse, size=shape, mode="bilinear" if len(shape) == 2 else "trilinear")
    return 1.5 * blobs + 0.3 * torch.randn(1, n_in, *shape, generator=generator)


class OpenVinoNetwork(nn.Module):
    """Answers like the network that it is made of, computed by OpenVINO on the CPU.

    Should OpenVINO fail later, PyTorch goes on and `problem` says why.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode, float32, on the CPU; (b, n_in, *s) → (b, n_out, *s).
    n_in : int
    patch : tuple of int
        Shape of the tile that the agreement is checked on.
    n_labels : int
        Leading channels of the answer that decide the label.
    precision : {"f32", "bf16"}

    Raises
    ------
    DisagreementError
        If the network cannot be converted, or the answers for the check tile differ by more than `LIMITS`.
    ImportError
        If OpenVINO is not installed.
    """

    def __init__(
        self, network: nn.Module, *, n_in: int, patch: tuple[int, ...], n_labels: int, precision: Precision = "f32"
    ) -> None:
        super().__init__()
        self.network = network
        self.precision: Precision = precision
        self.problem = ""
        self._n_labels = n_labels
        self._lock = threading.Lock()
        self._by_shape: OrderedDict[tuple[int, ...], Any] = OrderedDict()
        self._for_any_shape: Any = None
        tile = check_tile(n_in, patch)
        with torch.inference_mode():
            reference = network(tile).float()
        self.agreement = self._set_up(tile, reference)

    def forward(self, tiles: Tensor) -> Tensor:
        """Return the answers for (b, n_in, *s) tiles, one after the other."""
        if self.problem:
            return self.network(tiles)
        try:
            found = [self._answer(tile[None]) for tile in tiles]
            answers = found[0] if len(found) == 1 else torch.cat(found)
        except (DisagreementError, RuntimeError) as problem:
            self.problem = _in_short(problem)
            return self.network(tiles)
        if not all_finite(answers):
            self.problem = "it answered with values that are not numbers"
            return self.network(tiles)
        return answers

    def _set_up(self, tile: Tensor, reference: Tensor) -> Agreement:
        shape = tuple(tile.shape[2:])
        small = tuple(min(n, TRACED_SIDE) for n in shape)
        if small != shape:
            try:
                request = _request(self.network, tile[_corner(small)], self.precision, any_shape=True)
                found = agreement(_inferred(request, tile), reference, n_labels=self._n_labels)
            except (DisagreementError, RuntimeError):
                found = Agreement(0.0, float("inf"))  # some networks take tiles of one shape only: tried below
            if found.suffices(self.precision):
                self._for_any_shape = request
                return found
        return self._add_shape(tile, reference)

    def _add_shape(self, tile: Tensor, reference: Tensor) -> Agreement:
        request = _request(self.network, tile, self.precision, any_shape=False)
        found = agreement(_inferred(request, tile), reference, n_labels=self._n_labels)
        if not found.suffices(self.precision):
            raise DisagreementError(f"it did not answer as PyTorch does ({found})")
        self._by_shape[tuple(tile.shape[2:])] = request
        while len(self._by_shape) > MOST_SHAPES:
            self._by_shape.popitem(last=False)
        return found

    def _answer(self, tile: Tensor) -> Tensor:
        with self._lock:  # a request computes for one caller at a time
            if self._for_any_shape is not None:
                return _inferred(self._for_any_shape, tile)
            shape = tuple(tile.shape[2:])
            if shape not in self._by_shape:
                self._add_shape(tile, self.network(tile).float())
            self._by_shape.move_to_end(shape)
            return _inferred(self._by_shape[shape], tile)


def _request(network: nn.Module, tile: Tensor, precision: Precision, *, any_shape: bool) -> Any:
    """Return a compiled request for tiles like `tile`, or of any size."""
    openvino = quiet_openvino()
    from openvino import frontend
    from openvino.tools.ovc.error import Error, FrameworkError

    known: tuple[type[Exception], ...] = (RuntimeError, TypeError, ValueError, AttributeError, LookupError)
    known += (Error, FrameworkError, frontend.GeneralFailure)
    known += (frontend.OpConversionFailure, frontend.OpValidationFailure)
    known += (frontend.NotImplementedFailure, frontend.InitializationFailure)
    try:
        with warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad():
            warnings.simplefilter("ignore")  # tracing is deprecated, and warns of every size it may freeze
            traced = torch.jit.trace(network, tile.clone(), check_trace=False)
            model = openvino.convert_model(traced)
        sizes = [-1] * (tile.ndim - 2) if any_shape else list(tile.shape[2:])
        model.reshape([1, tile.shape[1], *sizes])
        settings = {
            "INFERENCE_PRECISION_HINT": precision,  # else bf16 wherever the processor has it
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,
        }
        return openvino.Core().compile_model(model, "CPU", settings).create_infer_request()
    except known as problem:
        raise DisagreementError(f"the network could not be converted: {_in_short(problem)}") from problem


def _inferred(request: Any, tile: Tensor) -> Tensor:
    array = np.ascontiguousarray(tile.numpy(), dtype=np.float32)
    request.infer([array], share_inputs=True)
    # the request writes its next answer into the same memory
    return torch.from_numpy(np.array(request.get_output_tensor(0).data, dtype=np.float32))


def quiet_openvino() -> ModuleType:
    """Import OpenVINO without its reports to Intel: by itself it tells a server of every import and conversion.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    with _no_telemetry(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import openvino
        import openvino.tools.ovc  # what else would bring the reports in, later
    return openvino


@contextmanager
def _no_telemetry() -> Iterator[None]:
    name = "openvino_telemetry"
    if name in sys.modules or "openvino" in sys.modules:
        yield  # somebody else has loaded it already
        return
    sys.modules[name] = None  # type: ignore[assignment]  # an import of it fails, and OpenVINO takes its own stub
    try:
        yield
    finally:
        del sys.modules[name]


def _corner(shape: tuple[int, ...]) -> tuple[slice, ...]:
    return (slice(None), slice(None), *(slice(0, n) for n in shape))


def _in_short(problem: BaseException) -> str:
    # OpenVINO tells the place in its own source first and the reason last
    lines = [line.strip(" -") for line in str(problem).splitlines() if line.strip(" -")]
    return lines[-1][:200] if lines else type(problem).__name__
