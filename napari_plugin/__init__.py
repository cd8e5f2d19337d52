"""The napari plugin of medseg: layers become values, medseg does the work, values become layers."""
