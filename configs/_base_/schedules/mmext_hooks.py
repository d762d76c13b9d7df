"""What a config of mmdet gets from mmext while it trains: MLflow and mixed precision.

Such a config has `default_hooks` of its own, which no second base may have; so these are a
variable that the leaf merges into them.
"""

mmext_hooks = dict(
    checkpoint=dict(max_keep_ckpts=3),
    mlflow=dict(type='mmext.MLflowHook'),
    precision=dict(type='mmext.MixedPrecisionHook'),
)
