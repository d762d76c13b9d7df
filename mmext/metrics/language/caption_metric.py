"""The evaluator of captions for mmengine, without Java and without downloads."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.evaluator import BaseMetric

from mmext.errors import InputError
from mmext.formats.coco_records import coco_records
from mmext.formats.coco_values import canonical_id
from mmext.formats.json_files import read_json
from mmext.metrics.language.caption_scores import bleu, cider_d, rouge_l
from mmext.metrics.language.object_words import ObjectWords, object_scores
from mmext.metrics.language.ptb_tokens import tokenize
from mmext.registry import METRICS

MEASURES = ('bleu', 'cider', 'rouge_l', 'chair')
_Captions = dict[Any, list[str]]


@METRICS.register_module()
class CaptionMetric(BaseMetric):
    """BLEU, CIDEr-D, ROUGE-L and CHAIR; takes the place of mmdet's ``COCOCaptionMetric``.

    A data sample has ``pred_caption`` and ``img_id``. Values are those of COCO's evaluation, 0 to 1
    and not rounded: ``Bleu_1`` .. ``Bleu_4``, ``CIDEr`` (0 to 10), ``ROUGE_L``; with ``chair`` also
    ``CHAIR_i``, ``CHAIR_s`` (lower is better) and ``object_recall``. Only images that have a
    prediction count; of several for one image the first does.

    Args:
        ann_file: COCO captions; None: the references are ``gt_caption`` of the data samples, a
            sentence or a list of them.
        metrics: of :data:`MEASURES`.
        instances_file: COCO instances of the same images, for ``chair``.
        synonyms: more words for its classes: ``dict(person=['man', 'girl'])``, or a JSON file.
        collect_device, prefix, collect_dir: of mmengine.

    Raises:
        InputError: an unknown measure, ``chair`` without instances, a file that is not there or has
            no caption, synonyms of no class, a caption that is no text.
    """

    default_prefix = 'caption'

    def __init__(
        self,
        ann_file: str | None = None,
        metrics: Sequence[str] | str = ('bleu', 'cider', 'rouge_l'),
        *,
        instances_file: str | None = None,
        synonyms: Mapping[str, Sequence[str]] | str | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        metrics = (metrics,) if isinstance(metrics, str) else metrics
        unknown = sorted(set(metrics) - set(MEASURES))
        if unknown or not metrics:
            raise InputError(
                f'metrics: {", ".join(unknown) or "none"}: there are {", ".join(MEASURES)}; METEOR '
                "and SPICE need Java and downloads: mmdet's COCOCaptionMetric has them"
            )
        if 'chair' in metrics and instances_file is None:
            raise InputError("metrics: 'chair' needs instances_file, what is really in the images")
        self.measures, self.ann_file, self.instances_file = tuple(metrics), ann_file, instances_file
        self.synonyms = read_json(synonyms) if isinstance(synonyms, str) else synonyms
        self._references = None if ann_file is None else read_captions(ann_file)

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Keep the sentences of each image."""
        for sample in data_samples:
            true = sample.get('gt_caption', ()) if self._references is None else ()
            true = [true] if isinstance(true, str) else list(true)
            said = sample.get('pred_caption')
            if not isinstance(said, str):
                raise InputError(
                    f'pred_caption of image {sample["img_id"]}: expected a text, got {said!r}'
                )
            self.results.append((canonical_id(sample['img_id']), said, true))

    def compute_metrics(self, results: Sequence[tuple[Any, str, list[str]]]) -> dict[str, float]:
        """All values over the images of all ranks."""
        captions: dict[Any, str] = {}
        references: _Captions = {}
        for image_id, caption, true in results:
            captions.setdefault(image_id, caption)
            references.setdefault(image_id, true)
        if not captions:
            raise InputError('no image has a predicted caption (pred_caption of the data samples)')
        if self._references is not None:
            references = self._references
        ids = list(captions)
        self._check(ids, references)
        words = [tokenize(captions[image_id]) for image_id in ids]
        values = self._by_references(words, [list(map(tokenize, references[i])) for i in ids])
        if 'chair' in self.measures:
            values |= self._by_objects(ids, words)
        return values

    def _check(self, ids: Sequence[Any], references: _Captions) -> None:
        missing = [image_id for image_id in ids if not references.get(image_id)]
        if missing:
            place = self.ann_file or 'gt_caption of the data samples'
            raise InputError(
                f'{place}: no caption of {len(missing)} of {len(ids)} images, first '
                f'{missing[0]!r}; is it the file of another split?'
            )

    def _by_references(
        self, words: list[list[str]], references: list[list[list[str]]]
    ) -> dict[str, float]:
        values: dict[str, float] = {}
        if 'bleu' in self.measures:
            values |= {f'Bleu_{n}': v for n, v in enumerate(bleu(words, references), 1)}
        if 'cider' in self.measures:
            values['CIDEr'] = sum(cider_d(words, references)) / len(words)
        if 'rouge_l' in self.measures:
            values['ROUGE_L'] = sum(rouge_l(words, references)) / len(words)
        return values

    def _by_objects(self, ids: Sequence[Any], words: list[list[str]]) -> dict[str, float]:
        path = str(self.instances_file)
        records = coco_records(read_json(path), path)
        names = {key: str(c['name']) for key, c in records.categories.items()}
        present: dict[Any, set[str]] = {image_id: set() for image_id in records.images}
        for annotation in records.annotations:
            present[annotation['image_id']].add(names[annotation['category_id']])
        absent = [image_id for image_id in ids if image_id not in present]
        if absent:
            raise InputError(f'{path}: no image {absent[0]!r}; is it the file of another split?')
        finder = ObjectWords(names.values(), self.synonyms)
        found = object_scores([finder.mentioned(w) for w in words], [present[i] for i in ids])
        return {'CHAIR_i': found.chair_i, 'CHAIR_s': found.chair_s, 'object_recall': found.recall}


def read_captions(path: str) -> _Captions:
    """The captions of each image of a file in COCO's form.

    Raises:
        InputError: it is not there, or not in this form.
    """
    content = read_json(path)
    try:
        found: _Captions = {}
        for number, annotation in enumerate(content['annotations'], start=1):
            caption = annotation['caption']
            if not isinstance(caption, str):
                which = annotation.get('id', f'number {number}')
                raise InputError(
                    f'{path}, annotation {which}: its caption is {caption!r}, expected a text; '
                    'take the annotation out'
                )
            found.setdefault(canonical_id(annotation['image_id']), []).append(caption)
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{path}: no captions in COCO's form (annotations with image_id and caption): {error}"
        ) from None
    if not found:
        raise InputError(f'{path} has no caption')
    return found
