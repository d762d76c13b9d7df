"""tools/infer.py: every kind of input, the files it writes, and input it cannot use."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from pycocotools.coco import COCO

from mmext.demo.video import clip_frames, draw_numbered_clip
from mmext.errors import run_tool
from mmext.formats.panoptic_files import decode_id_png

Tool = Callable[[str], ModuleType]

PANOPTIC_FPN = """
_base_ = 'mmdet::panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py'
c = 8
model = dict(
    backbone=dict(type='mmdet.ResNet', depth=18, base_channels=8, init_cfg=None),
    neck=dict(in_channels=[8, 16, 32, 64], out_channels=c),
    rpn_head=dict(in_channels=c, feat_channels=c),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=c), mask_roi_extractor=dict(out_channels=c),
        bbox_head=dict(in_channels=c, fc_out_channels=8, num_classes=2),
        mask_head=dict(in_channels=c, conv_out_channels=c, num_classes=2)),
    semantic_head=dict(
        in_channels=c, inner_channels=32, num_things_classes=2, num_stuff_classes=2),
    panoptic_fusion_head=dict(num_things_classes=2, num_stuff_classes=2),
    test_cfg=dict(rcnn=dict(score_thr=0.0), panoptic=dict(score_thr=0.0, stuff_area_limit=1)))
metainfo = dict(
    classes=('cat', 'dog', 'grass', 'sky'), thing_classes=('cat', 'dog'),
    stuff_classes=('grass', 'sky'))
pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(96, 96), keep_ratio=True),
    dict(type='LoadPanopticAnnotations'),
    dict(type='PackDetInputs'),
]
test_dataloader = dict(dataset=dict(metainfo=metainfo, pipeline=pipeline))
"""
UPSNET = """
_base_ = '{configs}/upsnet_demo.py'
model = dict(test_cfg=dict(rcnn=dict(score_thr=0.01), panoptic=dict(stuff_area_limit=1)))
"""

VPSNET = """
_base_ = '{configs}/vpsnet_demo.py'
model = dict(test_cfg=dict(rcnn=dict(score_thr=0.01),
                           panoptic=dict(score_thr=0.0, stuff_area_limit=1, max_per_img=8)))
"""


@pytest.fixture(scope='module')
def checkpoint(trained: Path) -> Path:
    """The tiny detector's weights, which carry their config and classes."""
    return trained / 'epoch_2.pth'


