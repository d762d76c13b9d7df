"""A trained translator as an augmentation of a detector's training, on the device."""

import time
from typing import Any

import torch
from mmdet.structures import SampleList
from mmengine.logging import print_log
from torch import Tensor, nn

from mmext.errors import InputError
from mmext.registry import MODELS
from mmext.translation.frozen_model import frozen_model


@MODELS.register_module()
class TranslateBatch(nn.Module):
    """Translates some pictures of a batch; boxes and masks stay as they are.

    .. code-block:: python

        model = dict(data_preprocessor=dict(batch_augments=[
            dict(type='mmext.TranslateBatch', config='mmext::cyclegan_demo.py',
                 checkpoint='cyclegan.pth', mean=..., std=...)]))

    The host runs it in training alone, on pictures it has normalized. The translator is no part of
    the detector: its weights are in no ``state_dict``, no optimizer, no average. What it costs is
    said once. Draws are of torch's global generator.

    Args:
        config: of the translator, a file.
        checkpoint: its weights.
        mean: of the detector's data preprocessor, ``[3]``.
        std: likewise.
        bgr: whether the channels are BGR, as where ``bgr_to_rgb`` is False.
        prob: of each picture.
        direction: ``'ab'`` or ``'ba'`` of a translator between two domains; None: its own.

    Raises:
        InputError: the probability is none, or the model translates label maps.
    """

    def __init__(
        self,
        config: str,
        checkpoint: str,
        mean: list[float],
        std: list[float],
        bgr: bool = False,
        prob: float = 0.5,
        direction: str | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= prob <= 1:
            raise InputError(f'TranslateBatch.prob: expected 0 to 1, got {prob}')
        model = load_translator(config, checkpoint, direction)
        self._held: list[Any] = [model]  # in a list: no part of this module
        self.prob, self.bgr = prob, bgr
        # not registered either: a buffer would enter the detector's state_dict
        self._scale = (torch.tensor(mean)[:, None, None], torch.tensor(std)[:, None, None])
        self._seconds: list[float] = []

    @torch.no_grad()
    def forward(
        self, inputs: Tensor, data_samples: SampleList | None
    ) -> tuple[Tensor, SampleList | None]:
        """Translate.

        Args:
            inputs: ``[N, 3, H, W]``, normalized, padded at the right and below.
            data_samples: N of them; they are not changed.

        Returns:
            Both, some of the pictures translated where they are not padding.
        """
        chosen = (torch.rand(len(inputs)) < self.prob).nonzero().flatten().tolist()
        if not chosen:
            return inputs, data_samples
        began = time.perf_counter()
        model: Any = self._held[0].to(inputs.device)
        mean, std = (part.to(inputs) for part in self._scale)
        inputs = inputs.clone()
        for place in chosen:
            height, width = inputs.shape[-2:]
            if data_samples is not None:
                height, width = data_samples[place].metainfo.get('img_shape', (height, width))[:2]
            levels = inputs[place, :, :height, :width] * std + mean
            signed = (levels.flip(0) if self.bgr else levels) / 127.5 - 1
            made = (model.translate(signed[None])[0].to(inputs.dtype).clamp(-1, 1) + 1) * 127.5
            made = made.flip(0) if self.bgr else made
            inputs[place, :, :height, :width] = (made - mean) / std
        self._say(time.perf_counter() - began, len(chosen))
        return inputs, data_samples

    def _say(self, seconds: float, pictures: int) -> None:
        """After the first few batches, which warm up, once."""
        self._seconds.append(seconds / pictures)
        if len(self._seconds) == 5:
            middle = sorted(self._seconds)[2]
            print_log(f'TranslateBatch: {middle * 1000:.0f} ms a picture', logger='current')


def load_translator(config: str, checkpoint: str, direction: str | None = None) -> Any:
    """A trained translator of pictures; of two domains, a converted generator will do.

    Args:
        config: file.
        checkpoint: of the whole model, or of the generator that is used.
        direction: ``'ab'`` or ``'ba'``; None: the config's.

    Raises:
        InputError: it is no translator of pictures, or has no directions.
    """
    model: Any
    model, _ = frozen_model(
        config, checkpoint, parts=('generator', f'generator_{direction or "ab"}')
    )
    if not hasattr(model, 'translate') or model.data_preprocessor.num_labels is not None:
        raise InputError(f'{config}: expected a translator of pictures, got {type(model).__name__}')
    if direction is not None:
        if not hasattr(model, f'generator_{direction}'):
            raise InputError(
                f"{config}: direction: expected 'ab' or 'ba' of a model of two domains"
            )
        model.direction = direction
    return model
