"""No training on weights that are not finite: ``type='mmext.FiniteWeightsHook'``."""
