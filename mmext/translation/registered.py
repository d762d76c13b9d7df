"""Imports every file of this room that registers a class (see mmext.registry)."""

from mmext.translation import (  # noqa: F401
    batch_augment,
    crop_gan,
    crop_networks,
    cycle_translator,
    dataset,
    judge,
    low_resolution,
    match_appearance,
    network_optim_wrappers,
    object_crops,
    paired_translator,
    paste_crops,
    patch_discriminator,
    perceptual_loss,
    preprocessor,
    residual_generator,
    spade,
    transforms,
    unet_generator,
    upscalers,
)
