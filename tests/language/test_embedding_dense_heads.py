"""One-stage heads with words: logits by a loop, a real loss, other words after the training."""

from typing import Any

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from tiny_words import CLASSES, WORDS, features, samples, words

from mmext.errors import InputError
from mmext.language.vocabulary_hook import replace_vocabulary
from mmext.registry import MODELS

RETINA = dict(
    type='mmext.EmbeddingRetinaHead',
    anchor_generator=dict(
        type='AnchorGenerator', octave_base_scale=4, scales_per_octave=1, ratios=[0.5, 2.0],
        strides=[8],
    ),
    train_cfg=dict(
        assigner=dict(
            type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0,
            ignore_iof_thr=-1,
        ),
        sampler=dict(type='PseudoSampler'), allowed_border=-1, pos_weight=-1, debug=False,
    ),
)  # fmt: skip
FCOS = dict(
    type='mmext.EmbeddingFCOSHead', strides=[8], regress_ranges=((-1, 1e8),), norm_cfg=None,
    train_cfg=None,
)  # fmt: skip
TEST = dict(
    nms_pre=200, min_bbox_size=0, score_thr=0.0, nms=dict(type='nms', iou_threshold=0.5),
    max_per_img=20,
)  # fmt: skip
HEADS = pytest.mark.parametrize('config', [RETINA, FCOS], ids=['retina', 'fcos'])


def head(config: dict[str, Any], **vocabulary: Any) -> Any:
    init_default_scope('mmdet')
    torch.manual_seed(0)
    vocabulary = vocabulary or dict(table=words(), classes=CLASSES)
    own = dict(num_classes=3, in_channels=8, feat_channels=8, stacked_convs=1, test_cfg=TEST)
    made = MODELS.build(ConfigDict({**config, **own, 'vocabulary': vocabulary}))
    made.init_weights()
    return made


def loop_logits(part: Any, maps: torch.Tensor) -> torch.Tensor:
    """Logits of every place, prior and class, one by one."""
    vectors = torch.nn.functional.conv2d(maps, part.project.weight, padding=1)
    told = torch.zeros(len(maps), part.priors * 3, *maps.shape[2:])
    for image, row, column in torch.cartesian_prod(*(torch.arange(s) for s in (2, 3, 4))).tolist():
        for prior, own in enumerate(vectors[image, :, row, column].chunk(part.priors)):
            for label, name in enumerate(CLASSES):
                text = part.word_vectors()[WORDS.index(name)]
                cosine = (own @ text) / own.norm() / text.norm()
                told[image, prior * 3 + label, row, column] = part.temperature * cosine + part.bias
    return told


@HEADS
def test_logits_are_those_of_a_loop(config: dict[str, Any]) -> None:
    part = getattr(head(config), head(config).predictor)
    maps = torch.randn(2, 8, 3, 4)
    with torch.no_grad():
        assert torch.allclose(part(maps), loop_logits(part, maps), atol=1e-4)
    assert float(part.bias) == pytest.approx(-4.595, abs=1e-3)  # as the focal loss starts


@HEADS
def test_a_step_reaches_projection_and_words(config: dict[str, Any]) -> None:
    made = head(config, words=WORDS, classes=CLASSES, dim=8)
    losses = made.loss(features(), samples())
    flat = [v for value in losses.values() for v in (value if isinstance(value, list) else [value])]
    sum(flat).backward()
    part = getattr(made, made.predictor)
    assert all(bool(torch.isfinite(value)) for value in flat)
    assert (part.table.grad.abs().sum(1) > 0).tolist() == [True] * 3 + [False] * 2
    assert float(part.project.weight.grad.abs().sum()) > 0 and float(part.bias.grad.abs()) > 0
    empty = made.loss(features(), samples(objects=0))
    assert all(torch.isfinite(torch.as_tensor(value)).all() for value in empty.values())


@HEADS
def test_other_words_after_the_training(config: dict[str, Any]) -> None:
    made = head(config).eval()
    detector = torch.nn.ModuleDict(dict(bbox_head=made))

    def told() -> Any:
        with torch.no_grad():
            return made.predict(features(), samples())[0]

    before = told()
    table = getattr(made, made.predictor).text_table()
    replace_vocabulary(detector, table.of(['tree', 'ball', 'crate']))
    turned = told()
    assert torch.equal(turned.scores, before.scores)
    assert turned.labels.tolist() == [(1, 2, 0)[label] for label in before.labels]
    replace_vocabulary(detector, table)  # five classes
    assert made.num_classes == made.cls_out_channels == 5 and len(told())


def test_a_softmax_is_refused() -> None:
    loss = dict(type='CrossEntropyLoss', use_sigmoid=False)
    with pytest.raises(InputError, match='use_sigmoid=True'):
        head({**FCOS, 'loss_cls': loss})
