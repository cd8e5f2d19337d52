"""Labels -> one table row per structure or object."""

from medseg.measure.table import measure, measure_steps

__all__ = ["measure", "measure_steps"]
