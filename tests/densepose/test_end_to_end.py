"""The demo's configuration on a few figures: train on two processes, test, infer, load."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image
from programs import tool

import mmext
from mmext.configuration import rebase_data_root
from mmext.demo.figures import write_figure_dataset
from mmext.errors import run_tool
from mmext.explain.attribution import Options
from mmext.explain.explainer import Explainer

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def config_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four and three pictures; a network of few channels."""
    folder = tmp_path_factory.mktemp('densepose')
    write_figure_dataset(
        folder / 'data',
        num_train=4,
        num_val=3,
        num_train_clips=0,
        num_val_clips=0,
        image_size=(96, 96),
    )
    config = Config.fromfile(ROOT / 'configs/densepose_demo.py')
    rebase_data_root(config, str(folder / 'data'))
    del config.default_hooks['mlflow']
    config.merge_from_dict(
        {
            'train_cfg.max_iters': 2,
            'train_cfg.val_interval': 2,
            'default_hooks.checkpoint.interval': 2,
            'train_dataloader.batch_size': 2,
            'model.test_cfg.rcnn.score_thr': 0.0,
            'model.test_cfg.rcnn.max_per_img': 3,
        }
    )
    for loader in (config.train_dataloader, config.val_dataloader, config.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    file = folder / 'tiny.py'
    config.dump(file)
    return file


@pytest.fixture(scope='module')
def trained(config_file: Path, train_on_two: Callable[[Path], Path]) -> Path:
    """The work directory of a training on two processes."""
    return train_on_two(config_file)


def surface_values(files: Any) -> dict[str, float]:
    (file,) = files
    for line in file.read_text().splitlines():
        values = json.loads(line)
        if 'surface/GPS_AP' in values:
            return {k: v for k, v in values.items() if k.startswith('surface/')}
    raise AssertionError(f'{file} has no surface/GPS_AP')


def test_one_process_measures_what_two_do(config_file: Path, trained: Path) -> None:
    work_dir = config_file.parent / 'one'
    arguments = [config_file, trained / 'iter_2.pth', '--work-dir', work_dir]
    assert run_tool(tool('test').main, [str(argument) for argument in arguments]) == 0
    found = surface_values(work_dir.glob('*/*.json'))
    wanted = surface_values(trained.glob('*/vis_data/scalars.json'))
    assert len(wanted) == 30
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, nan_ok=True) or math.isnan(value)


def test_infer_writes_surfaces_and_other_skins(config_file: Path, trained: Path) -> None:
    folder = config_file.parent
    photo = sorted((folder / 'data').rglob('*.jpg'))[0]
    texture = folder / 'skin.png'
    Image.fromarray(np.full((60, 40, 3), (10, 200, 30), np.uint8)).save(texture)
    arguments = [photo, '--checkpoint', trained / 'iter_2.pth', '--score-thr', '0']
    arguments += ['--precision', 'fp32', '--device', 'cpu', '--texture', texture]
    out = folder / 'out'
    infer = tool('infer').main
    assert run_tool(infer, [str(argument) for argument in [*arguments, '--out', out]]) == 0
    with np.load(out / f'predictions.surfaces/{photo.stem}.npz') as stored:
        boxes, scores = stored['boxes'], stored['scores']
        surfaces = [stored[f'surface_{number}'] for number in range(len(boxes))]
    assert len(boxes) == len(scores) == 3
    for surface, (_, _, width, height) in zip(surfaces, boxes, strict=True):
        assert surface.shape == (3, height, width)
    whole = np.asarray(Image.open(out / f'predictions.surfaces/{photo.stem}.png'))
    assert whole.shape == (96, 96, 3)
    assert whole[..., 0].max() <= 24
    (drawn,) = (out / 'pictures').glob('*')
    assert drawn.is_file()
    model = mmext.load(trained / 'iter_2.pth', device='cpu', precision='fp32')
    result = model(str(photo))
    for one, other in zip(result.surfaces, surfaces, strict=True):
        assert np.array_equal(one, other)
    assert np.array_equal(result.surface_map.part, whole[..., 0])
    assert np.array_equal(result.surface_boxes, boxes)
    skin = np.asarray(result.plot(0.0, np.asarray(Image.open(texture))))
    assert (skin[whole[..., 0] > 0] == (10, 200, 30)).all()
    lines = np.asarray(result.plot(0.0))
    assert lines.shape == (96, 96, 3)
    assert len(result.above(2.0).surfaces) == 0
    assert result.keypoints.shape == (3, 17, 2)
    assert result.masks.shape == (3, 96, 96)


def test_a_texture_that_is_none(
    config_file: Path, trained: Path, capsys: pytest.CaptureFixture
) -> None:
    folder = config_file.parent
    photo = sorted((folder / 'data').rglob('*.jpg'))[0]
    arguments = [str(photo), '--checkpoint', str(trained / 'iter_2.pth'), '--texture']
    for texture, message in ((photo, 'expected 6 rows of 4'), (folder / 'no.png', 'nothing at'),
                             (config_file, 'cannot be read')):  # fmt: skip
        assert run_tool(tool('infer').main, [*arguments, str(texture)]) == 2
        assert message in capsys.readouterr().err


def test_a_detection_is_explained(config_file: Path, trained: Path) -> None:
    photo = sorted((config_file.parent / 'data').rglob('*.jpg'))[0]
    explainer = Explainer(mmext.load(trained / 'iter_2.pth', device='cpu', precision='fp32'))
    scene = explainer.detect(np.asarray(Image.open(photo))[..., ::-1].copy(), most=1, min_score=0.0)
    for method in ('odam', 'rise'):
        (found,) = explainer.attribute(scene, method=method, options=Options(masks=8, block=4))
        assert not found.note
        assert found.relevance.shape == (96, 96)
        assert found.relevance.any()
