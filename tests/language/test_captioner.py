"""A frozen detector that speaks: regions and images, its losses, its metric."""

import json
import runpy
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from metric_pairs import sample_of
from mmengine.registry import init_default_scope
from tiny_words import CLASSES, EXTRACTOR, samples, tiny_config, tiny_model

import mmext
from mmext.__main__ import find_tool
from mmext.demo.panoptic import draw_scene, photograph
from mmext.errors import InputError
from mmext.inference.result import Result
from mmext.language.captioner import Captioner
from mmext.language.sentences import image_sentence, region_sentence
from mmext.registry import METRICS, MODELS
from mmext.serving.answers import answer

SENTENCES = ['a red ball', 'a crate', 'a green tree']
WORDS = ('a', 'red', 'green', *CLASSES)


def captioner(regions: bool = True) -> object:
    init_default_scope('mmdet')
    extractor = dict(
        type='SingleRoIExtractor',
        roi_layer=dict(type='RoIAlign', output_size=3, sampling_ratio=0),
        out_channels=8,
        featmap_strides=[4, 8],
    )
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='mmext.Captioner',
            detector=tiny_model(),
            caption_head=dict(
                type='mmext.CaptionHead', in_channels=8, words=WORDS, channels=8, max_words=5
            ),
            roi_extractor=extractor if regions else None,
            size=4,
        )
    )
    model.init_weights()
    return model


def batch() -> list:
    made = samples()
    for sample in made:
        sample.gt_instances.captions = list(SENTENCES)
        sample.set_metainfo({'gt_caption': 'a red ball'})
    return made


def images() -> torch.Tensor:
    return torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize('regions', [True, False])
def test_only_the_head_learns(regions: bool) -> None:
    model = captioner(regions).train()
    assert not model.detector.training and model.caption_head.training
    losses = model.loss(images(), batch())
    (losses['loss_caption'] + losses['loss_attention']).backward()
    with_gradient = {name for name, p in model.named_parameters() if p.grad is not None}
    assert with_gradient and all(name.startswith('caption_head.') for name in with_gradient)
    assert torch.isfinite(losses['word_accuracy'])


def test_regions_get_sentences() -> None:
    model = captioner().eval()
    plain = model.detector.predict(images(), batch(), rescale=True)
    told = model.predict(images(), batch(), rescale=True)
    alone = model.predict(images()[1:], batch()[1:], rescale=True)
    for sample, bare in zip(told, plain, strict=True):
        found = sample.pred_instances
        assert torch.equal(found.bboxes, bare.pred_instances.bboxes)
        assert len(found.captions) == len(found) > 0
        assert all(set(caption.split()) <= {*WORDS, '<unk>'} for caption in found.captions)
        assert [len(c.split()) for c in found.captions] == [len(a) for a in found.attention]
        assert found.attention[0].shape[1:] == (3, 3)
    assert alone[0].pred_instances.captions == told[1].pred_instances.captions


def test_images_get_a_sentence() -> None:
    model = captioner(False).eval()
    told = model.predict(images(), batch())
    assert all(isinstance(sample.pred_caption, str) for sample in told)
    assert told[0].caption_attention.shape[1:] == (4, 4)


def test_what_there_is_not_to_learn_from() -> None:
    with pytest.raises(InputError, match='captions=True'):
        captioner().loss(images(), samples())
    with pytest.raises(InputError, match='meta_keys of PackDetInputs'):
        captioner(False).loss(images(), samples())
    nothing = samples(objects=0)
    for sample in nothing:
        sample.gt_instances.captions = []
    assert float(captioner().loss(images(), nothing)['loss_caption']) == 0


def test_images_without_a_detection() -> None:
    model = captioner().eval()
    model.detector.roi_head.test_cfg.score_thr = 2.0
    assert [s.pred_instances.captions for s in model.predict(images(), batch())] == [[], []]


def test_sentences_of_tags() -> None:
    from mmext.language.measured_tags import Tags

    tags = [Tags('tree', 'green', 'grass'), Tags('ball', '', ''), Tags('fish', 'red', 'water')]
    assert [region_sentence(t) for t in tags] == [
        'a green tree on grass',
        'a ball',
        'a red fish on water',
    ]
    assert image_sentence(tags, [5, 1, 9]) == 'a ball and a tree and a fish on grass'
    assert image_sentence(tags[1:2], [0]) == 'a ball'
    assert image_sentence([], []) == 'nothing'


