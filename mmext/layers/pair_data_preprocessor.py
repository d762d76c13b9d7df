"""Data preprocessor for pairs of frames: a key frame and its reference, prepared alike."""

from typing import Any

from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmdet.structures.bbox import get_box_tensor

from mmext.errors import InputError
from mmext.registry import MODELS


@MODELS.register_module()
class VideoPairDataPreprocessor(DetDataPreprocessor):
    """mmdet's preprocessor, arguments included, that takes pairs as well as single frames.

    A batch of pairs has ``inputs = {'img': [...], 'ref_img': [...]}``, images ``[3, H, W]`` uint8.
    All are normalized and padded to one size, so that a flow between two of them is in their common
    pixels. Single frames (``inputs`` is a list of images) are treated as in mmdet.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.batch_augments is not None:
            raise InputError('batch_augments: not for pairs of frames, augment in the pipeline')

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Prepare a batch.

        Returns:
            ``inputs``: ``[N, 3, H, W]``, or ``{'img': …, 'ref_img': …}`` of that shape, and
            ``data_samples``, padded and with tensors for boxes, those of the reference too.

        Raises:
            InputError: if a key frame and its reference differ in size.
        """
        inputs = data['inputs']
        if not isinstance(inputs, dict):
            return super().forward(data, training)
        frames, references = list(inputs['img']), list(inputs['ref_img'])
        for frame, reference in zip(frames, references, strict=True):
            if frame.shape != reference.shape:
                raise InputError(
                    f'ref_img: expected shape {tuple(frame.shape)} as img, '
                    f'got {tuple(reference.shape)}'
                )
        prepared = super().forward(dict(data, inputs=frames + references), training)
        for sample in prepared['data_samples'] or ():
            if 'ref_gt_instances' in sample:
                boxes = sample.ref_gt_instances.bboxes
                sample.ref_gt_instances.bboxes = get_box_tensor(boxes)
        both = prepared['inputs']
        prepared['inputs'] = dict(img=both[: len(frames)], ref_img=both[len(frames) :])
        return prepared
