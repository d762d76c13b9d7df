"""YolactEdge: instance masks in one pass, as prototypes times coefficients. See README.md."""
