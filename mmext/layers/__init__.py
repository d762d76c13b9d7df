"""Neural network modules that two rooms use."""