@pytest.fixture(scope='module')
def photos(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with names that differ in folder or ending only, and a broken picture."""
    folder = tmp_path_factory.mktemp('photos')
    (folder / 'more').mkdir()
    first, second, third = sorted((data / 'images').iterdir())[:3]
    cv2.imwrite(str(folder / 'a.jpg'), cv2.imread(str(first)))
    cv2.imwrite(str(folder / 'a.bmp'), cv2.imread(str(second))[:50])
    (folder / 'more' / 'a.png').write_bytes(third.read_bytes())
    (folder / 'broken.png').write_bytes(third.read_bytes()[:50])
    (folder / 'notes.txt').write_text('not a picture')
    return folder


def test_folder(
    checkpoint: Path, photos: Path, call: Callable[..., None], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """In batches of pictures of different size, with the config in the checkpoint."""
    call('infer', photos, '--checkpoint', checkpoint, '--out', tmp_path, '--batch-size', 2)
    captured = capsys.readouterr()
    assert 'broken.png: cannot be read as an image' in captured.err
    assert 'warning: 1 of 4 pictures were left out' in captured.err
    assert '3 pictures' in captured.out
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob('*') if path.is_file()} == {
        'pictures/a.jpg', 'pictures/a.bmp.png', 'pictures/more/a.png',
        'predictions.instances.json',
    }  # fmt: skip

    coco = COCO(str(tmp_path / 'predictions.instances.json'))
    names = {image['file_name']: image for image in coco.imgs.values()}
    assert set(names) == {'a.jpg', 'a.bmp', 'more/a.png'}
    assert (names['a.bmp']['height'], names['a.bmp']['width']) == (50, 64)
    # the ids of the data set's file, which is at hand
    assert {item['name']: item['id'] for item in coco.cats.values()} == {'square': 11, 'disc': 22}
    assert coco.anns and all(
        0 <= item['score'] <= 1 and len(item['bbox']) == 4 for item in coco.anns.values()
    )


def test_agrees_with_the_evaluation(
    checkpoint: Path, data: Path, call: Callable[..., None], tmp_path: Path
) -> None:
    """The same boxes as tools/test.py finds through the data set, under the same image ids."""
    config = data / 'tiny.py'
    images = data / 'images'
    exact = ('--precision', 'fp32')  # without it, bf16 where that is faster
    call(
        'infer', images, '--config', config, '--checkpoint', checkpoint, '--out', tmp_path, *exact
    )  # fmt: skip
    call('test', config, checkpoint, '--work-dir', tmp_path, '--out', tmp_path / 'reference.pkl')
    reference = pickle.loads((tmp_path / 'reference.pkl').read_bytes())
    content = json.loads((tmp_path / 'predictions.instances.json').read_text())
    for sample in reference:
        found = [item for item in content['annotations'] if item['image_id'] == sample['img_id']]
        left_top_right_bottom = sample['pred_instances']['bboxes'].numpy()
        boxes = np.array([item['bbox'] for item in found])
        boxes[:, 2:] += boxes[:, :2]
        np.testing.assert_allclose(boxes, left_top_right_bottom, rtol=1e-5)


def test_video_becomes_a_video(
    checkpoint: Path, data: Path, call: Callable[..., None], tmp_path: Path
) -> None:
    writer = cv2.VideoWriter(
        str(tmp_path / 'street.avi'), cv2.VideoWriter.fourcc(*'MJPG'), 5.0, (64, 64)
    )
    for image in sorted((data / 'images').iterdir()):
        writer.write(cv2.imread(str(image)))
    writer.release()
    out = tmp_path / 'out'
    call(
        'infer', tmp_path / 'street.avi', '--checkpoint', checkpoint, '--out', out,
        '--batch-size', 4,
    )  # fmt: skip
    video = cv2.VideoCapture(str(out / 'pictures' / 'street.mp4'))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 6 and video.get(cv2.CAP_PROP_FPS) == 5.0
    assert video.read()[1].shape == (64, 132, 3)
    content = json.loads((out / 'predictions.instances.json').read_text())
    assert [image['id'] for image in content['images']] == list(range(6))


def test_a_video_model_streams_into_a_video(
    call: Callable[..., None], tools_folder: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Batches or single frames: equal videos; objects of one number have one colour throughout."""
    config = tmp_path / 'video.py'
    config.write_text(VPSNET.replace('{configs}', str(tools_folder.parent / 'configs')))
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(config).model)
    torch.save(model.state_dict(), tmp_path / 'model.pth')
    source = tmp_path / 'clip.avi'
    writer = cv2.VideoWriter(str(source), cv2.VideoWriter.fourcc(*'MJPG'), 5.0, (96, 64))
    for image, _ in clip_frames(draw_numbered_clip(0, 'train', 4, (96, 64))):
        writer.write(cv2.resize(np.ascontiguousarray(image[..., ::-1]), (96, 64)))
    writer.release()
    videos = []
    for batch_size in (1, 4):
        out = tmp_path / f'drawn{batch_size}.mp4'
        call(
            'infer', source, '--config', config, '--checkpoint', tmp_path / 'model.pth',
            '--out', out, '--batch-size', batch_size, '--precision', 'fp32',
        )  # fmt: skip
        assert f'pictures in {out}' in capsys.readouterr().out
        video = cv2.VideoCapture(str(out))
        frames = []
        while (read := video.read())[0]:
            frames.append(read[1])
        videos.append(np.stack(frames))
    assert len(videos[0]) >= 6 and videos[0].shape[1:] == (64, 96, 3)
    # a batch may be rounded otherwise than a frame; one pixel on a border that falls to the other
    # side is noise in all of the encoder's block
    between_frames = np.abs(videos[0][1:].astype(int) - videos[0][:-1]).mean()
    assert np.abs(videos[0].astype(int) - videos[1]).mean() < between_frames / 10
    assert not (tmp_path / 'predictions.panoptic.json').exists()


