"""Parts of `tools/soak.py`: real programs that are killed, cut off from their server and misfed."""
