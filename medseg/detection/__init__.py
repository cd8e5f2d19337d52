"""Objects one by one: boxes, classes, scores and masks from a detector, in images and volumes of any size."""
