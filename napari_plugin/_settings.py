"""What the user prefers, from napari's Preferences; sensible choices where napari knows no preferences of plugins."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True, slots=True)
class Settings:
    """Choices that the widgets start with.

    Parameters
    ----------
    model : str
        Name of a model or path of a model folder; "" for the first that fits.
    device : str
        One of `DEVICES`.
    threads : int
        CPU threads of a folder run; 0 for all.
    keep_maps : bool
        Show the probabilities as layers too.
    """

    model: str = ""
    device: str = "auto"
    threads: int = 0
    keep_maps: bool = False


def settings() -> Settings:
    """Return what the user chose in Preferences; what is not there or makes no sense keeps its default."""
    try:
        from napari.settings import get_plugin_settings
    except ImportError:  # napari before 0.9
        return Settings()
    try:
        chosen = get_plugin_settings("medseg")
    except (KeyError, ValueError, AttributeError):
        return Settings()
    return _made_of(getattr(chosen, "segment", None))


def _made_of(group: Any) -> Settings:
    own = Settings()
    kept: dict[str, Any] = {}
    for field in fields(Settings):
        value = getattr(group, field.name, None)
        value = getattr(value, "value", value)  # a choice of several is an enumeration
        default = getattr(own, field.name)
        if type(value) is type(default):
            kept[field.name] = value
    made = Settings(**kept)
    known = made.device in DEVICES and made.threads >= 0
    return made if known else Settings(model=made.model, keep_maps=made.keep_maps)
