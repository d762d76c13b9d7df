"""Public file formats, read, written and checked; no torch, no mm* package."""
