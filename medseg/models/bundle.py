"""Read and write a model folder: card.json and model.safetensors, checked before they are believed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from medseg.errors import ModelError
from medseg.models.card import ModelCard
from medseg.models.foreign import worst_of_archive, worst_of_folder
from medseg.models.texts import check_texts, harmless

CARD = "card.json"
WEIGHTS = "model.safetensors"
MAX_CARD_BYTES = 1_000_000
MAX_CARD_DEPTH = 32
MAX_TEXT_BYTES = 1_000_000
MAX_WEIGHT_BYTES = 4 * 1024**3
_TEXTS = {"README.md", "LICENSE"}
_ALLOWED = {CARD, WEIGHTS, *_TEXTS}
_CODE = {
    ".py",
    ".pyc",
    ".pt",
    ".pth",
    ".ts",
    ".pkl",
    ".pickle",
    ".ckpt",
    ".bin",
    ".so",
    ".dll",
    ".sh",
    ".conf",
    ".yaml",
    ".yml",
}

Tensors = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, eq=False, slots=True)
class Bundle:
    """A model folder in memory.

    Parameters
    ----------
    path : str
    card : ModelCard
    tensors : dict of str to array
        Weights by name, as stored.
    sha256 : str
        Hash over card and weights: the identity of the model.
    """

    path: str
    card: ModelCard
    tensors: Tensors
    sha256: str


def load_bundle(folder: Path) -> Bundle:
    """Read a model folder.

    Only data are read: JSON with a strict schema and safetensors. Nothing in the folder is ever run.

    Raises
    ------
    ModelError
        E_BUNDLE_UNSAFE for files that could hold code, E_BUNDLE_INTEGRITY for damaged ones, E_BUNDLE_INCOMPATIBLE for
        a card that this version does not understand, E_PATH_UNSAFE for links out of the folder.
    """
    _check_files(folder)
    card, card_bytes = _card(folder)
    weights = _bytes(folder / WEIGHTS, MAX_WEIGHT_BYTES)
    if hashlib.sha256(weights).hexdigest() != card.weights_sha256:
        raise _refusal(
            "E_BUNDLE_INTEGRITY",
            folder / WEIGHTS,
            "weights that differ from the card's hash",
            "the weights that the card describes",
        )
    tensors = _tensors(weights, folder / WEIGHTS)
    identity = hashlib.sha256(card_bytes + hashlib.sha256(weights).digest()).hexdigest()
    return Bundle(str(folder), card, tensors, identity)


def read_card(folder: Path) -> ModelCard:
    """Read the card alone, without the weights."""
    _check_files(folder)
    return _card(folder)[0]


def save_bundle(folder: Path, *, card: dict[str, Any], tensors: Tensors, texts: dict[str, bytes] | None = None) -> Path:
    """Write a model folder, whole or not at all; an existing model folder is replaced.

    Parameters
    ----------
    folder : Path
    card : dict
        The fields of `ModelCard` but ``weights_sha256``.
    tensors : dict of str to array
        Stored as they are: give float16 to store float16.
    texts : dict of str to bytes, optional
        README.md and LICENSE.
    """
    from safetensors.numpy import save

    weights = save({name: np.ascontiguousarray(array) for name, array in tensors.items()})
    checked = ModelCard.model_validate({**harmless(card), "weights_sha256": hashlib.sha256(weights).hexdigest()})
    temporary = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    _write(temporary / WEIGHTS, weights)
    _write(temporary / CARD, (checked.model_dump_json(indent=2) + "\n").encode())
    for name, content in (texts or {}).items():
        _write(temporary / name, content)
    load_bundle(temporary)
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    temporary.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
    return folder


def with_card(folder: Path, **changes: Any) -> Path:
    """Write the folder again with some fields of its card changed; the weights and texts beside them stay."""
    bundle = load_bundle(folder)
    texts = {name: (folder / name).read_bytes() for name in _ALLOWED - {CARD, WEIGHTS} if (folder / name).exists()}
    card = {**bundle.card.model_dump(exclude={"weights_sha256"}), **changes}
    save_bundle(folder, card=card, tensors=bundle.tensors)
    for name, text in texts.items():
        _write(folder / name, text)
    return folder


def _check_files(folder: Path) -> None:
    if folder.is_file() and (worst := worst_of_archive(folder)):
        raise _refusal(worst[0], folder, worst[1], f"a folder with {CARD} and {WEIGHTS}")
    if not folder.is_dir():
        raise _refusal("E_BUNDLE_INCOMPATIBLE", folder, "no model folder", f"a folder with {CARD} and {WEIGHTS}")
    for path in sorted(folder.rglob("*")):
        _check_plain(path)
    names = {p.name for p in folder.iterdir()}
    if CARD not in names or WEIGHTS not in names:
        inside = f"{', '.join(sorted(names)[:5]) or 'nothing'}"
        code, found = worst_of_folder(folder) or ("E_BUNDLE_INCOMPATIBLE", inside)
        raise _refusal(code, folder, found, f"{CARD} and {WEIGHTS}")
    strangers = sorted(names - _ALLOWED)
    if strangers:
        raise _refusal(
            "E_BUNDLE_INCOMPATIBLE",
            folder / strangers[0],
            "a file that does not belong to a model",
            f"{', '.join(sorted(_ALLOWED))}",
        )
    for name in sorted(names):
        _check_own(folder / name)


def _check_plain(path: Path) -> None:
    if path.is_symlink():
        raise _refusal("E_PATH_UNSAFE", path, "a link", "plain files")
    if not (path.is_file() or path.is_dir()):  # a pipe would be waited for without end
        raise _refusal("E_PATH_UNSAFE", path, "a pipe, socket or device", "plain files")
    if path.suffix.lower() in _CODE:
        raise _refusal("E_BUNDLE_UNSAFE", path, "a file that could hold code", f"{CARD} and {WEIGHTS} only")


def _check_own(path: Path) -> None:
    if not path.is_file():
        raise _refusal("E_BUNDLE_INCOMPATIBLE", path, "a folder under the name of a file", "a file")
    if path.name in _TEXTS and path.stat().st_size > MAX_TEXT_BYTES:
        raise _refusal("E_TOO_LARGE", path, "a text of many pages", f"at most {MAX_TEXT_BYTES:,} bytes")


def _card(folder: Path) -> tuple[ModelCard, bytes]:
    path = folder / CARD
    raw = _bytes(path, MAX_CARD_BYTES)
    if _depth(raw) > MAX_CARD_DEPTH:
        raise _refusal("E_BUNDLE_INCOMPATIBLE", path, "JSON nested too deeply", f"at most {MAX_CARD_DEPTH} levels")
    try:
        data = json.loads(raw, object_pairs_hook=_unique, parse_constant=_no_constant)
        check_texts(data)
        return ModelCard.model_validate(data), raw
    except ValidationError as problem:
        first = problem.errors()[0]
        place = ".".join(str(p) for p in first["loc"]) or "the card"
        raise _refusal(
            "E_BUNDLE_INCOMPATIBLE", path, f"{place}: {first['msg']}", "a card of this version of medseg"
        ) from None
    except (ValueError, RecursionError) as problem:
        raise _refusal(
            "E_BUNDLE_INCOMPATIBLE", path, f"no valid JSON ({problem})", "a card of this version of medseg"
        ) from None


def _tensors(weights: bytes, path: Path) -> Tensors:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors: Tensors = load(weights)
    except (SafetensorError, ValueError, KeyError, TypeError) as problem:
        raise _refusal(
            "E_BUNDLE_INTEGRITY", path, f"damaged weights ({problem})", "a complete safetensors file"
        ) from None
    for name, array in tensors.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise _refusal("E_BUNDLE_INTEGRITY", path, f"values that are not numbers in {name}", "finite weights")
    return tensors


def _bytes(path: Path, most: int) -> bytes:
    size = path.stat().st_size
    if size > most:
        raise _refusal("E_TOO_LARGE", path, f"{size} bytes", f"at most {most}")
    return path.read_bytes()


def _depth(raw: bytes) -> int:
    depth = deepest = 0
    inside = escaped = False
    for byte in raw:
        if inside:
            escaped, inside = (byte == 0x5C and not escaped), byte != 0x22 or escaped
        elif byte == 0x22:
            inside = True
        elif byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key is there twice")
    return result


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _refusal(code: str, path: Path, found: str, expected: str) -> ModelError:
    return ModelError(
        code,
        path=path,
        found=found,
        expected=expected,
        not_done="the model was not loaded and nothing of it was run",
        remedy="Get the model again from its maker, or train it with this version of medseg.",
    )
