"""From a model folder to its network; shared by all branches."""

from medseg.learn.weights import as_tensors, fill, load_network, shape_of

__all__ = ["as_tensors", "fill", "load_network", "shape_of"]
