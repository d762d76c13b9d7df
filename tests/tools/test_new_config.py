"""mmext new: the config that it writes trains on the files that it was given."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from mmext.configuration import walk
from mmext.data_report.config_heads import configured_heads, configured_panoptic
from mmext.errors import run_tool

Tool = Callable[[str], ModuleType]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """The flags that name two files of the classes b and a, and two photos."""
    (tmp_path / 'photos').mkdir()
    for name in ('train', 'val'):
        photo = np.full((64, 64, 3), 90, np.uint8)
        photo[10:40, 10:40] = 250
        Image.fromarray(photo).save(tmp_path / f'photos/{name}.png')
        content = dict(
            images=[dict(id=1, file_name=f'{name}.png', width=64, height=64)],
            annotations=[
                dict(id=1, image_id=1, category_id=7, bbox=[10, 10, 30, 30], area=900, iscrowd=0)
            ],
            categories=[dict(id=7, name='b'), dict(id=9, name='a')],
        )
        (tmp_path / f'{name}.json').write_text(json.dumps(content))
    flags = [f'--{name}={tmp_path / name}.json' for name in ('train', 'val')]
    return [*flags, f'--photos={tmp_path / "photos"}', f'--out={tmp_path / "mine.py"}']


def printed_training(
    folder: Path, call: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> str:
    """What a training of the config in a folder prints."""
    call(
        'train', folder / 'mine.py', '--work-dir', folder / 'work', '--no-pretrained',
        '--mlflow', 'off', '--cfg-options', *OPTIONS,
    )  # fmt: skip
    return capsys.readouterr().out


def test_it_trains(
    files: list[str],
    tmp_path: Path,
    tool: Tool,
    call: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    tool('new_config').main(['centernet_demo', *files])
    metainfo = Config.fromfile(tmp_path / 'mine.py').train_dataloader.dataset.metainfo
    assert metainfo == dict(classes=('b', 'a'))  # and no colors of other classes
    assert '2 classes' in capsys.readouterr().out
    printed = printed_training(tmp_path, call, capsys)
    assert 'mAP' in printed


OPTIONS = (
    *('train_cfg.max_iters=1', 'train_cfg.val_interval=1', 'train_dataloader.batch_size=1'),
    *(f'{name}_dataloader.num_workers=0' for name in ('train', 'val')),
    *(f'{name}_dataloader.persistent_workers=False' for name in ('train', 'val')),
)


def with_key_points(files: list[str], names: list[str], of_class: int = 7) -> None:
    """Give the objects of both files key points, and the class its table."""
    for flag in files[:2]:
        file = Path(flag.partition('=')[2])
        content = json.loads(file.read_text())
        (category,) = (c for c in content['categories'] if c['id'] == of_class)
        category |= dict(keypoints=names, skeleton=[[1, 2]])
        points = [value for place in range(len(names)) for value in (12 + 8 * place, 20, 2)]
        for annotation in content['annotations']:
            annotation |= dict(keypoints=points, num_keypoints=len(names))
        file.write_text(json.dumps(content))


def test_key_points_train(
    files: list[str],
    tmp_path: Path,
    tool: Tool,
    call: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with_key_points(files, ['nose', 'left_fin', 'right_fin'])
    tool('new_config').main(['centernet_pose_demo', *files])
    config = Config.fromfile(tmp_path / 'mine.py')
    metainfo = config.val_dataloader.dataset.metainfo
    assert metainfo.classes == ('b',) and metainfo.keypoints == ('nose', 'left_fin', 'right_fin')
    assert metainfo.flip_pairs == ((1, 2),) == config.model.bbox_head.flip_pairs
    assert metainfo.skeleton == ((0, 1),) and metainfo.sigmas == (0.026, 0.05, 0.05)
    assert config.model.bbox_head.num_joints == 3 and config.model.bbox_head.num_classes == 1
    printed = printed_training(tmp_path, call, capsys)
    assert 'keypoints/AP' in printed and 'bbox_mAP' in printed


def test_landmarks_on_crops_train(
    files: list[str],
    tmp_path: Path,
    tool: Tool,
    call: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with_key_points(files, ['nose', 'left_fin', 'right_fin'])
    tool('new_config').main(['landmarks_demo', *files])
    config = Config.fromfile(tmp_path / 'mine.py')
    assert config.model.head.num_points == 3 and config.model.flip_pairs == ((1, 2),)
    assert config.val_dataloader.dataset.metainfo.keypoints == ('nose', 'left_fin', 'right_fin')
    printed = printed_training(tmp_path, call, capsys)
    assert 'keypoints/AP' in printed and 'pck/PCK@0.2' in printed


@pytest.mark.parametrize(
    ('base', 'metrics'),
    [
        ('landmarks/keypoint-rcnn_r50_fpn_coco', ['KeypointOKSMetric', 'CocoDetectionMetric']),
        ('densepose_demo', ['KeypointOKSMetric', 'CocoDetectionMetric', 'SurfaceMetric']),
    ],
)
def test_tasks_of_regions_keep_their_points_and_metrics(
    base: str, metrics: list[str], files: list[str], tmp_path: Path, tool: Tool
) -> None:
    with_key_points(files, ['nose', 'left_fin', 'right_fin'])
    file = tmp_path / 'val.json'
    content = json.loads(file.read_text())
    content['annotations'][0] |= {f'dp_{name}': [0.5] for name in 'xyUV'} | dict(dp_I=[1])
    file.write_text(json.dumps(content))
    tool('new_config').main([base, *files])
    config = Config.fromfile(tmp_path / 'mine.py')
    assert config.model.roi_head.tasks.keypoints.num_points == 3
    assert [part.type for part in config.val_evaluator] == [f'mmext.{name}' for name in metrics]
    assert {part.ann_file for part in config.val_evaluator} == {str(file)}


def test_points_of_reppoints_are_no_key_points(
    files: list[str], tmp_path: Path, tool: Tool
) -> None:
    tool('new_config').main(['mmdet::reppoints/reppoints-moment_r50_fpn_1x_coco.py', *files])
    config = Config.fromfile(tmp_path / 'mine.py')
    assert config.model.bbox_head.num_points == 9 and config.model.bbox_head.num_classes == 2


def test_key_points_of_two_kinds(
    files: list[str], tool: Tool, capsys: pytest.CaptureFixture[str]
) -> None:
    base = 'centernet/pose-dla34_140e_coco'
    assert run_tool(tool('new_config').main, [base, *files]) == 2
    assert 'there is none' in capsys.readouterr().err
    with_key_points(files, ['nose', 'fin'])
    with_key_points(files, ['tail', 'fin'], of_class=9)
    assert run_tool(tool('new_config').main, [base, *files]) == 2
    error = capsys.readouterr().err
    assert 'there are 2 different ones' in error and error.count('\n') == 1


@pytest.mark.parametrize(
    'base',
    [
        'mmdet::cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py',
        'mmdet::yolox/yolox_s_8xb8-300e_coco.py',
        'mmdet::rtmdet/rtmdet_s_8xb32-300e_coco.py',
        'mmext::centernet/triplet-hourglass52_480k_coco.py',
    ],
)
def test_heads_and_files_of_any_detector(
    base: str, files: list[str], tmp_path: Path, tool: Tool
) -> None:
    tool('new_config').main([base, *files])
    config = Config.fromfile(tmp_path / 'mine.py')
    assert {number for _, number in configured_heads(config.model)} == {2}
    dataset = config.train_dataloader.dataset
    while 'ann_file' not in dataset:
        dataset = dataset.dataset
    assert dataset.metainfo == dict(classes=('b', 'a')) and '_delete_' not in str(config.to_dict())
    assert dataset.ann_file == str(tmp_path / 'train.json')
    assert config.val_evaluator.get('metric', 'bbox') == (
        ['bbox', 'segm'] if 'mask' in base else 'bbox'
    )


@pytest.mark.parametrize(
    'base',
    [
        'upsnet',
        'mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco-panoptic.py',
        'mmdet::panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py',
    ],
)
def test_heads_of_panoptic_detectors(
    base: str, files: list[str], tmp_path: Path, tool: Tool
) -> None:
    for flag in files[:2]:
        file = Path(flag.partition('=')[2])
        file.with_suffix('').mkdir()
        content = json.loads(file.read_text())
        segment = dict(id=1, category_id=7, area=900, bbox=[10, 10, 30, 30], iscrowd=0)
        content['annotations'] = [dict(image_id=1, file_name='a.png', segments_info=[segment])]
        content['categories'] = [
            dict(id=7, name='b', isthing=1), dict(id=8, name='s', isthing=0),
            dict(id=9, name='a', isthing=1),
        ]  # fmt: skip
        file.write_text(json.dumps(content))
    tool('new_config').main([base, *files])
    config = Config.fromfile(tmp_path / 'mine.py')
    numbers = {number for _, number in configured_panoptic(config.model)}
    assert numbers == {(2, 1)}
    assert {number for _, number in configured_heads(config.model)} <= {2}
    weights = [p['class_weight'] for _, p in walk(config.model) if 'class_weight' in p]
    assert [w for w in weights if isinstance(w, list)] in ([], [[1.0, 1.0, 1.0, 0.1]])
    dataset = config.train_dataloader.dataset
    assert dataset.metainfo.thing_classes == ('b', 'a') and dataset.metainfo.classes[2] == 's'
    assert dataset.data_prefix.seg == f'{tmp_path / "train"}/'
    measured = [metric.type for metric in config.val_evaluator]
    assert ('mmext.CocoDetectionMetric' in measured) == (base == 'upsnet')


def test_folds_hold_each_image_out_once(
    files: list[str], tmp_path: Path, tool: Tool, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads((tmp_path / 'train.json').read_text())
    content['images'] = [
        dict(id=i, file_name=f'clip{i // 2}_{i}.png', width=64, height=64) for i in range(8)
    ]
    (tmp_path / 'photos/train.png').rename(tmp_path / 'photos/clip0_0.png')
    (annotation,) = content['annotations']
    content['annotations'] = [dict(annotation, id=i + 1, image_id=i) for i in range(8)]
    (tmp_path / 'all.json').write_text(json.dumps(content))
    flags = [f'--all={tmp_path}/all.json', *files[2:], '--folds=2', '--group=(.*)_']
    tool('new_config').main(['centernet_demo', *flags])
    printed = capsys.readouterr().out
    assert printed.count('4 images to learn from, 4 held out, no object of a held out') == 2
    held = []
    for number in (1, 2):
        config = Config.fromfile(tmp_path / f'mine_fold{number}.py')
        assert config.default_hooks.mlflow.parent == 'mine, 2 folds'
        names = {}
        for part in ('train', 'val'):
            read = json.loads(Path(config[f'{part}_dataloader'].dataset.ann_file).read_text())
            names[part] = {image['file_name'] for image in read['images']}
        assert not names['train'] & names['val'] and len(names['train'] | names['val']) == 8
        clips = [{name.partition('_')[0] for name in names[part]} for part in ('train', 'val')]
        assert not clips[0] & clips[1]
        held.append(names['val'])
    assert not held[0] & held[1]
    assert run_tool(tool('new_config').main, ['centernet_demo', *flags]) == 2
    assert 'mine_fold1.py is there already' in capsys.readouterr().err


def test_folders_stay_together_and_nothing_is_written_for_a_wrong_group(
    files: list[str], tmp_path: Path, tool: Tool, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads((tmp_path / 'train.json').read_text())
    places = [f'{folder}/{i}.png' for folder in 'abc' for i in range(3)]
    content['images'] = [
        dict(id=i, file_name=place, width=64, height=64) for i, place in enumerate(places)
    ]
    content['annotations'] = []
    (tmp_path / 'photos/a').mkdir()
    (tmp_path / 'photos/train.png').rename(tmp_path / 'photos/a/0.png')
    (tmp_path / 'all.json').write_text(json.dumps(content))
    flags = ['centernet_small', f'--all={tmp_path}/all.json', *files[2:], '--folds=3']
    assert run_tool(tool('new_config').main, [*flags, '--group=clip(.)']) == 2
    assert "'clip(.)' matches no file name, as 'a/0.png'" in capsys.readouterr().err
    assert not list(tmp_path.glob('*fold*'))
    tool('new_config').main([*flags, '--group=folder'])
    held = []
    for number in (1, 2, 3):
        read = json.loads((tmp_path / f'all_fold{number}_val.json').read_text())
        held.append({image['file_name'].partition('/')[0] for image in read['images']})
    assert sorted(map(sorted, held)) == [['a'], ['b'], ['c']]


def test_photos_that_are_elsewhere(
    files: list[str], tmp_path: Path, tool: Tool, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong folder is told before the training, with the right one if that is near."""
    photos = tmp_path / 'photos'
    for wrong, remedy in ((tmp_path, photos), (photos / 'deeper', photos)):
        wrong.mkdir(exist_ok=True)
        assert (
            run_tool(tool('new_config').main, ['centernet_demo', *files, f'--photos={wrong}']) == 2
        )
        assert f'no photo at {wrong}/train.png' in (error := capsys.readouterr().err)
        assert f'--photos {remedy}\n' in error
    (photos / 'val.png').rename(photos / 'VAL.png')
    assert run_tool(tool('new_config').main, ['centernet_demo', *files]) == 2
    assert 'VAL.png is there: correct file_name' in capsys.readouterr().err
    assert not (tmp_path / 'mine.py').exists()


@pytest.mark.parametrize('flags', [['--folds=3'], ['--train=x.json'], ['--all=x.json'], []])
def test_which_files_are_meant_must_be_clear(flags: list[str], tool: Tool) -> None:
    with pytest.raises(SystemExit):
        tool('new_config').main(['centernet_demo', '--photos=.', *flags])


@pytest.mark.parametrize(
    ('base', 'message'),
    [
        ('upsnet', 'mmext import ... --stuff'),
        ('no_such', 'no_such'),
        ('mmdet::rpn/rpn_r50_fpn_1x_coco.py', 'RPN'),
    ],
)
def test_one_line(
    base: str, message: str, files: list[str], tool: Tool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_tool(tool('new_config').main, [base, *files]) == 2
    error = capsys.readouterr().err
    assert message.lower() in error.lower() and error.count('\n') == 1
