"""``medseg doctor``: what works on this computer, and what will be slow."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Annotated

import typer

from medseg.cli.outcome import DONE, NOTHING
from medseg.cli.table import table
from medseg.cli.view import INSTALL, has_screen, qt_binding

SMALL_MEMORY_GB = 8.0
SMALL_DISK_GB = 1.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; `advice` is empty where all is well."""

    what: str
    found: str
    advice: str = ""
    broken: bool = False


def doctor(
    packages: Annotated[bool, typer.Option("--packages", help="List the version of every library too.")] = False,
) -> int:
    """Say what works here and what will be slow."""
    findings = [*_python(), *_torch(), *_memory(), *_models(), *_viewer(), *_libraries(full=packages)]
    table(("what", "found", "note"), ((f.what, f.found, f.advice) for f in findings))
    broken = [finding.what for finding in findings if finding.broken]
    typer.echo(f"\nNot working: {', '.join(broken)}." if broken else "\nEverything that medseg needs is there.")
    return NOTHING if broken else DONE


def _python() -> Iterator[Finding]:
    from medseg import __version__

    yield Finding("medseg", __version__)
    yield Finding("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _torch() -> Iterator[Finding]:
    try:
        import torch
    except ImportError as problem:
        yield Finding("torch", f"cannot be loaded ({problem})", "Install medseg again.", broken=True)
        return
    yield Finding("torch", torch.__version__)
    yield Finding("threads", f"{torch.get_num_threads()} of {available_cores()} cores")
    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / 1e9
        yield Finding("device", f"cuda: {torch.cuda.get_device_name(0)}, {memory:.0f} GB")
    elif torch.backends.mps.is_available():
        yield Finding("device", "mps: the graphics processor of this Mac")
    else:
        yield Finding("device", "cpu", "Small models run in seconds; training and large scans are slow.")
        yield _openvino()


def _openvino() -> Finding:
    from medseg.nets.backend import INSTALL as ADD
    from medseg.nets.backend import openvino_version

    found = openvino_version()
    if found:
        return Finding("OpenVINO", found)
    return Finding("OpenVINO", "not installed", f"Up to twice as fast with it: {ADD}")


def _memory() -> Iterator[Finding]:
    total = memory_gb()
    if total is None:
        yield Finding("memory", "unknown")
        return
    small = total < SMALL_MEMORY_GB
    advice = "Large scans are refused before they are read." if small else ""
    yield Finding("memory", f"{total:.1f} GB", advice)


def _models() -> Iterator[Finding]:
    from medseg.models.registry import listed, user_folder

    folder = user_folder()
    there = next(path for path in (folder, *folder.parents) if path.is_dir())
    free = shutil.disk_usage(there).free / 1e9
    note = "" if os.access(there, os.W_OK) else "Not writable: models cannot be added."
    yield Finding("models folder", str(folder), note)
    yield Finding("free disk there", f"{free:.1f} GB", "Little space left." if free < SMALL_DISK_GB else "")
    names = ", ".join(card.name for card in listed())
    yield Finding("models", names or "none", "" if names else "Train one, or add one: medseg models add FOLDER")


def _viewer() -> Iterator[Finding]:
    try:
        yield Finding("napari", version("napari"))
    except PackageNotFoundError:
        yield Finding("napari", "not installed", f"Only medseg view needs it: {INSTALL}")
        return
    binding = qt_binding()
    if binding is None:
        yield Finding("Qt", "not installed", f"napari opens no window without it: {INSTALL}")
        return
    screen = "" if has_screen() else "No screen here (DISPLAY is not set): no window can be opened."
    yield Finding("Qt", f"{binding} {version(binding)}", screen)


def _libraries(*, full: bool) -> Iterator[Finding]:
    for name in _required():
        try:
            found = version(name)
        except PackageNotFoundError:
            yield Finding(name, "missing", "Install medseg again.", broken=True)
        else:
            if full:
                yield Finding(name, found)


def _required() -> tuple[str, ...]:
    """Return the names of the libraries that the installed medseg asks for, without its extras."""
    try:
        lines = requires("medseg") or []
    except PackageNotFoundError:
        return ()
    plain = [line.partition(";")[0] for line in lines if "extra ==" not in line]
    return tuple("".join(c if c.isalnum() or c in "-_." else " " for c in line).split()[0] for line in plain)


def memory_gb() -> float | None:
    """Return the main memory in GB (10^9 bytes); None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (AttributeError, ValueError, OSError):
        return None


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
