"""Which cases train, tune and score; the rule is shared by all branches."""

from medseg.learn.split import make_split, write_split

__all__ = ["make_split", "write_split"]
