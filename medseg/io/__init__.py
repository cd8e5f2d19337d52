"""Files in, files out: one module per foreign convention, and one probe before any of them."""
