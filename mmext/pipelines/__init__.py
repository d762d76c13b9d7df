"""Loading, the transforms that all rooms share, and a look at the data before a run."""
