"""The objects of a layer as columns, found by label id: rows are replaced, added and dropped one at a time. No Qt."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from medseg.labels import HARMLESS_FLAGS
from medseg.measure.counts import size_column

if TYPE_CHECKING:
    import pandas as pd

Rows = npt.NDArray[np.int64]

ID, REVIEWED = "object_id", "reviewed"
_TEXT = ("name", "flags")
_WHOLE = "iu"


class ObjectStore:
    """Columns of a table of objects.

    A place is where an object's values stand; places of dropped objects are left empty. Which places are shown, and in
    which order, is for a model to say.

    Parameters
    ----------
    table : DataFrame
        As `medseg.measure.measure` gives it for instances.
    reviewed : iterable of int
        Ids that were looked at.
    """

    def __init__(self, table: pd.DataFrame, reviewed: Iterable[int] = ()) -> None:
        self.names: tuple[str, ...] = (*table.columns, REVIEWED)
        self.size_name = size_column(table)
        self._dtypes = dict(table.dtypes)
        self._whole = {n for n in table.columns if _is_whole(table[n].dtype)}
        self._truth = {n for n in table.columns if _is_truth(table[n].dtype)} | {REVIEWED}
        self._used = len(table)
        self._columns = {name: self._as_array(name, table[name]) for name in table.columns}
        seen = np.fromiter(reviewed, np.int64)
        self._columns[REVIEWED] = np.isin(self._columns[ID], seen)
        self._alive = np.ones(self._used, np.bool_)
        self._order: Rows | None = None
        self._place = {int(i): at for at, i in enumerate(self._columns[ID])}

    def __len__(self) -> int:
        return len(self._place)

    def __contains__(self, number: int) -> bool:
        return number in self._place

    @property
    def ids(self) -> Rows:
        """(n,) ids, ascending."""
        return np.asarray(self._columns[ID][self.places()], np.int64)

    def places(self) -> Rows:
        """Return the places in use, by ascending id."""
        if self._order is None:
            used = np.flatnonzero(self._alive[: self._used])
            self._order = used[np.argsort(self._columns[ID][used], kind="stable")]
        return self._order

    def place(self, number: int) -> int:
        """Return the place of an object; KeyError where there is none."""
        return self._place[number]

    def column(self, name: str) -> npt.NDArray[Any]:
        """Return a column by place; empty places hold what was there before."""
        return self._columns[name][: self._used]

    def value(self, place: int, name: str) -> Any:
        """Return one value: int, float, str or bool; None where it is empty."""
        held = self._columns[name][place]
        if name in _TEXT or held is None:
            return held or None
        if name in self._truth:
            return bool(held)
        if held != held:
            return None
        return int(held) if name in self._whole else float(held)

    def put(self, number: int, name: str, value: Any) -> None:
        """Write one value of an object."""
        self._columns[name][self._place[number]] = value

    def update(self, table: pd.DataFrame, *, gone: Iterable[int] = ()) -> tuple[list[int], list[int], list[int]]:
        """Replace or add the rows of a table, and drop the ids of `gone`.

        Returns
        -------
        (changed, added, dropped)
            Places.
        """
        dropped = [self._drop(number) for number in gone if number in self._place]
        changed: list[int] = []
        added: list[int] = []
        places = []
        for number in table[ID].tolist():
            known = number in self._place
            places.append(self._place[number] if known else self._new(number))
            (changed if known else added).append(places[-1])
        for name in table.columns:
            values = self._as_array(name, table[name])
            self._columns[name][places] = values
        return changed, added, dropped

    def frame(self, places: Rows | None = None) -> pd.DataFrame:
        """Return a table of all objects by id, or of some places, with the dtypes of the measuring."""
        import pandas as pd

        chosen = self.places() if places is None else places
        columns = {}
        for name in self.names:
            values = self._columns[name][chosen]
            kind = self._dtypes.get(name, np.dtype(np.bool_))
            if name in self._whole and values.dtype.kind == "f" and not np.isnan(values).any():
                values = values.astype(np.int64)
            columns[name] = pd.Series(values).astype(kind) if name not in _TEXT else pd.Series(values, dtype=object)
        return pd.DataFrame(columns)

    def asks_for_eyes(self) -> npt.NDArray[np.bool_]:
        """Tell by place which objects carry a flag that hints at a mistake and were not reviewed yet."""
        flags = self.column("flags")
        marks = {text: bool(set(filter(None, text.split(";"))) - set(HARMLESS_FLAGS)) for text in set(flags)}
        flagged = np.fromiter((marks[text] for text in flags), np.bool_, len(flags))
        return flagged & ~self.column(REVIEWED)

    def flags_by_weight(self, place: int) -> str:
        """Return the flags of an object, those that hint at a mistake first."""
        held = filter(None, str(self._columns["flags"][place]).split(";"))
        return ";".join(sorted(held, key=lambda flag: flag in HARMLESS_FLAGS))

    def needs_eyes(self, place: int) -> bool:
        """Tell whether one object asks for a look."""
        held = set(filter(None, str(self._columns["flags"][place]).split(";")))
        return bool(held - set(HARMLESS_FLAGS)) and not self._columns[REVIEWED][place]

    def urgency(self, places: Rows) -> Rows:
        """Return the order in which objects want to be seen: flagged first, then by score; reviewed ones last."""
        score = self.column("score")[places]
        seen = self.column(REVIEWED)[places]
        return np.lexsort((self.column(ID)[places], np.nan_to_num(score, nan=2.0), ~self.asks_for_eyes()[places], seen))

    def by_size(self, places: Rows) -> npt.NDArray[Any]:
        """Return the size of the objects at places."""
        return self.column(self.size_name)[places]

    def centres(self, places: Rows) -> npt.NDArray[np.float64]:
        """Return the (n, d) world positions of the objects at places."""
        return np.stack([self.column(n)[places] for n in self.names if n.startswith("centroid_")], axis=1)

    def _as_array(self, name: str, column: pd.Series[Any]) -> npt.NDArray[Any]:
        if name in _TEXT:
            return np.array([_plain(name, v) for v in column], dtype=object)
        if name in self._truth:
            return np.array(column.fillna(value=False), dtype=np.bool_)
        if name == ID:
            return np.array(column, dtype=np.int64)
        # a whole number may be missing too, so all numbers are kept as floats: exact up to 2**53
        return np.array(column.astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan), np.float64)

    def _drop(self, number: int) -> int:
        place = self._place.pop(number)
        self._alive[place] = False
        self._order = None
        return place

    def _new(self, number: int) -> int:
        if self._used == len(self._alive):
            self._grow()
        place, self._used = self._used, self._used + 1
        self._order = None
        self._place[number] = place
        self._alive[place] = True
        self._columns[REVIEWED][place] = False
        return place

    def _grow(self) -> None:
        room = max(64, len(self._alive))
        for name, values in self._columns.items():
            more = np.empty(room, values.dtype)
            more[:] = "" if values.dtype == object else 0
            self._columns[name] = np.concatenate([values, more])
        self._alive = np.concatenate([self._alive, np.zeros(room, np.bool_)])


def _plain(name: str, value: Any) -> Any:
    missing = value is None or value != value or type(value).__name__ == "NAType"
    if name in _TEXT:
        return "" if missing else str(value)
    return np.nan if missing else value


def _is_whole(dtype: Any) -> bool:
    return str(dtype).lower().startswith(("int", "uint"))


def _is_truth(dtype: Any) -> bool:
    return str(dtype).lower().startswith("bool")
