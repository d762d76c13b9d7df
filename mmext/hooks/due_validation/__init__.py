"""A resumed training makes up for the validation that a kill cut off."""
