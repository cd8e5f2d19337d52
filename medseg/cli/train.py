"""``medseg train``: a model folder from a data set, within a budget of minutes or epochs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medseg.cli.outcome import DONE
from medseg.cli.plan import DATASET_HELP
from medseg.cli.show import progress
from medseg.errors import UsageError

if TYPE_CHECKING:
    from medseg.planning import Plan

PLAN_BYTES = 1_000_000
TASK_HELP = (
    "semantic names the tissue of every voxel; instance separates touching objects by a watershed; detection finds"
    " objects one by one (Mask R-CNN), of several classes where a folder `classes` tells them. The labels of the last"
    " two number the objects."
)
CARD = "For the model's card"

FoldText = Annotated[
    str | None,
    typer.Option(metavar="K/N", help="Tune on the K-th of N parts of the cases, for models that answer together."),
]
Devices = Annotated[
    int,
    typer.Option(min=1, help="How many graphics cards, or processes of the CPU, train together; one when not given."),
]
Threads = Annotated[
    int | None, typer.Option(min=1, help="CPU threads of each process; they share all cores when not given.")
]
SkipUnpaired = Annotated[
    bool, typer.Option("--skip-unpaired", help="Leave out images without labels and labels without images.")
]


class Task(StrEnum):
    """Kinds of models that can be trained."""

    semantic = "semantic"
    instance = "instance"
    detection = "detection"


def train(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help=DATASET_HELP, show_default=False)],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="MODEL_FOLDER", help="The model folder to make.", show_default=False)
    ],
    task: Annotated[Task, typer.Option(help=TASK_HELP)] = Task.semantic,
    plan: Annotated[Path | None, typer.Option(help="A plan made by `medseg plan`, edited or not.")] = None,
    init: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Begin a detector with the encoder of this model: a name, or a folder."),
    ] = None,
    arch: Annotated[str | None, typer.Option(metavar="NAME", help="Network, instead of the plan's.")] = None,
    loss: Annotated[str | None, typer.Option(metavar="NAME", help="Loss, instead of the plan's.")] = None,
    minutes: Annotated[float | None, typer.Option(min=0.01, help="Stop after this time; the schedule fits it.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Stop after this many epochs.")] = None,
    fold: FoldText = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a training that was stopped.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Start of every random draw.")] = 0,
    name: Annotated[str | None, typer.Option(help="Name of the model; the folder's name when not given.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    devices: Devices = 1,
    threads: Threads = None,
    skip_unpaired: SkipUnpaired = False,
    data_name: Annotated[str, typer.Option(help="Name of the data, for the card.", rich_help_panel=CARD)] = "",
    licence: Annotated[str, typer.Option(help="Licence of the data and the model.", rich_help_panel=CARD)] = "unknown",
    attribution: Annotated[str, typer.Option(help="Who made the data.", rich_help_panel=CARD)] = "",
) -> int:
    """Train a model on your own images and labels.

    Stop it with Ctrl-C whenever you like and go on with --resume.
    """
    from medseg.api import train as trained

    check_choices(minutes, epochs, arch, loss)
    check_task(task, arch, loss, init)
    with progress(keep_phases=True) as show:
        folder = trained(
            dataset,
            out,
            task=task.value,
            minutes=minutes,
            epochs=epochs,
            show=show,
            plan=None if plan is None else read_plan(plan),
            init=init,
            architecture=arch,
            loss=loss,
            seed=seed,
            name=name or out.name,
            device=device,
            devices=devices,
            threads=threads,
            fold=None if fold is None else parse_fold(fold),
            resume=resume,
            skip_unpaired=skip_unpaired,
            data_name=data_name or dataset.resolve().name,
            licence=licence,
            attribution=attribution,
        )
    verb = "segment SCAN" if task is Task.semantic else "count IMAGES"
    typer.echo(f"The model lies in {folder}. Use it with: medseg {verb} -o OUT -m {folder}")
    return DONE


def check_choices(minutes: float | None, epochs: int | None, arch: str | None, loss: str | None) -> None:
    """Refuse what cannot work before any image is read.

    Raises
    ------
    UsageError
        If not exactly one budget is given, or a network or loss is unknown.
    """
    if (minutes is None) == (epochs is None):
        raise _wrong("both or neither of --minutes and --epochs", "exactly one of them", "Give --minutes or --epochs.")
    from medseg.nets.build import ARCHITECTURES
    from medseg.nets.losses import LOSSES

    for option, name, known in (("--arch", arch, tuple(ARCHITECTURES)), ("--loss", loss, tuple(LOSSES))):
        if name is not None and name not in known:
            raise _wrong(f"{option} {name!r}", f"one of {', '.join(known)}", f"Correct {option}.")


def parse_fold(text: str) -> tuple[int, int]:
    """Return a fold such as 2/5 as two numbers.

    Raises
    ------
    UsageError
        If the text is no fold.

    Examples
    --------
    >>> parse_fold("2/5")
    (2, 5)
    """
    number, _, of = text.partition("/")
    if number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of) and int(of) >= 2:
        return int(number), int(of)
    raise _wrong(f"--fold {text!r}", "a part and the number of parts, such as 2/5", "Correct --fold.")


def check_task(task: Task, arch: str | None, loss: str | None, init: str | None) -> None:
    """Refuse choices that the task does not have.

    Raises
    ------
    UsageError
        If a detector is to have another network or loss, or another task the network or the start of a detector.
    """
    if task is Task.detection:
        asked = {"--arch": arch not in (None, "maskrcnn"), "--loss": loss is not None}
        expected = "its own network, maskrcnn, with its own losses"
    else:
        asked = {"--arch maskrcnn": arch == "maskrcnn", "--init": init is not None}
        expected = "--task detection"
    wrong = [name for name, on in asked.items() if on]
    if wrong:
        raise _wrong(f"{' and '.join(wrong)} with --task {task.value}", expected, f"Leave out {wrong[0]}.")


def _wrong(found: str, expected: str, remedy: str) -> UsageError:
    return UsageError("E_USAGE", found=found, expected=expected, not_done="no training was started", remedy=remedy)


def read_plan(path: Path) -> Plan:
    """Read a plan that a person may have edited.

    Raises
    ------
    UsageError
        If the file is no plan; the sentence names the entry that is wrong.
    """
    from pydantic import ValidationError

    from medseg.planning import Plan

    try:
        if path.stat().st_size > PLAN_BYTES:
            raise _no_plan(path, f"a file of {path.stat().st_size} bytes")
        return Plan.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise _no_plan(path, "no file") from None
    except ValidationError as problem:
        first = problem.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise _no_plan(path, f"{place}: {first['msg'].lower()}") from None


def _no_plan(path: Path, found: str) -> UsageError:
    return UsageError(
        "E_USAGE",
        path=path,
        found=found,
        expected="a plan as `medseg plan` writes it",
        not_done="no training was started",
        remedy="Correct the entry, or make the plan again with: medseg plan DATASET -o plan.json",
    )
