"""The table elsewhere: in a file, on the clipboard, and as features of the layer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from medseg.io.atomic import write_atomically
from napari_plugin._objects_store import ID, REVIEWED, ObjectStore, Rows

if TYPE_CHECKING:
    import pandas as pd

FEATURES = ("name", "score", "flags")


def save_csv(store: ObjectStore, path: str | Path) -> None:
    """Write all objects by id: the columns of a run's ``NAME_objects.csv``, and ``reviewed``.

    Raises
    ------
    MedsegError
        If it cannot be written; then nothing is left behind.
    """
    table = store.frame()
    write_atomically(Path(path), lambda temporary: table.to_csv(temporary, index=False))


def as_text(store: ObjectStore, places: Rows) -> str:
    """Return rows with titles, divided by tabs: spreadsheets take them as they are."""
    return str(store.frame(places).to_csv(index=False, sep="\t", lineterminator="\n"))


def features(store: ObjectStore) -> pd.DataFrame:
    """Return what napari shows beside the cursor and can colour by; its column ``index`` holds the label ids."""
    table = store.frame()
    return table[[ID, *FEATURES, store.size_name, REVIEWED]].rename(columns={ID: "index", "name": "class"})


def set_features(layer: Any, store: ObjectStore) -> None:
    """Hand the table to the layer."""
    layer.features = features(store)
