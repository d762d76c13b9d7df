"""CycleGAN as released by its authors: transposed convolutions upwards.

Weights of one network: `tools/convert_checkpoint.py cyclegan-generator latest_net_G_A.pth --config
THIS --out horse2zebra.pth`; `tools/translate.py THIS horse2zebra.pth` takes them alone.
"""

_base_ = './cyclegan_256.py'

model = dict(generator=dict(upsample='deconv'))
