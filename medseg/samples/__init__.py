"""Sample images that are made here, from no patient."""
