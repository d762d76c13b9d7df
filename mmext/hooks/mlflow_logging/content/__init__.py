"""What a run says: scalars, pictures, tables, files, provenance."""
