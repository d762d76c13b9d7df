"""A resumed training draws as if it had never stopped: ``type='mmext.RandomStateHook'``."""
