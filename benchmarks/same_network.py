"""One network for ours and for nnU-Net: the U-Net that nnU-Net plans for a CT, its weights in both their forms."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / ".venv-peers" / "bin" / "python"
"""Where `make peers` puts nnU-Net."""
SPACING_MM = 1.5
LOW, HIGH, MEAN, STD = -200.0, 400.0, 60.0, 120.0
NOISE_HU = 2.0
ROUGHNESS, COARSE_SHARE = 0.1, 0.03
FITTED_ON, FITTING_STEPS, PENALTY = 10_000, 200, 3e-2


@dataclass(frozen=True)
class Cost:
    """What a process of its own took; `answer` is what it printed last, as data."""

    wall: float
    cpu: float
    peak_gb: float
    answer: dict[str, Any]


def run_alone(command: list[str], threads: int) -> Cost:
    """Run a process to its end; its time and peak memory are its own, start and imports included."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    environment = os.environ | dict.fromkeys((*names, "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"), str(threads))
    begin = perf_counter()
    child = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    lines = child.stdout.read().splitlines()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    wall = perf_counter() - begin
    if child.returncode:
        sys.exit(f"{' '.join(command[:3])} ended with {child.returncode}")
    last = lines[-1] if lines and lines[-1].startswith("{") else "{}"
    per_gb = 1e9 if sys.platform == "darwin" else 1e6  # bytes there, kilobytes on Linux
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / per_gb, json.loads(last))


def plan(n_classes: int, side: int, first: int) -> dict[str, Any]:
    """Return what both sides must know of the network."""
    return {
        "filters": [first * 2**level for level in range(5)],
        "patch": [side] * 3,
        "n_out": n_classes,
        "spacing": SPACING_MM,
        "intensities": [LOW, HIGH, MEAN, STD],
    }