@pytest.mark.parametrize('text', [PANOPTIC_FPN, UPSNET], ids=['PanopticFPN', 'UPSNet'])
def test_panoptic(
    text: str, photos: Path, call: Callable[..., None], tools_folder: Path, tmp_path: Path
) -> None:
    """PNG and JSON belong together; every pixel that is not void has a listed segment."""
    path = tmp_path / 'panoptic.py'
    path.write_text(text.replace('{configs}', str(tools_folder.parent / 'configs')))
    config = Config.fromfile(path)
    torch.manual_seed(0)
    torch.save(MODELS.build(config.model).state_dict(), tmp_path / 'model.pth')
    out = tmp_path / 'out'
    call('infer', photos, '--config', path, '--checkpoint', tmp_path / 'model.pth', '--out', out)

    content = json.loads((out / 'predictions.panoptic.json').read_text())
    meta = config.metainfo
    assert [item['name'] for item in content['categories']] == list(meta['classes'])
    things = [item['name'] for item in content['categories'] if item['isthing']]
    assert things == list(meta['thing_classes'])
    assert (out / 'predictions.instances.json').exists() == (text is UPSNET)
    assert len({item['file_name'] for item in content['annotations']}) == 3
    assert {item['image_id'] for item in content['annotations']} == {'a.jpg', 'a.bmp', 'more/a.png'}
    folder = out / 'predictions.panoptic'
    for item in content['annotations']:
        ids = decode_id_png((folder / item['file_name']).read_bytes(), item['file_name'])
        assert ids.shape == ((50, 64) if item['image_id'] == 'a.bmp' else (64, 64))
        listed = {segment['id']: segment['area'] for segment in item['segments_info']}
        assert listed == {int(i): int((ids == i).sum()) for i in np.unique(ids) if i != 0}


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['{tmp}/gone.jpg', '--checkpoint', '{ok}'], 'input not found: {tmp}/gone.jpg'),
        (['{tmp}', '--checkpoint', '{ok}'], 'no images in {tmp}'),
        (['99', '--checkpoint', '{ok}'], 'camera 99 cannot be opened'),
        (['{tmp}/notes.mp4', '--checkpoint', '{ok}'], 'notes.mp4 cannot be opened as a video'),
        (['{data}/images', '--checkpoint', '{tmp}/gone.pth'], 'checkpoint not found'),
        (['{data}/images', '--checkpoint', '{ok}', '--config', 'x.py'], 'config file not found'),
        (['{data}/images', '--checkpoint', '{ok}', '--device', 'tpu:0'], '--device tpu:0'),
        (['{data}/images', '--checkpoint', '{tmp}/bare.pth'], 'carries no config'),
        (['{tmp}/bad.png', '--checkpoint', '{ok}'], 'no image could be read and predicted'),
        (['{tmp}/bad.png', '--checkpoint', '{ok}', '--out', 'x.mp4'], 'bad.png is no video'),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str],
    message: str,
    checkpoint: Path,
    data: Path,
    tool: Tool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = dict(tmp=tmp_path, ok=checkpoint, data=data)
    if 'no images' not in message:
        (tmp_path / 'notes.mp4').write_text('no video')
        (tmp_path / 'bad.png').write_text('no picture')
        torch.save({'weight': torch.zeros(1)}, tmp_path / 'bare.pth')
    out = str(tmp_path / 'out')
    given = [a.format(**places) for a in arguments]
    assert run_tool(tool('infer').main, ['--out', out, *given]) == 2
    (line,) = [e for e in capsys.readouterr().err.splitlines() if e.startswith('error: ')]
    assert message.format(**places) in line


BAD = ('bomb.png', 'cut.jpg', 'deep.png', 'gone.jpg', 'thin.png')
LONG = 'é' * 125 + '.bmp'  # 254 bytes: as long as a name may be, and its picture is a PNG


def bomb() -> bytes:
    """A small PNG that promises 40000 x 30000 pixels."""
    data = bytearray(cv2.imencode('.png', np.zeros((9, 9), np.uint8))[1])
    data[16:24] = (40000).to_bytes(4, 'big') + (30000).to_bytes(4, 'big')
    return bytes(data)


