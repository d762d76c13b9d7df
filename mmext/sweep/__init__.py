"""Many trainings of one config with other values: which are best? On Optuna."""
