"""Mixed precision for any config of mmext and mmdetection: ``type='mmext.MixedPrecisionHook'``."""
