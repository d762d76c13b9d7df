"""Made pictures beside those that they should be."""
