"""Separate objects: networks that tell neighbours apart, and what turns their maps into counted instances."""
