"""Where and how precisely to compute."""

from __future__ import annotations

import torch

from medseg.errors import UsageError


def choose(device: str) -> torch.device:
    """Return the torch device for ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.

    Raises
    ------
    UsageError
        If a device was asked for that is not there.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    kind = device.partition(":")[0]
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(kind, False):
        raise UsageError(
            "E_USAGE",
            found=f"the device {device!r}, which is not there",
            expected="one of " + ", ".join(["auto", *(k for k, ok in there.items() if ok)]),
            not_done="nothing was computed",
            remedy="Choose --device auto.",
        )
    return torch.device(device)


def fast_half(device: torch.device) -> bool:
    """Tell whether bfloat16 is quick on `device`, and not merely possible."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    if device.type == "cpu":
        # torch tells this only under private names, which may vanish
        tests = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        return any(getattr(torch.cpu, name, bool)() for name in tests)
    return False
