"""Generated data sets in the public file formats: the embedded default."""
