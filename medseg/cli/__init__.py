"""The command line: one small module per verb; nothing heavy is imported before a verb runs."""

from __future__ import annotations


def main() -> None:
    """Run the ``medseg`` command and leave the process with its exit code."""
    from medseg.cli.app import build
    from medseg.cli.streams import prepare

    prepare()
    build()(prog_name="medseg")
