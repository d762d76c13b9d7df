"""The perceptual loss: equal to a restatement, gradients to pictures alone, errors in one line."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from torch import nn

from mmext.errors import InputError, MissingFileError
from mmext.registry import MODELS
from mmext.translation.perceptual_loss import PerceptualLoss
from mmext.translation.style_losses import feature_distance, gram, total_variation

BACKBONE = dict(
    type='ResNet', depth=18, base_channels=4, num_stages=2, strides=(1, 2), dilations=(1, 1),
    out_indices=(0, 1), norm_eval=True,
)  # fmt: skip
PREPROCESSOR = dict(
    type='DetDataPreprocessor', mean=[10.0, 20.0, 30.0], std=[50.0, 60.0, 70.0], bgr_to_rgb=True
)


@pytest.fixture(autouse=True)
def scope() -> None:
    init_default_scope('mmdet')


@pytest.fixture
def checkpoint(tmp_path: Path) -> str:
    """Weights of a detector with that backbone."""
    torch.manual_seed(1)
    weights = {f'backbone.{k}': v for k, v in MODELS.build(dict(BACKBONE)).state_dict().items()}
    weights['neck.weight'] = torch.zeros(1)
    file = tmp_path / 'detector.pth'
    torch.save(dict(state_dict=weights), file)
    return str(file)


def detector(bgr_to_rgb: bool = True) -> dict[str, Any]:
    return dict(
        type='X',
        data_preprocessor=dict(PREPROCESSOR, bgr_to_rgb=bgr_to_rgb),
        backbone=dict(BACKBONE, init_cfg=dict(type='Pretrained', checkpoint='of no use')),
    )


def loss_of(checkpoint: str, **more: Any) -> PerceptualLoss:
    return PerceptualLoss(network=dict(detector=detector(), checkpoint=checkpoint), **more)


@pytest.mark.parametrize('distance', ['l1', 'l2'])
@pytest.mark.parametrize('bgr_to_rgb', [True, False])
def test_content_equals_a_restatement(checkpoint: str, distance: str, bgr_to_rgb: bool) -> None:
    loss = PerceptualLoss(
        network=dict(detector=detector(bgr_to_rgb), checkpoint=checkpoint),
        content={0: 0.5, 1: 2.0},
        distance=distance,
        loss_weight=3.0,
    )
    ours, theirs = torch.rand(2, 2, 3, 32, 32) * 2 - 1
    backbone = MODELS.build(dict(BACKBONE))
    saved = torch.load(checkpoint)['state_dict']
    backbone.load_state_dict({k[9:]: v for k, v in saved.items() if k.startswith('backbone.')})
    backbone.eval()

    def stages(pictures: torch.Tensor) -> Any:
        pixels = 255 * (pictures + 1) / 2
        planes = [0, 1, 2] if bgr_to_rgb else [2, 1, 0]
        means, stds = PREPROCESSOR['mean'], PREPROCESSOR['std']
        columns = [(pixels[:, p] - m) / s for p, m, s in zip(planes, means, stds, strict=True)]
        return backbone(torch.stack(columns, 1))

    with torch.no_grad():
        pairs = zip((0.5, 2.0), stages(ours), stages(theirs), strict=True)
        expected = 0.0
        for weight, a, b in pairs:
            gap = (a - b).abs() if distance == 'l1' else (a - b) ** 2
            expected += 3 * weight * float(gap.mean())
    found = loss(ours, theirs)
    assert set(found) == {'loss_content'}
    assert float(found['loss_content']) == pytest.approx(expected, rel=1e-5)
    assert float(loss(ours, ours)['loss_content']) == 0


def test_the_gradient_reaches_the_picture_and_no_weight(checkpoint: str, tmp_path: Path) -> None:
    style = tmp_path / 'style.png'
    cv2.imwrite(str(style), np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8))
    loss = loss_of(
        checkpoint, content={1: 1.0}, style={0: 1e3}, style_picture=str(style), variation=0.1
    )
    holder = nn.ModuleDict({'loss': loss})
    holder.train()
    ours = torch.zeros(1, 3, 32, 32, requires_grad=True)
    found = holder['loss'](ours, torch.ones(1, 3, 32, 32))
    assert set(found) == {'loss_content', 'loss_style', 'loss_variation'}
    sum(found.values()).backward()
    assert ours.grad.abs().sum() > 0
    network = loss.network.module
    assert not network.training
    assert all(weight.grad is None for weight in network.parameters())
    assert not holder.state_dict() and not list(holder.parameters())


def test_running_statistics_stay(checkpoint: str) -> None:
    loss = loss_of(checkpoint, content={0: 1.0})
    before = {k: v.clone() for k, v in loss.network.module.state_dict().items()}
    loss.train()(torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32))
    after = loss.network.module.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_gram_equals_a_loop() -> None:
    features = torch.rand(2, 3, 4, 5)
    grams = gram(features)
    for n in range(2):
        for a in range(3):
            for b in range(3):
                expected = float((features[n, a] * features[n, b]).sum()) / (3 * 4 * 5)
                assert float(grams[n, a, b]) == pytest.approx(expected)
    moved = features.flatten(2)[:, :, torch.randperm(20)].view(2, 3, 4, 5)
    torch.testing.assert_close(gram(moved), grams)  # a style knows no places


def test_gram_of_half_precision_is_finite() -> None:
    features = torch.full((1, 2, 64, 64), 200.0, dtype=torch.float16)
    assert float(gram(features)[0, 0, 0]) == pytest.approx(200**2 / 2)


def test_variation_by_hand() -> None:
    picture = torch.tensor([[[[0.0, 1.0], [2.0, 5.0]]]])
    assert float(total_variation(picture)) == (4 + 16) / 2 + (1 + 9) / 2


def test_the_style_of_the_style_is_no_loss(checkpoint: str, tmp_path: Path) -> None:
    style = tmp_path / 'style.png'
    cv2.imwrite(str(style), np.full((32, 32, 3), (0, 128, 255), np.uint8))
    loss = loss_of(checkpoint, style={0: 1.0, 1: 1.0}, style_picture=str(style))
    rgb = torch.tensor([255.0, 128.0, 0.0]).view(1, 3, 1, 1) / 127.5 - 1
    same, other = rgb.expand(2, 3, 32, 32), rgb.flip(1).expand(2, 3, 32, 32)
    assert float(loss(same, other)['loss_style']) == pytest.approx(0, abs=1e-9)
    assert float(loss(other, same)['loss_style']) > 1e-6


def test_random_weights_are_refused() -> None:
    with pytest.raises(InputError, match='no weights, and random features judge nothing; set'):
        PerceptualLoss(network=dict(backbone=BACKBONE), content={0: 1.0})
    network = dict(backbone=BACKBONE, allow_random=True)
    assert PerceptualLoss(network=network, content={0: 1.0}).content == {0: 1.0}


def test_a_backbones_own_file_by_init_cfg(checkpoint: str) -> None:
    init = dict(type='Pretrained', checkpoint=checkpoint, prefix='backbone')
    loss = PerceptualLoss(network=dict(backbone=dict(BACKBONE, init_cfg=init)), content={0: 1.0})
    weights = torch.load(checkpoint)['state_dict']
    assert torch.equal(loss.network.module.conv1.weight, weights['backbone.conv1.weight'])


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(content=None), 'neither content nor style'),
        (dict(style={0: 1.0}), 'style without style_picture'),
        (dict(distance='cosine'), "distance 'cosine'"),
        (dict(content={7: 1.0}), r'stages \[7\]; the backbone has 2 outputs'),
        (dict(style={0: 1.0}, style_picture='none.png'), 'no style_picture at'),
    ],
)
def test_what_is_wrong_is_one_line(checkpoint: str, changes: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        loss_of(checkpoint, **{'content': {0: 1.0}, **changes}).init_weights()
    assert '\n' not in str(caught.value)


def test_no_or_another_checkpoint(checkpoint: str, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r'no checkpoint at .*train its detector first'):
        loss_of(str(tmp_path / 'none.pth'), content={0: 1.0}).init_weights()
    other = dict(detector(), backbone=dict(BACKBONE, depth=34))
    loss = PerceptualLoss(network=dict(detector=other, checkpoint=checkpoint), content={0: 1.0})
    with pytest.raises(InputError, match=r'is of another network than ResNet: \d+ of \d+ weights'):
        loss.init_weights()


def test_distances_by_hand() -> None:
    a, b = torch.zeros(1, 1, 1, 2), torch.tensor([[[[1.0, 3.0]]]])
    assert float(feature_distance(a, b)) == 2 and float(feature_distance(a, b, 'l2')) == 5
