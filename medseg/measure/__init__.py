"""Labels -> one table row per structure or object."""

from medseg.measure.table import measure

__all__ = ["measure"]
