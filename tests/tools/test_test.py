"""tools/test.py: the metric of a checkpoint, its by-products, and weights that do not belong."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import cv2
import pytest
import torch
from mmdet.visualization import DetLocalVisualizer
from mmengine.logging import MessageHub, MMLogger

from mmext.errors import run_tool


def forget_runs() -> None:
    """Empty mmengine's tables of named objects, between two runs of one test."""
    for kind in (DetLocalVisualizer, MMLogger, MessageHub):
        kind._instance_dict.clear()


Tool = Callable[[str], ModuleType]


def test_gives_the_metric_of_the_training(
    trained: Path, config_file: Path, call: Callable[..., None], tmp_path: Path
) -> None:
    """Neither pretrained weights nor the training data set are needed."""
    call(
        'test', config_file, trained / 'epoch_2.pth', '--work-dir', tmp_path / 'work',
        '--out', tmp_path / 'preds.pkl', '--show-dir', tmp_path / 'shown',
        '--cfg-options', 'train_dataloader.dataset.ann_file=gone.json',
    )  # fmt: skip
    (result,) = (tmp_path / 'work').glob('*/*.json')
    tested = json.loads(result.read_text())
    (log,) = trained.glob('*/vis_data/scalars.json')
    validated = json.loads(log.read_text().splitlines()[-1])
    metrics = [key for key in tested if key.startswith('coco/')]
    assert metrics and all(tested[key] == validated[key] for key in metrics)

    predictions = pickle.loads((tmp_path / 'preds.pkl').read_bytes())
    assert [sample['img_id'] for sample in predictions] == list(range(6))
    shown = sorted((tmp_path / 'shown').iterdir())
    assert [path.name for path in shown] == [f'{i}_{i:04d}.jpg' for i in range(6)]
    picture = cv2.imread(str(shown[0]))
    assert picture.shape[0] == 64 and picture.shape[1] > 2 * 64


@pytest.mark.parametrize(('flags', 'name'), [([], 'fp32'), (['--precision', 'bf16'], 'bf16')])
def test_predicts_with_a_fast_copy_in_the_precision_asked_for(
    flags: list[str],
    name: str,
    trained: Path,
    config_file: Path,
    call: Callable[..., None],
    tmp_path: Path,
) -> None:
    call('test', config_file, trained / 'epoch_2.pth', '--work-dir', tmp_path, *flags)
    (log,) = tmp_path.glob('*/*.log')
    assert f'fast: {name} on cpu' in log.read_text()


