"""Errors and warnings of medseg, in napari's own notifications."""

from __future__ import annotations

from collections.abc import Iterable

from napari.utils.notifications import notification_manager, show_error, show_warning

from medseg import MedsegError, Notice


def tell(error: MedsegError) -> None:
    """Show an error with its code: what was found and expected, what was not done, what to do."""
    show_error(str(error))


def tell_any(error: Exception) -> None:
    """Show an error; one that is none of ours with its traceback, as napari shows faults."""
    if isinstance(error, MedsegError):
        tell(error)
    else:
        notification_manager.receive_error(type(error), error, error.__traceback__)


def warn(notices: Iterable[Notice]) -> None:
    """Show each warning once, with its code; all in one message, since napari lays one over the other."""
    lines = [f"{notice.text} [{notice.code}]" for notice in dict.fromkeys(notices)]
    if lines:
        show_warning("\n".join(lines))
