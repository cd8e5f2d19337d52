"""Pure functions on arrays and values: orientation, resampling, intensities, tiles, components."""
