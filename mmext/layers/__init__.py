"""Neural network modules that more than one system uses."""
