"""MLflow tracking of a mmengine run: ``type='mmext.MLflowHook'``."""