def test_region_metric_by_hand() -> None:
    metric = METRICS.build(dict(type='mmext.RegionCaptionMetric', class_words=CLASSES))
    boxes = [[0.0, 0, 10, 10], [20, 20, 40, 40], [60, 60, 90, 90]]
    said = ['a red ball', 'a green crate']
    first = sample_of(1, boxes[:2], said, list(zip(boxes, SENTENCES, strict=True)))
    metric.process(None, [first, first])  # a repeated image counts once
    values = {name.split('/')[1]: value for name, value in metric.evaluate(2).items()}
    assert values['found'] == pytest.approx(200 / 3)  # the third is not found
    assert values['exact'] == pytest.approx(50)
    assert values['class_word'] == 100  # ball and crate
    assert values['word'] == 100
    metric.process(None, [sample_of(2, [], [], [(boxes[0], 'a tree')])])
    nothing = metric.evaluate(1)
    assert nothing['region_caption/found'] == 0
    assert nothing['region_caption/exact'] != nothing['region_caption/exact']  # nan


def test_region_metric_without_sentences() -> None:
    metric = METRICS.build(dict(type='mmext.RegionCaptionMetric'))
    whole = sample_of(1, [], [], [])
    for lacking in (
        {k: v for k, v in whole.items() if k != 'region_captions'},
        dict(whole, pred_instances={}),
    ):
        with pytest.raises(InputError, match=r'needs pred_instances.captions .*RegionCaptions'):
            metric.process(None, [lacking])


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = tiny_config()
    config.model = dict(
        type='mmext.Captioner',
        detector=tiny_model(),
        caption_head=dict(type='mmext.CaptionHead', in_channels=8, words=WORDS, channels=8),
        roi_extractor=dict(EXTRACTOR, featmap_strides=[4, 8]),
    )
    meta = dict(cfg=config.pretty_text, dataset_meta=dict(config.metainfo))
    path = tmp_path_factory.mktemp('captioner') / 'c.pth'
    torch.save(dict(state_dict=captioner().state_dict(), meta=meta), path)
    return path


def test_sentences_reach_the_page_and_files(checkpoint: Path) -> None:
    photo = photograph(draw_scene(0, 'val', 0, (64, 64)))
    result = mmext.load(checkpoint, precision='fp32')(photo)
    assert result.caption is None and len(result.captions) == len(result) > 2
    assert set(' '.join(result.captions).split()) <= {*WORDS, '<unk>'}
    shown = answer(result, 0.0)
    order = sorted(range(len(result)), key=lambda row: -result.scores[row])
    said = [thing['caption'] for thing in shown['objects']]
    assert said == [result.captions[row] for row in order[: len(said)]]
    assert [record['caption'] for record in result.to_coco()] == result.captions
    page = files('mmext.serving').joinpath('page.html').read_text('utf-8')
    assert 'o.caption' in page and 'answer.caption' in page


def test_a_served_model_says_them(checkpoint: Path) -> None:
    """What MLflow serves: the config is read, not run, and the answer is plain."""
    from mmext.hooks.mlflow_logging.delivery.served_answer import describe
    from mmext.hooks.mlflow_logging.delivery.served_config import (
        image_pipeline,
        load_detector,
        read_config,
    )

    stored = torch.load(checkpoint, weights_only=True)
    config = read_config(stored['meta']['cfg'])
    model = load_detector(config, str(checkpoint), 'cpu')
    assert isinstance(model, Captioner) and image_pipeline(config)
    sample = model.predict(images()[:1], batch()[:1])[0]
    told = describe(sample.cpu(), (48, 48), model.dataset_meta, 0.0)
    assert [thing['caption'] for thing in told['objects']] and 'caption' not in told
    json.dumps(told)
    sample.pred_caption = 'a red ball'
    assert describe(sample.cpu(), (48, 48), model.dataset_meta, 0.0)['caption'] == 'a red ball'
    shown = answer(Result(np.zeros((48, 48, 3), np.uint8), sample, model.dataset_meta), 0.9)
    assert shown['caption'] == 'a red ball'


def test_infer_draws_where_it_looked(checkpoint: Path, tmp_path: Path) -> None:
    photo = photograph(draw_scene(0, 'val', 0, (64, 64)))
    cv2.imwrite(str(tmp_path / 'a.jpg'), photo[..., ::-1])
    tool = runpy.run_path(str(find_tool('infer')))
    out = tmp_path / 'out'
    arguments = [str(tmp_path / 'a.jpg'), '--checkpoint', str(checkpoint)]
    tool['main']([*arguments, '--out', str(out), '--score-thr', '0', '--precision', 'fp32'])
    sheet = cv2.imread(str(out / 'captions' / 'a.jpg'))
    assert sheet is not None and sheet.std() > 5
    assert (out / 'pictures' / 'a.jpg').is_file()
