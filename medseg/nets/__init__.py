"""Networks in plain torch and MONAI, built by name from data."""
