"""DensePose: every pixel of a person on a chart of the body's surface."""
