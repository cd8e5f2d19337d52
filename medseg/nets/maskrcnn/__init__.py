"""Mask R-CNN in any number of spatial axes: proposes, classifies and masks each object."""
