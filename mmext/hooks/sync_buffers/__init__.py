"""Equal BatchNorm statistics on all ranks: ``type='mmext.SyncBuffersHook'``."""
