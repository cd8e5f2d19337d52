"""Errors and warnings of medseg, in napari's own notifications."""

from __future__ import annotations

from collections.abc import Iterable

from napari.utils.notifications import show_error, show_warning

from medseg import MedsegError, Notice


def tell(error: MedsegError) -> None:
    """Show an error with its code: what was found and expected, what was not done, what to do."""
    show_error(str(error))


def warn(notices: Iterable[Notice]) -> None:
    """Show each warning once, with its code."""
    for notice in dict.fromkeys(notices):
        show_warning(f"{notice.text} [{notice.code}]")
