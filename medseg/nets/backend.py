"""Which library computes a network: PyTorch, or OpenVINO where it is installed and answers the same."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Literal, get_args

from medseg.errors import Notice, UsageError
from medseg.models.card import ModelCard

if TYPE_CHECKING:
    import torch
    from torch import nn

    from medseg.nets.openvino_network import Precision

Asked = Literal["auto", "torch", "openvino", "openvino-bf16"]
"""What may be asked for. ``auto``: OpenVINO in float32 on a CPU where it is there and agrees, else PyTorch."""
INSTALL = 'pip install "medseg[openvino]"'


@dataclass(frozen=True, slots=True)
class Backend:
    """What computes a network.

    Parameters
    ----------
    name : {"torch", "openvino"}
    version : str
    precision : {"f32", "bf16"}, optional
        Of OpenVINO; PyTorch's follows the device.
    reason : str
        Why it is this one.
    fell_back : bool
        The other one was to compute, and failed or did not agree.
    """

    name: Literal["torch", "openvino"]
    version: str
    precision: Precision | None = None
    reason: str = ""
    fell_back: bool = False

    @property
    def notices(self) -> tuple[Notice, ...]:
        """W_BACKEND_FALLBACK where the other one was to compute."""
        if not self.fell_back:
            return ()
        return (Notice("W_BACKEND_FALLBACK", f"OpenVINO was not used: {self.reason}; PyTorch computed instead"),)

    def as_dict(self) -> dict[str, str]:
        """Return plain data for a record."""
        found = {"backend": self.name, "version": self.version, "precision": self.precision, "reason": self.reason}
        return {name: text for name, text in found.items() if text}

    def __str__(self) -> str:
        name = {"torch": "PyTorch", "openvino": "OpenVINO"}[self.name]
        return f"{name} {self.version}" + (f" ({self.precision})" if self.precision else "")


def equipped(
    network: nn.Module, card: ModelCard, *, asked: str, device: torch.device, n_labels: int
) -> tuple[nn.Module, Backend]:
    """Return the network as it will be computed on `device`, and by what.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode, on the CPU.
    card : ModelCard
    asked : {"auto", "torch", "openvino", "openvino-bf16"}
    device : torch.device
    n_labels : int
        Leading channels of the answer that decide the label, for the check.

    Raises
    ------
    UsageError
        If OpenVINO was asked for and cannot be used here.
    """
    check_backend(asked, card, device.type)
    if asked == "torch":
        return network.to(device), _torch("asked for")
    why_not = _hindrance(card, device.type)
    if why_not:
        return network.to(device), _torch(why_not)
    from medseg.nets.openvino_network import DisagreementError, OpenVinoNetwork, quiet_openvino

    try:
        quiet_openvino()
    except ImportError as problem:
        return network.to(device), _torch(f"OpenVINO cannot be loaded ({problem})", fell_back=asked != "auto")
    precision: Precision = "bf16" if asked == "openvino-bf16" else "f32"
    n_in, patch = len(card.input.channels), card.input.patch
    try:
        made = OpenVinoNetwork(network, n_in=n_in, patch=patch, n_labels=n_labels, precision=precision)
    except DisagreementError as problem:
        return network.to(device), _torch(str(problem), fell_back=True)
    return made, Backend("openvino", openvino_version(), precision, f"it agrees with PyTorch: {made.agreement}")


def in_use(network: nn.Module, chosen: Backend) -> Backend:
    """Return what computes now: OpenVINO may have failed since it was `chosen`."""
    problem = getattr(network, "problem", "")
    return _torch(problem, fell_back=True) if problem else chosen


def check_backend(asked: str, card: ModelCard, device: str) -> None:
    """Refuse to be asked for what cannot be.

    Raises
    ------
    UsageError
        If the name is unknown, or OpenVINO is asked for where it is not installed, for a detector, on another device
        than the CPU, or in bfloat16 where the processor has no quick one.
    """
    if asked not in get_args(Asked):
        raise _wrong(f"--backend {asked}", " or ".join(get_args(Asked)), "Choose one of these for --backend.")
    if asked in ("auto", "torch"):
        return
    why_not = _hindrance(card, device)
    if why_not:
        remedy = INSTALL if openvino_version() == "" else "Choose --backend auto."
        raise _wrong(f"--backend {asked}, but {why_not}", "a network and a device that OpenVINO can compute", remedy)
    if asked == "openvino-bf16" and not _has_bf16():
        found = f"--backend {asked} on a processor without bfloat16"
        raise _wrong(found, "AVX512-BF16 or AMX", "Choose --backend openvino; it computes in float32.")


def openvino_version() -> str:
    """Return the version of OpenVINO that is installed; empty where it is not."""
    try:
        return version("openvino")
    except PackageNotFoundError:
        return ""


def _hindrance(card: ModelCard, device: str) -> str:
    if device != "cpu":
        return f"the device is {device}, and OpenVINO computes on the CPU"
    if card.task == "detection":
        return "a detector answers with objects, which only PyTorch computes"
    return "" if openvino_version() else "OpenVINO is not installed"


def _has_bf16() -> bool:
    import torch

    from medseg.nets.device import fast_half

    return fast_half(torch.device("cpu"))


def _torch(reason: str, *, fell_back: bool = False) -> Backend:
    return Backend("torch", version("torch"), None, reason, fell_back)


def _wrong(found: str, expected: str, remedy: str) -> UsageError:
    return UsageError("E_USAGE", found=found, expected=expected, not_done="nothing was computed", remedy=remedy)
