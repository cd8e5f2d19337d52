"""The model that stays in memory between two runs: the last one that was wanted."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from medseg import Progress
from medseg.progress import Steps

if TYPE_CHECKING:
    from medseg.pipeline import Model

Key = tuple[str, str]
"""Name or folder of a model, and the device."""


class LoadedModel:
    """Holds at most one model, and none that nobody waits for: its load may end after the run was given up.

    The window says what is wanted, the thread of the run loads and keeps.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._wanted: Key | None = None
        self._key: Key | None = None
        self._model: Model | None = None

    def want(self, key: Key) -> None:
        """Wait for a model; another one that is held is let go, so that the two need not fit into memory."""
        with self._lock:
            self._wanted = key
            if self._key != key:
                self._key = self._model = None

    def give_up(self) -> None:
        """Wait for none any more; one that is held stays for the next run."""
        with self._lock:
            self._wanted = None

    def forget(self) -> None:
        """Hold none, and take none that is still being loaded."""
        with self._lock:
            self._wanted = self._key = self._model = None

    def get(self, key: Key) -> Model | None:
        """Return the model that is held, None if that is another one or none."""
        with self._lock:
            return self._model if self._key == key else None

    def steps(self, key: Key) -> Steps[Model]:
        """Load a model unless it is held: work for the thread, that returns it."""
        from medseg.pipeline import load_model

        yield Progress("loading the model", 0, 0)
        model = self.get(key)
        if model is None:
            name, device = key
            model = load_model(name, device=device)
            self.keep(key, model)
        return model

    def keep(self, key: Key, model: Model) -> None:
        """Hold a model that was loaded, if it is the one that is waited for."""
        with self._lock:
            if self._wanted == key:
                self._key, self._model = key, model
