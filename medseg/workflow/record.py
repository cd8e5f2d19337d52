"""The record of a result, `NAME.medseg.json`: written last, it proves what the result was made of."""

from __future__ import annotations

import json
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, JsonValue, PlainValidator, ValidationError

from medseg import __version__
from medseg.errors import InputError
from medseg.workflow.hashing import digest
from medseg.workflow.search import RECORD_SUFFIX

SCHEMA = "medseg-record/1"
LABEL = "RESEARCH USE ONLY - not for diagnosis"
_MAX_RECORD_BYTES = 64 * 1024**2
_PACKAGES = ("torch", "monai", "numpy", "nibabel", "pydicom", "SimpleITK", "tifffile")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("should be text")
    return value


FileName = Annotated[str, PlainValidator(_text)]
"""A file name as the system gives it; unlike pydantic's own text it may hold bytes that are no UTF-8."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class InputFile(_Part):
    """One file of the input, relative to the input root."""

    path: FileName
    sha256: str
    n_bytes: int


class InputPart(_Part):
    """What was read: files, the grid, and the range of the values."""

    files: tuple[InputFile, ...]
    format: str
    series: str | None = None
    grid: dict[str, JsonValue]
    values: dict[str, JsonValue]
    details: dict[str, JsonValue]


class MemberPart(_Part):
    """One of several models that answered as one."""

    name: str
    version: str
    sha256: str


class ModelPart(_Part):
    """The model that segmented; its `members` where several answered as one."""

    name: str
    version: str
    sha256: str
    licence: str
    intended_use: str
    members: tuple[MemberPart, ...] = ()


class OutputFile(_Part):
    """One file (or image folder) of the result, relative to the output folder."""

    path: FileName
    kind: Literal["labels", "structures", "overlay", "maps", "instances", "objects"]
    sha256: str
    n_bytes: int


class Record(_Part):
    """Everything about one result; data only, unknown keys are refused.

    No text of a file header enters it: patient data cannot. `objects` sums up the separate objects, where there are
    any: count, density, mean size. `told_once` names warnings that concern the whole run and not the state of a case.
    """

    schema_version: Literal["medseg-record/1"] = "medseg-record/1"
    label: str = LABEL
    run_id: str
    case_id: FileName
    full_name: FileName
    state: Literal["ok", "ok_with_warnings"]
    codes: tuple[str, ...]
    warnings: tuple[dict[str, str], ...]
    input: InputPart
    model: ModelPart
    software: dict[str, str]
    device: dict[str, JsonValue]
    options: dict[str, JsonValue]
    options_sha256: str
    outputs: tuple[OutputFile, ...]
    structures: tuple[dict[str, JsonValue], ...]
    objects: dict[str, JsonValue] = {}
    told_once: tuple[str, ...] = ()
    timings: dict[str, float]

    def as_bytes(self) -> bytes:
        """Return the record as JSON; names that are no valid text survive as escapes."""
        text = json.dumps(self.model_dump(mode="python"), indent=1, ensure_ascii=True, allow_nan=False)
        return text.encode("ascii") + b"\n"


def record_path(out: Path, name: str) -> Path:
    """Return where the record of the case `name` lies."""
    return out / f"{name}{RECORD_SUFFIX}"


def load_record(path: Path) -> Record:
    """Return a record from disk.

    Raises
    ------
    InputError
        If it is damaged or of another schema.
    """
    try:
        if path.stat().st_size > _MAX_RECORD_BYTES:
            raise _damaged(path, "a file far larger than any record")
        return Record.model_validate(json.loads(path.read_text(encoding="ascii")))
    except ValidationError as error:
        first = error.errors()[0]
        raise _damaged(path, f"{'.'.join(str(p) for p in first['loc'])}: {first['msg']}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path, f"content that is no record ({type(error).__name__})") from error


def outputs_that_differ(record: Record, out: Path) -> dict[str, Literal["missing", "changed"]]:
    """Return the outputs of a record that are not, byte for byte, what the record says."""
    wrong: dict[str, Literal["missing", "changed"]] = {}
    for output in record.outputs:
        path = out / output.path
        if not _is_plain(output.path):
            wrong[output.path] = "changed"  # a record may only speak of its own folder
        elif not path.exists():
            wrong[output.path] = "missing"
        elif (found := digest(path)).sha256 != output.sha256 or found.n_bytes != output.n_bytes:
            wrong[output.path] = "changed"
    return wrong


def software() -> dict[str, str]:
    """Return the versions of what takes part, without importing any of it."""
    found = {
        "medseg": __version__,
        "python": platform.python_version(),
        "os": f"{platform.system()} {platform.machine()}",
    }
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def _is_plain(name: str) -> bool:
    return Path(name).name == name


def _damaged(path: Path, found: str) -> InputError:
    return InputError(
        "E_INPUT_UNREADABLE",
        path=path,
        found=found,
        expected=f"a record of the schema {SCHEMA}",
        not_done="its result counts as not proven",
        remedy="Run the case again with --resume; a result without a valid record is made anew.",
    )
