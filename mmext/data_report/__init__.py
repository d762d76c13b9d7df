"""What the data sets of a config hold, before a training: counts, photos, problems, pictures."""
