"""Is every result still what its record says? Re-hash them all, and name what no record speaks of."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medseg.errors import InputError
from medseg.progress import Pace, Steps, finish
from medseg.workflow.names import result_owner
from medseg.workflow.record import Record, load_record, outputs_that_differ
from medseg.workflow.search import RECORD_SUFFIX


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What a check of an output folder found; all names are relative to the folder.

    Parameters
    ----------
    out : str
    records : int
        Number of records, damaged ones included.
    outputs : int
        Number of files that were hashed or found missing.
    missing : tuple of str
        Outputs that a record speaks of and that are not there.
    changed : tuple of str
        Outputs that are not, byte for byte, what their record says.
    damaged : tuple of str
        Records that cannot be read, or whose name is not their case's.
    orphans : tuple of str
        Files named like results that no record speaks of.
    """

    out: str
    records: int
    outputs: int
    missing: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    orphans: tuple[str, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Tell whether there are results and all of them are proven."""
        return self.records > 0 and not (self.missing or self.changed or self.damaged or self.orphans)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON data."""
        lists = {name: list(getattr(self, name)) for name in ("missing", "changed", "damaged", "orphans")}
        return {"out": self.out, "records": self.records, "outputs": self.outputs, "is_sound": self.is_sound, **lists}


def verify(out: str | Path) -> VerifyReport:
    """Re-hash every result of an output folder against its record.

    Parameters
    ----------
    out : path-like
        An output folder.

    Raises
    ------
    InputError
        E_INPUT_UNREADABLE if there is no such folder, E_INPUT_EMPTY if it holds neither records nor results.
    """
    return finish(verify_steps(Path(out)))


def verify_steps(out: Path) -> Steps[VerifyReport]:
    """Do what `verify` does, with progress after each record."""
    names = _listed(out)
    record_names = [name for name in names if name.endswith(RECORD_SUFFIX)]
    found: dict[str, list[str]] = {"missing": [], "changed": [], "damaged": []}
    claimed: set[str] = set(record_names)
    n_outputs = 0
    pace = Pace("checking records", len(record_names))
    for number, name in enumerate(record_names, start=1):
        record = _record(out / name)
        if record is None:
            found["damaged"].append(name)
        else:
            claimed.update(output.path for output in record.outputs)
            n_outputs += len(record.outputs)
            for path, fault in outputs_that_differ(record, out).items():
                found[fault].append(path)
        yield pace.at(number)
    orphans = tuple(name for name in names if name not in claimed and result_owner(name) is not None)
    if not record_names and not orphans:
        raise _nothing(out, "E_INPUT_EMPTY", "neither records nor results")
    lists = {name: tuple(entries) for name, entries in found.items()}
    return VerifyReport(str(out), len(record_names), n_outputs, orphans=orphans, **lists)


def _listed(out: Path) -> list[str]:
    try:
        return sorted(os.listdir(out))
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise _nothing(out, "E_INPUT_UNREADABLE", f"a folder that cannot be listed ({reason})") from error


def _record(path: Path) -> Record | None:
    try:
        record = load_record(path)
    except InputError:
        return None
    return record if path.name == record.case_id + RECORD_SUFFIX else None


def _nothing(out: Path, code: str, found: str) -> InputError:
    return InputError(
        code,
        path=out,
        found=found,
        expected="an output folder of medseg",
        not_done="nothing was checked",
        remedy="Give the folder that was named with -o.",
    )
