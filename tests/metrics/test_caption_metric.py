"""The evaluator of captions: files, samples, ranks, bad input."""

import json
from pathlib import Path
from typing import Any

import pytest
from metric_runs import evaluate_metric

from mmext.errors import InputError
from mmext.metrics.language.caption_scores import bleu, cider_d, rouge_l
from mmext.metrics.language.object_words import ObjectWords
from mmext.metrics.language.ptb_tokens import tokenize

TRUE = {1: ['A red ball on sand.', 'A ball lies on the sand'], 2: ["Two crates near a man's tree"]}
SAID = {1: 'a red ball on the sand', 2: 'A crate, and a fish!'}


def write(folder: Path, name: str, content: Any) -> str:
    path = folder / name
    path.write_text(json.dumps(content))
    return str(path)


def captions_file(folder: Path, true: dict[int, list[str]] = TRUE) -> str:
    annotations = [
        {'image_id': i, 'id': 10 * i + n, 'caption': text}
        for i, texts in true.items()
        for n, text in enumerate(texts)
    ]
    images = [{'id': i, 'file_name': f'{i}.jpg'} for i in true]
    return write(folder, 'captions.json', {'images': images, 'annotations': annotations})


def instances_file(folder: Path) -> str:
    boxes = [(1, 3), (2, 7), (2, 8)]
    return write(
        folder,
        'instances.json',
        {
            'images': [{'id': i, 'file_name': f'{i}.jpg', 'width': 9, 'height': 9} for i in TRUE],
            'categories': [
                {'id': i, 'name': name}
                for i, name in ((3, 'ball'), (7, 'crate'), (8, 'tree'), (9, 'fish'))
            ],
            'annotations': [
                {
                    'id': n,
                    'image_id': i,
                    'category_id': c,
                    'bbox': [0, 0, 5, 5],
                    'area': 25,
                    'iscrowd': 0,
                }
                for n, (i, c) in enumerate(boxes, 1)
            ],
        },
    )


def samples(said: dict[int, str] = SAID) -> list[dict[str, Any]]:
    return [{'img_id': i, 'pred_caption': text} for i, text in said.items()]


def test_values_are_those_of_the_scores(tmp_path: Path) -> None:
    values = evaluate_metric('mmext.CaptionMetric', samples(), {}, ann_file=captions_file(tmp_path))
    words = [tokenize(text) for text in SAID.values()]
    references = [[tokenize(text) for text in texts] for texts in TRUE.values()]
    assert values == pytest.approx(
        {f'caption/Bleu_{n}': v for n, v in enumerate(bleu(words, references), 1)}
        | {
            'caption/CIDEr': sum(cider_d(words, references)) / 2,
            'caption/ROUGE_L': sum(rouge_l(words, references)) / 2,
        }
    )


def test_references_of_samples_and_repeated_images(tmp_path: Path) -> None:
    by_file = evaluate_metric(
        'mmext.CaptionMetric', samples(), {}, ann_file=captions_file(tmp_path)
    )
    own = [{**sample, 'gt_caption': TRUE[sample['img_id']]} for sample in samples()]
    repeated = [*reversed(own), {**own[0], 'pred_caption': 'something else'}]
    assert evaluate_metric('mmext.CaptionMetric', repeated, {}) == pytest.approx(by_file)


def test_only_images_that_were_predicted_count(tmp_path: Path) -> None:
    ann_file = captions_file(tmp_path)
    one = evaluate_metric(
        'mmext.CaptionMetric', [{'img_id': '1', 'pred_caption': TRUE[1][0]}], {}, ann_file=ann_file
    )
    assert one['caption/Bleu_4'] == pytest.approx(1, abs=1e-6)


def test_objects(tmp_path: Path) -> None:
    values = evaluate_metric(
        'mmext.CaptionMetric', samples(), {}, metrics=['chair'],
        ann_file=captions_file(tmp_path), instances_file=instances_file(tmp_path),
    )  # fmt: skip
    # ball is there; crate is, fish is not; the tree is not mentioned
    assert values == pytest.approx(
        {'caption/CHAIR_i': 1 / 3, 'caption/CHAIR_s': 1 / 2, 'caption/object_recall': 2 / 3}
    )


def test_bad_input(tmp_path: Path) -> None:
    ann_file = captions_file(tmp_path)
    with pytest.raises(InputError, match='spice'):
        evaluate_metric('mmext.CaptionMetric', [], {}, metrics=['spice'])
    with pytest.raises(InputError, match='instances_file'):
        evaluate_metric('mmext.CaptionMetric', [], {}, metrics=['chair'])
    with pytest.raises(InputError, match=r'captions\.json: no caption of 1 of 1 images, first 5'):
        evaluate_metric('mmext.CaptionMetric', samples({5: 'a'}), {}, ann_file=ann_file)
    with pytest.raises(InputError, match='image_id and caption'):
        evaluate_metric('mmext.CaptionMetric', [], {}, ann_file=write(tmp_path, 'x.json', {'a': 1}))
    with pytest.raises(InputError, match='has no caption'):
        empty = write(tmp_path, 'e.json', {'annotations': []})
        evaluate_metric('mmext.CaptionMetric', [], {}, ann_file=empty)
    for caption in (None, 3):
        odd = {'annotations': [{'id': 8, 'image_id': 1, 'caption': caption}]}
        path = write(tmp_path, 'odd.json', odd)
        with pytest.raises(InputError, match=rf'odd\.json, annotation 8: its caption is {caption}'):
            evaluate_metric('mmext.CaptionMetric', [], {}, ann_file=path)
    with pytest.raises(InputError, match='pred_caption of image 1: expected a text, got None'):
        evaluate_metric('mmext.CaptionMetric', [dict(img_id=1, pred_caption=None)], {})


def test_one_measure_by_its_name(tmp_path: Path) -> None:
    ann_file = captions_file(tmp_path)
    values = evaluate_metric(
        'mmext.CaptionMetric', samples(), {}, ann_file=ann_file, metrics='cider'
    )
    assert list(values) == ['caption/CIDEr']


@pytest.mark.parametrize(
    ('synonyms', 'message'),
    [
        ({'bal': ['sphere']}, "'bal' is no class"),
        ({'ball': 'sphere'}, "of 'ball': expected a list of words, got 'sphere'"),  # not letters
        ({'ball': ['']}, 'no word for a class'),
        (['sphere'], 'expected {class'),
    ],
)
def test_synonyms_that_are_none(synonyms: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ObjectWords(['ball', 'tree'], synonyms)
    with pytest.raises(InputError, match='no word for a class'):
        ObjectWords(['_'])
