"""``medseg verify``: does every output still match its record."""
