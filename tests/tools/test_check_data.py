"""tools/check_data.py on generated data sets, whole and broken."""

import base64
import json
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from mmext import __main__ as command
from mmext.demo.faces import write_face_dataset
from mmext.demo.panoptic import write_panoptic_dataset
from mmext.demo.video import write_video_dataset
from mmext.errors import InputError

CONFIGS = Path(__file__).parents[2] / 'configs'
Json = dict[str, Any]
Check = Callable[..., Json]
WRITERS: dict[str, Any] = {
    'upsnet_demo.py': (write_panoptic_dataset, (5, 3, (64, 64))),
    'retinaface_demo.py': (write_face_dataset, (3, 2, (128, 128))),
    'vpsnet_demo.py': (write_video_dataset, (1, 1, (64, 64))),
}


@pytest.fixture(scope='session')
def demo(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The data set of a demo config, written once."""
    made: dict[str, Path] = {}

    def root(config: str) -> Path:
        if config not in made:
            write, (train, val, size) = WRITERS[config]
            made[config] = tmp_path_factory.mktemp('demo') / 'data'
            write(made[config], num_train=train, num_val=val, image_size=size, seed=3)
        return made[config]

    return root


@pytest.fixture
def panoptic(demo: Callable[[str], Path], tmp_path: Path) -> Path:
    """A panoptic set to be broken."""
    return Path(shutil.copytree(demo('upsnet_demo.py'), tmp_path / 'data'))


@pytest.fixture
def check(call: Callable[..., None], tmp_path: Path) -> Check:
    """Check a config with its data; returns the report, and the error under ``error``."""

    def run(config: Path | str, *arguments: object) -> Json:
        error = None
        try:
            call('check_data', config, '--out', tmp_path / 'out', '--samples', 2, *arguments)
        except InputError as caught:
            error = str(caught)
        report = json.loads((tmp_path / 'out/report.json').read_text('utf-8'))
        assert report['stops'] == error
        return report

    return run


def at(root: Path) -> tuple[str, str]:
    return '--cfg-options', f'data_root={root}/'


def texts(report: Json, weight: str) -> str:
    return '\n'.join(
        f'{p["where"]}: {p["text"]}' for p in report['problems'] if p['weight'] == weight
    )


def edit(path: Path, change: Callable[[Json], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


class Pictures(HTMLParser):
    """The pictures of a page, and whether all its tags are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take the source of a picture."""
        if tag == 'img':
            self.sources.append(dict(attrs)['src'] or '')
        elif tag != 'meta':
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Compare with what was opened last."""
        assert self.open.pop() == tag


def test_the_report_in_a_browser(
    panoptic: Path, tmp_path: Path, check: Check, browser: Any
) -> None:
    photo = next((panoptic / 'train2017').iterdir())
    photo.unlink()
    check(CONFIGS / 'upsnet_demo.py', *at(panoptic))
    text = browser.read_report(tmp_path / 'out/report.html')
    assert 'Stops:' in text and photo.name in text  # what is wrong comes first
    assert 'mushroom' in text and 'boxes by size, px' in text


def test_a_panoptic_set_is_counted_and_shown(
    panoptic: Path, check: Check, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = check(CONFIGS / 'upsnet_demo.py', *at(panoptic))
    assert report['stops'] is None
    train, val = report['data_sets']
    assert (train['name'], val['name']) == ('train', 'val, test')
    content = json.loads((panoptic / 'annotations/panoptic_train2017.json').read_text())
    names = {c['id']: c['name'] for c in content['categories']}
    segments = [s for a in content['annotations'] for s in a['segments_info']]
    for row in train['classes']:
        own = [s for s in segments if names[s['category_id']] == row['name']]
        assert row['objects'] == sum(not s['iscrowd'] for s in own)
        pixels = sum(s['area'] for s in own) / sum(i['width'] * i['height']
                                                  for i in content['images'])  # fmt: skip
        assert train['maps']['pixel_share'][row['name']] == pytest.approx(pixels)
    assert train['photos'] == {'ok': 5} and train['maps']['compared'] == 5
    out = capsys.readouterr().out
    assert train['line'] in out and 'report.html has it with pictures' in out
    text = (tmp_path / 'out/report.html').read_text('utf-8')
    page = Pictures(text)
    assert not page.open and len(page.sources) == 3 and 'http' not in text
    sheets = sorted((tmp_path / 'out').glob('*.jpg'))
    assert {base64.b64decode(s.partition(',')[2]) for s in page.sources} == {
        sheet.read_bytes() for sheet in sheets
    }
    for sheet in sheets:
        pixels = cv2.imread(str(sheet))
        assert pixels is not None and pixels.shape[1] > 900 and pixels.std() > 20


@pytest.mark.parametrize('config', ['retinaface_demo.py', 'vpsnet_demo.py'])
def test_faces_and_videos(config: str, demo: Callable[[str], Path], check: Check) -> None:
    report = check(CONFIGS / config, *at(demo(config)))
    assert report['stops'] is None
    assert all(part['photos'].keys() == {'ok'} for part in report['data_sets'])
    assert report['data_sets'][0]['summary']['usable'] > 0


def test_twins_leaks_and_a_size_are_found(panoptic: Path, check: Check) -> None:
    train = sorted((panoptic / 'train2017').iterdir())
    val = sorted((panoptic / 'val2017').iterdir())
    shapes = {path: cv2.imread(str(path)).shape for path in (*train, *val)}
    first = train[0]
    twin = next(p for p in train[1:] if shapes[p] == shapes[first])
    leak = next(p for p in val if shapes[p] == shapes[first])
    for copy in (twin, leak):
        shutil.copy(first, copy)
    report = check(CONFIGS / 'upsnet_demo.py', *at(panoptic))
    looks = texts(report, 'look at it')
    assert report['stops'] is None
    assert f'train: 1 photos are there more than once (first: {first} = {twin}' in looks
    assert 'train and val, test: 1 photos are in both: ' in looks and f'= {leak}' in looks
    cv2.imwrite(str(val[-1]), np.zeros((9, 7, 3), np.uint8))
    assert 'is 7x9 px, annotated' in check(CONFIGS / 'upsnet_demo.py', *at(panoptic))['stops']


def corners(content: Json) -> None:
    for annotation in content['annotations']:
        for s in annotation['segments_info']:
            x, y, w, h = s['bbox']
            s['bbox'] = [x, y, x + w, y + h]


@pytest.mark.parametrize(
    ('breaks', 'reason'),
    [
        (lambda root: next((root / 'val2017').iterdir()).unlink(), '1 of 3 photos are missing'),
        (
            lambda root: next((root / 'train2017').iterdir()).write_bytes(b'<html>'),
            '1 of 5 photos are unreadable',
        ),
        (
            lambda root: next((root / 'annotations/panoptic_train2017').iterdir()).write_bytes(b''),
            'not a readable PNG',
        ),
        (
            lambda root: edit(root / 'annotations/panoptic_train2017.json', corners),
            'read as corners x1, y1, x2, y2 they would fit',
        ),
        (
            lambda root: edit(
                root / 'annotations/panoptic_val2017.json', lambda c: c['categories'].pop()
            ),
            'not in its categories',
        ),
    ],
)
def test_what_stops_a_run_is_the_reason(
    breaks: Callable[[Path], object], reason: str, panoptic: Path, check: Check, tmp_path: Path
) -> None:
    breaks(panoptic)
    report = check(CONFIGS / 'upsnet_demo.py', *at(panoptic))
    assert reason in report['stops'] and '\n' not in report['stops']
    assert (tmp_path / 'out/report.html').is_file()


def test_without_photos_none_is_opened(panoptic: Path, check: Check) -> None:
    for path in (panoptic / 'val2017').iterdir():
        path.unlink()
    arguments = (*at(panoptic), '--no-photos', '--samples', 0)
    report = check(CONFIGS / 'upsnet_demo.py', *arguments)
    assert report['stops'] is None and report['data_sets'][0]['photos'] == {}


def test_model_and_checkpoint_must_have_the_classes(
    config_file: Path, check: Check, tmp_path: Path
) -> None:
    report = check(config_file, '--cfg-options', 'model.bbox_head.num_classes=3')
    assert 'CocoDataset has 2 classes' in report['stops']
    assert 'num_classes=3 in model.bbox_head' in report['stops']
    weights = tmp_path / 'other.pth'

    def with_weights_of(*classes: str) -> Json:
        meta = dict(dataset_meta=dict(CLASSES=classes))
        torch.save(dict(meta=meta, state_dict=dict(a=torch.zeros(1))), weights)
        return check(config_file, '--checkpoint', weights)

    report = with_weights_of('disc', 'square')  # a test would bring the labels into this order
    assert report['stops'] is None
    assert 'val, test: lists its classes in another order' in texts(report, 'look at it')
    report = with_weights_of('disc', 'cube')
    assert "class 0 is 'square', that of the checkpoint 'disc'" in report['stops']
    assert 'train: ' in texts(report, 'look at it')  # weights of other classes are a good start


def test_the_set_of_the_host_is_looked_at_as_it_is_trained(
    config_file: Path, check: Check, tmp_path: Path
) -> None:
    hosts = tmp_path / 'hosts.py'
    hosts.write_text(
        f"_base_ = '{config_file}'\n"
        "train_dataloader = dict(dataset=dict(type='CocoDataset', metainfo=dict(classes='auto')))\n"
    )
    report = check(hosts, '--splits', 'train')
    assert report['stops'] is None
    names = [row['name'] for row in report['data_sets'][0]['classes']]
    assert names == ['square', 'disc'] or names == ['disc', 'square']


def test_masks_that_are_loaded_must_be_there(
    config_file: Path, check: Check, tmp_path: Path
) -> None:
    masks = tmp_path / 'masks.py'
    masks.write_text(
        f"_base_ = '{config_file}'\n"
        'train_dataloader = dict(dataset=dict(pipeline=[\n'
        "    dict(type='LoadImageFromFile'),\n"
        "    dict(type='LoadAnnotations', with_bbox=True, with_mask=True)]))\n"
    )
    report = check(masks, '--splits', 'train', '--samples', 0)
    assert 'have no mask that can be read' in report['stops']


def test_wrapped_sets_are_looked_at_each(config_file: Path, check: Check, tmp_path: Path) -> None:
    wrapped = tmp_path / 'wrapped.py'
    wrapped.write_text(
        f"_base_ = '{config_file}'\n"
        'part = _base_.train_dataloader.dataset\n'
        "both = dict(type='ConcatDataset', datasets=[part, part])\n"
        'train_dataloader = dict(dataset=dict(\n'
        "    _delete_=True, type='RepeatDataset', times=2, dataset=both))\n"
    )
    report = check(wrapped)
    assert report['stops'] is None
    names = [part['name'] for part in report['data_sets']]
    assert names == ['train (1 of 2)', 'train (2 of 2)', 'val, test']
    assert all(part['images']['images'] == 6 for part in report['data_sets'])
    assert 'train (1 of 2) and train (2 of 2)' in texts(report, 'look at it')


def test_a_missing_set_is_one_line(config_file: Path, call: Callable[..., None]) -> None:
    with pytest.raises(InputError, match=r'train data not found: .*nowhere'):
        call('check_data', config_file, '--cfg-options', 'data_root=nowhere/')
    with pytest.raises(InputError, match='has no val_dataloader'):
        arguments = ('--splits', 'val', '--cfg-options', 'val_dataloader=None')
        call('check_data', config_file, *arguments)


def test_the_command_is_check() -> None:
    assert command.find_tool('check').name == 'check_data.py'
    assert command.find_tool('check') == command.find_tool('check_data')
