"""The evaluator of joint embeddings for mmengine: images by texts and texts by images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric

from mmext.errors import InputError
from mmext.metrics.language.ranks import first_ranks, retrieval_values
from mmext.metrics.sample_fields import to_numpy
from mmext.registry import METRICS

_Result = tuple[Any, np.ndarray, np.ndarray]


@METRICS.register_module()
class RetrievalMetric(BaseMetric):
    """Recall at 1, 5 and 10, median and mean rank, both ways.

    A data sample has vectors of its image and of its texts; the texts of an image are what is
    looked for by it, and it by each of them. Vectors are compared by cosine. Values: ``text/R@1``
    (texts found by images), ``image/R@1`` (images found by texts), ..., ``MedR``, ``MeanR``, and
    ``rsum``, the sum of the six recalls.

    Args:
        image_field: of a data sample, ``[D]``.
        text_field: of a data sample, ``[T, D]``.
        fold_images: images are cut into folds of so many in the order of their ids, and
            values are means over the whole folds (COCO's "1K" is 1000); None: all at once.
        collect_device, prefix, collect_dir: of mmengine.

    Raises:
        InputError: fewer images than a fold, or a sample without vectors, or with nan or inf in
            them (nothing is as near as nan: such a model would find all).
    """

    default_prefix = 'retrieval'

    def __init__(
        self,
        image_field: str = 'image_embedding',
        text_field: str = 'text_embeddings',
        *,
        fold_images: int | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        if fold_images is not None and fold_images < 1:
            raise InputError(f'fold_images: expected 1 or more, got {fold_images}')
        self.image_field, self.text_field, self.fold_images = image_field, text_field, fold_images

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Keep the vectors of each image, at length 1."""
        for sample in data_samples:
            self._check(sample)
            image = _unit(to_numpy(sample[self.image_field]).reshape(1, -1))
            texts = _unit(to_numpy(sample[self.text_field]).reshape(-1, image.shape[1]))
            self.results.append((sample['img_id'], image, texts))

    def _check(self, sample: Mapping[str, Any]) -> None:
        for field in (self.image_field, self.text_field):
            if field not in sample:
                raise InputError(f'a data sample has no {field}; does the model predict it?')
            if not np.isfinite(to_numpy(sample[field])).all():
                raise InputError(
                    f'{field} of image {sample["img_id"]} has values that are no number'
                )
        texts = to_numpy(sample[self.text_field])
        width = to_numpy(sample[self.image_field]).size
        if texts.size % max(width, 1) or (self.results and self.results[0][1].size != width):
            raise InputError(
                f'{self.image_field} of image {sample["img_id"]} has {width} numbers, '
                f'{self.text_field} {list(texts.shape)}; all vectors of a set have one length'
            )

    def compute_metrics(self, results: Sequence[_Result]) -> dict[str, float]:
        """All values over the images of all ranks."""
        by_id = {result[0]: result for result in reversed(results)}
        images = [by_id[i] for i in sorted(by_id, key=lambda i: (isinstance(i, str), i))]
        if not images:
            raise InputError('no image was predicted: there is nothing to be found')
        size = self.fold_images or len(images)
        folds = [images[start : start + size] for start in range(0, len(images) - size + 1, size)]
        if not folds:
            raise InputError(f'fold_images is {size}, but {len(images)} images were predicted')
        values = [_fold_values(fold) for fold in folds]
        return {name: float(np.mean([v[name] for v in values])) for name in values[0]}


def _fold_values(images: Sequence[_Result]) -> dict[str, float]:
    vectors = np.concatenate([image for _, image, _ in images])
    texts = np.concatenate([texts for _, _, texts in images])
    image_ids = np.arange(len(images))
    text_ids = np.repeat(image_ids, [len(texts) for _, _, texts in images])
    of_images, of_texts = first_ranks(vectors, texts, image_ids, text_ids)
    values = retrieval_values(of_images, 'text/') | retrieval_values(of_texts, 'image/')
    values['rsum'] = sum(value for name, value in values.items() if '/R@' in name)
    return values


def _unit(vectors: np.ndarray) -> np.ndarray:
    """``[n, D]`` at length 1; zeros stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)