@pytest.mark.parametrize('batch_size', [1, 5])
def test_one_bad_picture_is_left_out(
    batch_size: int, checkpoint: Path, data: Path, call: Callable[..., None], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """The others are predicted and written, under names of their own."""
    photos, out = tmp_path / 'photos', tmp_path / 'out'
    photos.mkdir()
    photo = cv2.imread(str(data / 'images' / '0000.png'))
    for name in ('a.jpg', 'a.png', LONG, 'a.bmp', 'a.bmp.png', 'straße 街.jpg'):
        cv2.imwrite(str(photos / name), photo)
    cv2.imwrite(str(photos / 'pixel.png'), photo[:1, :1])
    cv2.imwrite(str(photos / 'thin.png'), np.zeros((3, 2000, 3), np.uint8))
    (photos / 'bomb.png').write_bytes(bomb())
    (photos / 'cut.jpg').write_bytes((photos / 'a.jpg').read_bytes()[:-300])
    cv2.imwrite(str(photos / 'deep.png'), photo.astype(np.uint16))
    (photos / 'gone.jpg').symlink_to(tmp_path / 'nothing')
    (photos / 'folder.jpg').mkdir()
    call(
        'infer', photos, '--checkpoint', checkpoint, '--out', out, '--batch-size', batch_size,
        '--config', data / 'tiny.py', '--cfg-options',
        'test_dataloader.dataset.pipeline.1.keep_ratio=True',  # no row is left of a thin picture
    )  # fmt: skip
    captured = capsys.readouterr()
    assert '7 pictures' in captured.out
    lines = captured.err[captured.err.index('warning: ') :].splitlines()
    assert lines[0] == 'warning: 5 of 12 pictures were left out:'
    said = {name: line for line in lines[1:] for name in BAD if name in line}
    assert set(said) == set(BAD) and len(lines) == 1 + len(BAD)
    assert '1200000000 pixels are more' in said['bomb.png']
    assert 'value_range=' in said['deep.png'] and '(2000 x 3 pixels)' in said['thin.png']
    content = json.loads((out / 'predictions.instances.json').read_text())
    kept = {'a.jpg', 'a.png', 'a.bmp', 'a.bmp.png', LONG, 'straße 街.jpg', 'pixel.png'}
    assert {image['file_name'] for image in content['images']} == kept
    drawn = list((out / 'pictures').iterdir())
    assert len(drawn) == len(kept) and all(cv2.imread(str(path)) is not None for path in drawn)


def test_a_range_of_the_config_reaches_the_files(
    checkpoint: Path, data: Path, call: Callable[..., None], tmp_path: Path
) -> None:
    """A photo of 12 bits in 16 is predicted as the photo that it was made of."""
    photo = cv2.imread(str(data / 'images' / '0000.png'))
    found = []
    for name, pixels in (('plain', photo), ('deep', photo.astype(np.uint16) * 16)):
        cv2.imwrite(str(tmp_path / f'{name}.png'), pixels)
        call(
            'infer', tmp_path / f'{name}.png', '--checkpoint', checkpoint, '--out',
            tmp_path / name, '--config', data / 'tiny.py', '--cfg-options',
            'test_dataloader.dataset.pipeline.0.type=mmext.LoadImage',
            'test_dataloader.dataset.pipeline.0.value_range=[0,4080]',
        )  # fmt: skip
        content = json.loads((tmp_path / name / 'predictions.instances.json').read_text())
        found.append([item['bbox'] for item in content['annotations']])
    assert found[0] and found[0] == found[1]


def test_a_cut_video_says_what_is_missing(
    checkpoint: Path, call: Callable[..., None], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path = tmp_path / 'street.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'MJPG'), 5.0, (64, 64))
    noise = np.random.default_rng(0)
    for _ in range(12):
        writer.write(noise.integers(0, 256, (64, 64, 3), np.uint8))
    writer.release()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    call('infer', path, '--checkpoint', checkpoint, '--out', tmp_path / 'out')
    captured = capsys.readouterr()
    content = json.loads((tmp_path / 'out' / 'predictions.instances.json').read_text())
    read = len(content['images'])
    assert 0 < read < 12
    assert f'warning: street: the video says 12 frames, {read} could be read' in captured.err


@pytest.mark.parametrize(
    ('out', 'message'),
    [
        ('{tmp}/file', '{tmp}/file is no folder'),
        ('{tmp}/file/below', '{tmp}/file is no folder'),
        ('{tmp}/file/x.mp4', 'is no video, name a folder'),
    ],
)
def test_a_place_that_cannot_be_written_to(
    out: str, message: str, data: Path, tool: Tool, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Found before the checkpoint is looked at."""
    (tmp_path / 'file').touch()
    arguments = [
        str(data / 'images'),
        '--checkpoint',
        'gone.pth',
        '--out',
        out.format(tmp=tmp_path),
    ]
    assert run_tool(tool('infer').main, arguments) == 2
    assert message.format(tmp=tmp_path) in capsys.readouterr().err


def test_results_before_a_failure_are_kept(
    checkpoint: Path, data: Path, tool: Tool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The third picture meets a full disk."""
    out = tmp_path / 'out'
    (out / 'pictures').mkdir(parents=True)
    (out / 'pictures' / '0002.png').symlink_to('/dev/full')
    arguments = [str(data / 'images'), '--checkpoint', str(checkpoint), '--out', str(out)]
    assert run_tool(tool('infer').main, arguments) == 2
    assert '0002.png cannot be written: No space left' in capsys.readouterr().err
    content = json.loads((out / 'predictions.instances.json').read_text())
    assert [image['id'] for image in content['images']] == [0, 1, 2]