def network_of(made: dict[str, Any]) -> Any:
    """Return the network, its filters drawn at random and its last layer fitted to the organs of a generated CT.

    The filters are mostly blurs, and the coarse levels count little in the last ones: random ones would speckle the
    labels, which a trained network does not. All of it is computed all the same, and an agreement says something.
    """
    import torch

    from medseg.models.card import Architecture
    from medseg.nets.build import build
    from medseg.nets.shape import Shape

    torch.manual_seed(0)
    network = build(Architecture(name="dynunet", options=options_of(made)), shape=Shape(3, 1, made["n_out"])).eval()
    network.requires_grad_(requires_grad=False)
    for parameter in network.parameters():
        if parameter.ndim == 5:
            torch.nn.init.kaiming_normal_(parameter, a=0.01)
            if parameter.shape[-1] == 3:
                blur = torch.randn(*parameter.shape[:2], 1, 1, 1) * parameter.std()
                parameter.mul_(ROUGHNESS).add_(blur)
    joined = dict(network.named_parameters())[f"upsamples.{len(made['filters']) - 2}.conv_block.conv1.conv.weight"]
    joined[:, : joined.shape[1] // 2] *= COARSE_SHARE
    begin, right = perf_counter(), fit_last_layer(network, made)
    print(f"last layer fitted in {perf_counter() - begin:.0f} s: {100 * right:.1f} % of the voxels right")
    for parameter in network.parameters():
        parameter.data = parameter.data.half().float()  # as a model folder may keep them: equal weights for both
    return network


def fit_last_layer(network: Any, made: dict[str, Any]) -> float:
    """Fit the layer that tells the organs from the last features, in place; return the share of voxels it tells."""
    import numpy as np
    import torch

    side = made["patch"][0]
    image, organs = ct_like((side * 3 // 2, side * 3 // 2, side), made["n_out"], seed=1)
    scan = torch.from_numpy(scaled(image, made))
    given: list[Any] = []
    hook = network.output_block.register_forward_pre_hook(lambda _, found: given.append(found[0]))
    rng = np.random.default_rng(2)
    features, truth = [], []
    for corner in product((0, side // 2), repeat=2):
        box = (*(slice(start, start + side) for start in corner), slice(0, side))
        network(scan[box][None, None])
        some = rng.integers(0, side**3, FITTED_ON)
        features.append(given.pop()[0].flatten(1)[:, some].T.clone())
        truth.append(torch.from_numpy(organs[box].ravel()[some].astype(np.int64)))
    hook.remove()
    seen, wanted = torch.cat(features), torch.cat(truth)
    layer = torch.nn.Linear(seen.shape[1], made["n_out"])
    optimiser = torch.optim.LBFGS(layer.parameters(), max_iter=FITTING_STEPS, line_search_fn="strong_wolfe")

    def error() -> Any:
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(layer(seen), wanted) + PENALTY * layer.weight.square().sum()
        loss.backward()
        return loss

    optimiser.step(error)
    last = network.output_block.conv.conv
    last.weight.copy_(layer.weight.detach().reshape(last.weight.shape))
    last.bias.copy_(layer.bias.detach())
    return float((layer(seen).argmax(1) == wanted).float().mean())


def scaled(image: Any, made: dict[str, Any]) -> Any:
    """Return the image as the network takes it, float32."""
    import numpy as np

    low, high, mean, std = made["intensities"]
    return ((image.astype(np.float32).clip(low, high) - mean) / std).astype(np.float32)


def options_of(made: dict[str, Any]) -> dict[str, Any]:
    levels = len(made["filters"])
    strides = [[1] * 3] + [[2] * 3] * (levels - 1)
    kernels = [[3] * 3] * levels
    return {"filters": made["filters"], "strides": strides, "kernels": kernels, "residual": False,
            "deep_supervision": 0}  # fmt: skip


def save_for_both(folder: Path, made: dict[str, Any]) -> None:
    """Write our model folder, and the weights by nnU-Net's names beside the plan."""
    import numpy as np

    from medseg.models.bundle import save_bundle

    network = network_of(made)
    state = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    own = {name: state[name] for name in _own_names(network)}
    ids = range(1, made["n_out"])
    card = {
        "name": "bench", "version": "1.0.0", "task": "semantic", "summary": "For the benchmark.",
        "architecture": {"name": "dynunet", "options": options_of(made)},
        "input": {
            "channels": ("ct",), "space": "patient", "orientation": "RAS", "spacing": [SPACING_MM] * 3, "unit": "mm",
            "patch": made["patch"],
            "normalisation": {"scheme": "ct", "low": LOW, "high": HIGH, "mean": MEAN, "std": STD},
        },
        "classes": {k: f"organ {k}" for k in ids},
        "outputs": ("background", *(f"organ {k}" for k in ids)),
        "licence": "Apache-2.0",
        "training_data": {"name": "none", "licence": "none", "attribution": "none", "n_cases": 0},
    }  # fmt: skip
    save_bundle(folder / "ours", card=card, tensors=own)
    np.savez(folder / "weights.npz", **{new: _turned(state[old]) for old, new in names(len(made["filters"])).items()})
    (folder / "plan.json").write_text(json.dumps(made))


def _own_names(network: Any) -> list[str]:
    from medseg.learn.weights import as_tensors

    return list(as_tensors(network))


def _turned(weights: Any) -> Any:
    # nnU-Net reads a NIfTI as (z, y, x), we as (x, y, z): the same network needs its kernels turned round
    import numpy as np

    return np.ascontiguousarray(weights.transpose(0, 1, 4, 3, 2)) if weights.ndim == 5 else weights


def names(levels: int) -> dict[str, str]:
    """Return MONAI's names of the weights and nnU-Net's."""
    found: dict[str, str] = {}

    def block(ours: str, theirs: str) -> None:
        for k in (1, 2):
            found[f"{ours}.conv{k}.conv.weight"] = f"{theirs}.convs.{k - 1}.conv.weight"
            for kind in ("weight", "bias"):
                found[f"{ours}.norm{k}.{kind}"] = f"{theirs}.convs.{k - 1}.norm.{kind}"

    places = ["input_block", *(f"downsamples.{i}" for i in range(levels - 2)), "bottleneck"]
    for stage, place in enumerate(places):
        block(place, f"encoder.stages.{stage}.0")
    for i in range(levels - 1):
        found[f"upsamples.{i}.transp_conv.conv.weight"] = f"decoder.transpconvs.{i}.weight"
        block(f"upsamples.{i}.conv_block", f"decoder.stages.{i}")
    for kind in ("weight", "bias"):
        found[f"output_block.conv.conv.{kind}"] = f"decoder.seg_layers.{levels - 2}.{kind}"
    return found


def ct_like(shape: tuple[int, ...], n_classes: int, seed: int = 0) -> tuple[Any, Any]:
    """Return an int16 CT (x, y, z) and its organs: a body of soft shapes of other densities in air, with some noise.

    Two smooth fields, cut into bands, cross each other; each crossing is an organ with a density of its own.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    n_bands = int(np.ceil(np.sqrt(n_classes - 1)))
    first, second = (_bands(shape, n_bands, rng) for _ in range(2))
    organs = np.minimum(1 + first * n_bands + second, n_classes - 1).astype(np.uint8)
    half = np.array(shape[:2]).reshape(2, 1, 1) / 2
    body = (((np.indices(shape[:2]) - half) / (0.9 * half)) ** 2).sum(0) < 1
    organs *= body[..., None]
    step = (HIGH - LOW) / (n_classes - 1)
    density = np.array([-1000.0, *(LOW + (k - 0.5) * step for k in range(1, n_classes))], dtype=np.float32)
    noise = rng.standard_normal(shape, dtype=np.float32) * np.float32(NOISE_HU)
    return (density[organs] + noise).astype(np.int16), organs


def _bands(shape: tuple[int, ...], n_bands: int, rng: Any) -> Any:
    import numpy as np
    from scipy import ndimage, special

    coarse = ndimage.gaussian_filter(rng.standard_normal(tuple(max(2, n // 4) for n in shape)), 6)
    coarse = ((coarse - coarse.mean()) / coarse.std()).astype(np.float32)
    soft = ndimage.zoom(coarse, [n / m for n, m in zip(shape, coarse.shape, strict=True)], order=1)
    return np.minimum(special.ndtr(soft) * n_bands, n_bands - 1).astype(np.uint8)


def peers_or_stop() -> str:
    if not PEERS.exists():
        sys.exit("nnU-Net is not there: run `make peers` first")
    return str(PEERS)
