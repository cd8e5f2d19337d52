"""What every kind of network needs to learn: cases, sampling, augmentation, the loop."""
