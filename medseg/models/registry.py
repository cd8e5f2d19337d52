"""Which models are there: those that come with medseg, and those in the user's folder."""

from __future__ import annotations

import difflib
import os
import re
import shutil
from pathlib import Path

from medseg.errors import MedsegError, ModelError, UsageError
from medseg.models.bundle import CARD, load_bundle, read_card
from medseg.models.card import NAME_PATTERN, ModelCard

EMBEDDED = Path(__file__).parent / "weights"


def user_folder() -> Path:
    """Return the folder of the user's models: ``MEDSEG_MODELS``, else the user's data folder."""
    chosen = os.environ.get("MEDSEG_MODELS")
    if chosen:
        return Path(chosen)
    from platformdirs import user_data_path

    return user_data_path("medseg") / "models"


def find(name_or_path: str) -> Path:
    """Return the folder of a model, given its name or a path.

    A plain name is looked up among the user's models first, then among the embedded ones; anything with a path
    separator is a path.

    Raises
    ------
    ModelError
        If there is no such model; near names are offered. E_NETWORK_REFUSED for addresses.
    """
    if "://" in name_or_path:
        raise _no(
            "E_NETWORK_REFUSED",
            name_or_path,
            "an address",
            "the name of a model, or a folder",
            "Download the model yourself, then give its folder.",
        )
    looks_like_path = os.sep in name_or_path or "/" in name_or_path or name_or_path.startswith((".", "~"))
    if looks_like_path:
        path = Path(name_or_path).expanduser()
        if path.is_dir() or path.is_file():
            return path  # a file is refused by what it is when it is opened
        if path.is_absolute() or ".." in path.parts or not path.exists():
            raise _no(
                "E_PATH_UNSAFE",
                name_or_path,
                "a path where no model folder is",
                "a model folder or a name",
                _known_sentence(),
            )
        return path
    if not re.match(NAME_PATTERN, name_or_path):
        raise _no(
            "E_PATH_UNSAFE",
            name_or_path,
            "a name with unusual characters",
            "letters, digits, dot, dash, underscore",
            _known_sentence(),
        )
    for root in (user_folder(), EMBEDDED):
        if (root / name_or_path / CARD).is_file():
            return root / name_or_path
    if Path(name_or_path).is_dir():
        return Path(name_or_path)
    near = difflib.get_close_matches(name_or_path, _names(), n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    raise _no("E_BUNDLE_INCOMPATIBLE", name_or_path, "no model of this name", "a known model", hint + _known_sentence())


def listed() -> tuple[ModelCard, ...]:
    """Return the cards of all models, the user's first; damaged folders are left out."""
    cards: dict[str, ModelCard] = {}
    for name in _names():
        try:
            cards[name] = read_card(find(name))
        except MedsegError:
            continue
    return tuple(cards.values())


def add(folder: Path) -> ModelCard:
    """Check a model folder wholly and copy it to the user's models.

    Raises
    ------
    ModelError
        If it is not a valid model.
    UsageError
        If a model of that name is there already.
    """
    bundle = load_bundle(folder)
    target = user_folder() / bundle.card.name
    if target.exists() or (EMBEDDED / bundle.card.name).exists():
        raise UsageError(
            "E_OUTPUT_EXISTS",
            path=target,
            found=f"a model named {bundle.card.name!r}",
            expected="a new name",
            not_done="the model was not added",
            remedy="Remove the old one first (medseg models remove NAME), or train yours under another name.",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(folder, temporary)
    if load_bundle(temporary).sha256 != bundle.sha256:
        shutil.rmtree(temporary, ignore_errors=True)
        raise _no(
            "E_BUNDLE_INTEGRITY",
            str(folder),
            "a folder that changed while it was copied",
            "a stable folder",
            "Try again.",
        )
    temporary.rename(target)
    return bundle.card


def remove(name: str) -> None:
    """Remove one of the user's models; embedded ones stay."""
    target = user_folder() / name
    if not re.match(NAME_PATTERN, name) or not (target / CARD).is_file():
        raise _no(
            "E_BUNDLE_INCOMPATIBLE", name, "no model of yours by this name", "one that you added", _known_sentence()
        )
    shutil.rmtree(target)


def _names() -> list[str]:
    names: list[str] = []
    for root in (user_folder(), EMBEDDED):
        if root.is_dir():
            names += sorted(p.name for p in root.iterdir() if (p / CARD).is_file() and p.name not in names)
    return names


def _known_sentence() -> str:
    return f"Known: {', '.join(_names()) or 'none'}."


def _no(code: str, path: str, found: str, expected: str, remedy: str) -> ModelError:
    return ModelError(code, path=path, found=found, expected=expected, not_done="no model was loaded", remedy=remedy)
