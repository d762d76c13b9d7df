"""The schedule of the demos for the stages on walks; in bf16 convolutions are channels-last."""

_base_ = './demo.py'

default_hooks = dict(
    precision=dict(type='mmext.MixedPrecisionHook', precision='fp32', channels_last=True)
)
