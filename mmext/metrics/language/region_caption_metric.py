"""The evaluator of sentences about regions, for mmengine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric

from mmext.errors import InputError
from mmext.functional.boxes import pairwise_iou
from mmext.metrics.language.caption_scores import bleu, cider_d
from mmext.metrics.language.ptb_tokens import tokenize
from mmext.metrics.sample_fields import to_numpy
from mmext.registry import METRICS


@dataclass(frozen=True)
class _Told:
    """What is true of the regions of an image, and what was said (None: not found)."""

    image: Any
    pairs: list[tuple[str, str | None]]


@METRICS.register_module()
class RegionCaptionMetric(BaseMetric):
    """What is said of the regions that were found, against ``region_captions`` of the samples.

    Of each true region the predicted one that overlaps it most counts. In percent: ``exact`` (all
    words), ``class_word``, ``word`` (words of the truth that are said), ``found``; and ``Bleu_4``,
    ``CIDEr``. A grid of thresholds like DenseCap's needs METEOR, thus Java, and is not here.

    Args:
        class_words: the words that name classes, for ``class_word``; None: without it.
        min_iou: of a predicted region with a true one.
        collect_device, prefix, collect_dir: of mmengine.

    Raises:
        InputError: a sample has no sentences.
    """

    default_prefix = 'region_caption'

    def __init__(
        self,
        class_words: Sequence[str] | None = None,
        min_iou: float = 0.5,
        *,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        self.class_words, self.min_iou = frozenset(class_words or ()), min_iou

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Keep what is said of each true region."""
        for sample in data_samples:
            predicted = sample['pred_instances']
            if 'captions' not in predicted or 'region_captions' not in sample:
                raise InputError(
                    'mmext.RegionCaptionMetric needs pred_instances.captions (of mmext.Captioner) '
                    'and region_captions: mmext.RegionCaptions in the test pipeline, and the key '
                    'among the meta_keys of PackDetInputs'
                )
            boxes = torch.from_numpy(np.asarray(to_numpy(predicted['bboxes']), np.float64))
            pairs: list[tuple[str, str | None]] = []
            for box, true in sample['region_captions']:
                own = torch.tensor([box], dtype=torch.float64)
                overlap = pairwise_iou(own, boxes.reshape(-1, 4))[0]
                best = int(overlap.argmax()) if len(overlap) else -1
                hit = best >= 0 and float(overlap[best]) >= self.min_iou
                pairs.append((true, predicted['captions'][best] if hit else None))
            self.results.append(_Told(sample['img_id'], pairs))

    def compute_metrics(self, results: Sequence[_Told]) -> dict[str, float]:
        """All values over the images of all ranks."""
        images = {told.image: told for told in results}.values()
        pairs = [pair for told in images for pair in told.pairs]
        found = [(tokenize(said), tokenize(true)) for true, said in pairs if said is not None]
        values = {'found': _percent(len(found), len(pairs))}
        values['exact'] = _percent(sum(said == true for said, true in found), len(found))
        words = [(word, said) for said, true in found for word in true]
        values['word'] = _percent(sum(word in said for word, said in words), len(words))
        if self.class_words:
            named = [(word, said) for word, said in words if word in self.class_words]
            values['class_word'] = _percent(sum(word in said for word, said in named), len(named))
        captions, references = [said for said, _ in found], [[true] for _, true in found]
        values['Bleu_4'] = bleu(captions, references)[3] if found else float('nan')
        scores = cider_d(captions, references)
        values['CIDEr'] = sum(scores) / len(scores) if found else float('nan')
        return values


def _percent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else float('nan')
