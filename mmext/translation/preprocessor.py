"""From the pictures of a batch to what the networks take."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from mmext.errors import InputError
from mmext.registry import MODELS
from mmext.translation.condition import condition_of_maps


@MODELS.register_module()
class TranslationPreprocessor(BaseDataPreprocessor):
    """Pictures as RGB from -1 to 1, label maps as one channel for each class, on the device.

    A batch of training is stacked; pictures of a test may have different sizes and stay a list.

    Args:
        num_labels: sources are label maps of so many classes (:class:`.transforms.ToCondition`);
            None: they are pictures.
        non_blocking: of the transfer to the device.
    """

    def __init__(self, num_labels: int | None = None, non_blocking: bool = False) -> None:
        super().__init__(non_blocking)
        self.num_labels = num_labels

    def forward(self, data: Any, training: bool = False) -> dict[str, Any]:
        """Prepare a batch.

        Args:
            data: ``inputs``, a list of uint8 ``[3, H, W]`` BGR or ``[2, H, W]`` label maps, and
                ``data_samples``, each with ``target`` ``[3, H', W']`` where there is one.
            training: whether sizes have to be equal.

        Returns:
            ``inputs`` and ``targets`` (None without), each ``[N, C, H, W]`` or a list of
            ``[C, H, W]``, and ``data_samples``.

        Raises:
            InputError: different sizes in training, or sources of another kind.
        """
        data = self.cast_data(data)
        samples = data.get('data_samples')
        sources = [self._source(source) for source in data['inputs']]
        targets = None
        if samples and all('target' in sample for sample in samples):
            targets = _stacked([to_signed(sample.target) for sample in samples], training)
        return dict(inputs=_stacked(sources, training), targets=targets, data_samples=samples)

    def _source(self, source: Tensor) -> Tensor:
        expected = 3 if self.num_labels is None else 2
        if source.shape[0] != expected:
            kind = 'a picture' if self.num_labels is None else 'a map of labels and edges'
            raise InputError(
                f'the source of a translation is to be {kind}, [{expected}, H, W], got '
                f'{list(source.shape)}: see model.data_preprocessor.num_labels and the pipeline'
            )
        if self.num_labels is None:
            return to_signed(source)
        return condition_of_maps(source[None], self.num_labels)[0]


def to_signed(picture: Tensor) -> Tensor:
    """BGR ``[..., 3, H, W]`` from 0 to 255 as RGB from -1 to 1."""
    return picture.flip(-3).float() / 127.5 - 1


def to_picture(signed: Tensor) -> Tensor:
    """RGB ``[..., 3, H, W]`` from -1 to 1 as BGR uint8."""
    levels = ((signed.float() + 1) * 127.5).round().clamp(0, 255)
    return levels.to(torch.uint8).flip(-3)


def same_sizes(pictures: Sequence[Tensor]) -> Mapping[tuple[int, ...], list[int]]:
    """Which pictures can be stacked: shape -> places in the list."""
    places: dict[tuple[int, ...], list[int]] = {}
    for place, picture in enumerate(pictures):
        places.setdefault(tuple(picture.shape), []).append(place)
    return places


def _stacked(pictures: list[Tensor], must: bool) -> Tensor | list[Tensor]:
    sizes = same_sizes(pictures)
    if len(sizes) == 1:
        return torch.stack(pictures)
    if must:
        shapes = ' and '.join(f'{s[-1]} x {s[-2]}' for s in list(sizes)[:2])
        raise InputError(
            f'pictures of a batch have {shapes} px: a translator learns from equal ones; '
            'crop or resize them to one size in the pipeline'
        )
    return pictures