@pytest.fixture
def refusal(
    config_file: Path, tool: Tool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Run test.py on a checkpoint and return the error line it must end with."""

    def run(checkpoint: object, *options: str) -> str:
        path = tmp_path / 'checkpoint.pth'
        if isinstance(checkpoint, bytes):
            path.write_bytes(checkpoint)
        else:
            torch.save(checkpoint, path)
        arguments = [str(config_file), str(path), '--work-dir', str(tmp_path), *options]
        assert run_tool(tool('test').main, arguments) == 2
        errors = capsys.readouterr().err
        (line,) = [line for line in errors.splitlines() if line.startswith('error: ')]
        return line

    return run


def test_refuses_a_checkpoint_of_another_model(
    refusal: Callable[..., str],
) -> None:
    error = refusal(
        {'state_dict': {'encoder.weight': torch.zeros(3), 'encoder.bias': torch.ones(3)}}
    )
    assert 'is of another model: 0 of the ' in error and 'of RetinaNet are in it' in error
    assert 'missing (backbone.conv1.weight, ' in error
    assert '2 unknown to the model (encoder.weight, encoder.bias)' in error


@pytest.mark.parametrize('wrapped', [True, False], ids=['of DataParallel', 'plain'])
def test_refuses_other_shapes_unless_told_otherwise(
    wrapped: bool,
    trained: Path,
    config_file: Path,
    call: Callable[..., None],
    refusal: Callable[..., str],
    tmp_path: Path,
) -> None:
    weights = torch.load(trained / 'epoch_2.pth', weights_only=False)['state_dict']
    weights['bbox_head.retina_cls.weight'] = torch.zeros(7, 16, 3, 3)
    del weights['bbox_head.retina_cls.bias']
    if wrapped:
        weights = {f'module.{key}': item for key, item in weights.items()}
    total = sum('running' not in key and 'tracked' not in key for key in weights) + 1
    error = refusal(weights)
    assert f'{total - 2} of the {total} parameters' in error
    assert '1 missing (bbox_head.retina_cls.bias)' in error
    assert (
        '1 of another shape (bbox_head.retina_cls.weight [7, 16, 3, 3] for [2, 16, 3, 3])' in error
    )
    assert '--allow-partial' in error
    call(
        'test', config_file, tmp_path / 'checkpoint.pth', '--work-dir', tmp_path, '--allow-partial'
    )


def test_refuses_what_is_no_checkpoint(trained: Path, refusal: Callable[..., str]) -> None:
    whole = (trained / 'epoch_2.pth').read_bytes()
    for damaged in (whole[: len(whole) // 2], b'<html>404</html>', b''):
        assert 'is truncated, damaged or no PyTorch checkpoint' in refusal(damaged)
    assert 'expected a dict of weights' in refusal([1, 2])
    assert 'holds no weights' in refusal({'epoch': 3})


def test_refuses_bad_arguments(
    config_file: Path, tool: Tool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main = tool('test').main
    assert run_tool(main, [str(config_file), str(tmp_path / 'gone.pth')]) == 2
    assert f'checkpoint not found: {tmp_path}/gone.pth' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([str(config_file), 'x.pth', '--out', 'predictions.json'])
    assert 'ends in .pkl' in capsys.readouterr().err


@pytest.fixture
def own_data(data: Path, tmp_path: Path) -> Path:
    """A copy of the data set that a test may break."""
    return Path(shutil.copytree(data, tmp_path / 'data'))


def lenient(root: Path) -> list[str]:
    """Options that let a test of :data:`config_file` load as our configs do, in a worker."""
    return [
        '--cfg-options', f'data_root={root}/', 'test_dataloader.num_workers=1',
        'test_dataloader.dataset.pipeline.0.type=mmext.LoadImage',
    ]  # fmt: skip


def test_goes_on_without_a_photo_and_says_so(
    trained: Path, config_file: Path, own_data: Path, call: Callable[..., None], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Its objects are missed: the score is lower than with it, and its number is in the metrics."""
    arguments = ['test', config_file, trained / 'epoch_2.pth']
    call(*arguments, '--work-dir', tmp_path / 'whole', *lenient(own_data))
    whole = metrics(tmp_path / 'whole')
    bad = own_data / 'images' / '0002.png'
    bad.write_bytes(bad.read_bytes()[:200])
    shown = tmp_path / 'shown'
    forget_runs()
    call(*arguments, '--work-dir', tmp_path / 'work', '--show-dir', shown, *lenient(own_data))
    log = ''.join(capsys.readouterr())
    assert '1 of 6 photos could not be read and count as images in which nothing was found' in log
    assert f'{bad}: cannot be read as an image (its end is missing' in log
    broken = metrics(tmp_path / 'work')
    assert 'unreadable_photos' not in whole and broken['unreadable_photos'] == 1
    assert 0 < broken['coco/bbox_mAP_50'] < whole['coco/bbox_mAP_50']
    assert len(list(shown.iterdir())) == 5


def metrics(work_dir: Path) -> dict[str, float]:
    """What a test has written."""
    (file,) = work_dir.glob('*/*.json')
    content: dict[str, float] = json.loads(file.read_text())
    return content


def test_stops_when_no_photo_can_be_read(
    trained: Path, config_file: Path, own_data: Path, tool: Tool, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    for photo in (own_data / 'images').iterdir():
        photo.write_bytes(b'')
    arguments = [str(config_file), str(trained / 'epoch_2.pth'), '--work-dir', str(tmp_path)]
    assert run_tool(tool('test').main, [*arguments, *lenient(own_data)]) == 2
    assert 'error: none of the 6 photos can be read; the first: ' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--show-dir', '{file}'], '--show-dir {file}: {file} is no folder'),
        (['--show-dir', '{file}/x'], '--show-dir {file}/x: {file} is no folder'),
        (['--out', '{file}/x.pkl'], '--out {file}/x.pkl: {file} is no folder'),
        (['--out', '{folder}'], '--out {folder}: is a folder'),
        (
            ['--cfg-options', 'test_evaluator=None'],
            'the config has test_dataloader and test_cfg but no test_evaluator',
        ),
    ],
)
def test_places_that_cannot_be_written_to(
    options: list[str], message: str, trained: Path, config_file: Path, tool: Tool,
    tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    places = dict(file=tmp_path / 'file', folder=tmp_path / 'x.pkl')
    places['file'].touch()
    places['folder'].mkdir()
    given = [option.format(**places) for option in options]
    arguments = [str(config_file), str(trained / 'epoch_2.pth'), '--work-dir', str(tmp_path)]
    assert run_tool(tool('test').main, [*arguments, *given]) == 2
    assert f'error: {message.format(**places)}' in capsys.readouterr().err


@pytest.mark.parametrize('score', ['nan', '1.5', '-0.1', 'inf', 'x'])
def test_scores_that_are_none(score: str, tool: Tool, capsys: pytest.CaptureFixture[str]) -> None:
    for name, arguments in (('test', ['c.py', 'x.pth']), ('infer', ['.', '--checkpoint', 'x'])):
        with pytest.raises(SystemExit):
            tool(name).main([*arguments, f'--score-thr={score}'])
        assert '--score-thr: ' in capsys.readouterr().err
