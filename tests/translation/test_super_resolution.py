"""Super resolution as a user runs it: pairs of a data set, a training, a detector that judges."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mmext.configuration import load_config
from mmext.demo.panoptic import write_panoptic_dataset
from mmext.errors import InputError
from mmext.registry import MODELS, TRANSFORMS
from mmext.translation.low_resolution import BicubicUpscaler, LowResolution

CONFIGS = Path(__file__).parents[2] / 'configs'
JUDGE = """
_base_ = 'mmext::centernet_demo.py'
model = dict(
    backbone=dict(widths=(4, 4, 4, 4, 4, 4)),
    neck=dict(in_channels=(4, 4, 4, 4)),
    bbox_head=dict(in_channels=4, feat_channels=4),
)
"""


def test_a_low_resolution_is_the_mean_of_pixels() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
    found = LowResolution(scale=4, method='area')(dict(img=image))
    expected = image.reshape(2, 4, 3, 4, 3).mean((1, 3))
    assert found['source'].shape == (2, 3, 3)
    assert np.abs(found['source'] - expected).max() <= 0.5 + 1e-6
    assert found['img'] is image


def test_sides_that_are_no_multiples_are_continued() -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 10, 3), np.uint8)
    found = LowResolution(scale=4)(dict(img=image))
    assert found['source'].shape == (3, 3, 3) and found['img'].shape == (12, 12, 3)
    assert np.array_equal(found['img'][:9, :10], image)
    assert (found['img'][9:, :10] == image[8]).all() and (
        found['img'][:, 10:] == found['img'][:, 9:10]
    ).all()


def test_noise_is_drawn_and_bounded() -> None:
    np.random.seed(0)
    flat = dict(img=np.full((256, 256, 3), 100, np.uint8))
    values = [LowResolution(noise=8.0)(dict(flat))['source'].std() for _ in range(5)]
    assert len(set(values)) == 5 and max(values) < 8.5


@pytest.mark.parametrize('wrong', [dict(method='lanczos'), dict(scale=1)])
def test_what_is_no_low_resolution(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r'LowResolution: method .* scale'):
        TRANSFORMS.build(dict(type='mmext.LowResolution', **wrong))


def test_bicubic_is_that_of_pillow() -> None:
    from PIL import Image

    low = np.random.default_rng(0).integers(60, 200, (6, 7, 3), np.uint8)
    expected = np.asarray(Image.fromarray(low).resize((28, 24), Image.Resampling.BICUBIC))
    signed = torch.from_numpy(low.transpose(2, 0, 1)).float()[None] / 127.5 - 1
    high = (BicubicUpscaler(4)(signed)[0].permute(1, 2, 0) + 1) * 127.5
    assert np.abs(high.numpy() - expected).max() < 1.6  # it rounds after each axis


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('pictures') / 'data'
    write_panoptic_dataset(root, num_train=4, num_val=3, image_size=(64, 64))
    return root


def small(name: str, data: Path, work: Path, **options: Any) -> Config:
    config = load_config(
        str(CONFIGS / 'translation' / name),
        {
            'data_root': f'{data}/',
            'train_dataloader.num_workers': 0,
            'val_dataloader.num_workers': 0,
            'train_dataloader.batch_size': 2,
            'train_cfg.max_iters': 2,
            'train_cfg.val_interval': 2,
            'default_hooks.checkpoint.interval': 2,
            **options,
        },
    )
    config.default_hooks.pop('mlflow')
    config.work_dir = str(work)
    return config


@pytest.fixture(scope='module')
def judge(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp('judge')
    (folder / 'judge.py').write_text(JUDGE)
    torch.manual_seed(0)
    init_default_scope('mmdet')
    model = MODELS.build(load_config(str(folder / 'judge.py')).model)
    model.init_weights()
    torch.save(dict(state_dict=model.state_dict()), folder / 'judge.pth')
    return folder / 'judge.py', folder / 'judge.pth'


def judged(judge: tuple[Path, Path], data: Path, **more: Any) -> dict[str, Any]:
    truth = str(data / 'annotations/instances_val2017.json')
    return dict(
        type='mmext.DetectorJudge',
        config=str(judge[0]),
        checkpoint=str(judge[1]),
        metrics=[dict(type='mmext.CocoDetectionMetric', ann_file=truth)],
        **more,
    )


def test_it_trains_and_is_measured(data: Path, judge: tuple[Path, Path], tmp_path: Path) -> None:
    config = small('super-resolution_demo.py', data, tmp_path)
    likeness = dict(config.val_evaluator)
    config.val_evaluator = [
        likeness, judged(judge, data), judged(judge, data, field='target', prefix='real')
    ]  # fmt: skip
    runner = Runner.from_cfg(config)
    runner.train()
    values = runner.val_loop.run()
    names = {name.partition('/')[0] for name in values}
    assert names == {'likeness', 'judge', 'real'} and 'judge/coco/bbox_mAP_s' in values
    assert 10 < values['likeness/psnr'] < 50
    saved = torch.load(tmp_path / 'iter_2.pth', weights_only=False)['state_dict']
    assert set(saved) == {f'generator.{k}' for k in runner.model.generator.state_dict()}


def test_every_config_learns(data: Path, judge: tuple[Path, Path], tmp_path: Path) -> None:
    """The perceptual one begins at the weights of the first, the stylist at nothing."""
    first = tmp_path / 'first.pth'
    generator = load_config(str(CONFIGS / 'translation/super-resolution_demo.py')).model.generator
    init_default_scope('mmdet')
    network = MODELS.build(generator)
    torch.save(
        dict(state_dict={f'generator.{k}': v for k, v in network.state_dict().items()}), first
    )
    backbone = dict(
        type='ResNet', depth=18, base_channels=4, norm_eval=True, out_indices=(0, 1, 2, 3)
    )
    for name in ('super-resolution_gan_demo.py', 'stylist_demo.py'):
        config = small(name, data, tmp_path / name, val_cfg=None)
        config.val_dataloader = config.val_evaluator = None
        config.model.perceptual.network = dict(backbone=backbone, allow_random=True)
        if 'gan' in name:
            config.model.generator.init_cfg.checkpoint = str(first)
        else:
            picture = next((data / 'train2017').glob('*.jpg'))
            config.model.perceptual.style_picture = str(picture)
        runner = Runner.from_cfg(config)
        before = {k: v.clone() for k, v in runner.model.named_parameters()}
        runner.train()
        assert not any('perceptual' in key for key in runner.model.state_dict())
        moved = sum(not v.equal(before[k]) for k, v in runner.model.named_parameters())
        assert moved > 0.8 * len(before)
