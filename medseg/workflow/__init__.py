"""Runs over many files, their records, and recipes: the only writer of results."""
