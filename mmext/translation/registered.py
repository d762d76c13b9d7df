"""Imports every file of this room that registers a class (see mmext.registry)."""

from mmext.translation import (  # noqa: F401
    batch_augment,
    cycle_translator,
    dataset,
    judge,
    low_resolution,
    match_appearance,
    network_optim_wrappers,
    paired_translator,
    patch_discriminator,
    perceptual_loss,
    preprocessor,
    residual_generator,
    spade,
    transforms,
    unet_generator,
    upscalers,
)
