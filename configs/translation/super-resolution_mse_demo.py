"""As `super-resolution_demo.py`, by mean squared differences."""

_base_ = './super-resolution_demo.py'

model = dict(pixel_loss='mse')
