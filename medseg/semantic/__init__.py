"""The branch that names the tissue of every voxel."""
