"""A trained translator in use: the tool, the augmentation of a detector, the judge, the panels."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from small_translators import CLASSES, CYCLE, PAIRED, built, label_map, picture

from mmext.cli.translate import main
from mmext.drawing.panels import Classes
from mmext.errors import InputError, MissingFileError
from mmext.hooks.mlflow_logging.content.panel_collector import PanelCollector
from mmext.hooks.mlflow_logging.content.translation_panel import painted_map
from mmext.inference.translation import checked_annotations
from mmext.registry import METRICS, MODELS
from mmext.translation.label_safety import Found, LabelSafety, ious
from mmext.translation.preprocessor import to_signed


def saved(folder: Path, model: dict[str, Any], part: str = '') -> tuple[str, str]:
    """A translator's config and weights, or those of one of its networks."""
    folder.mkdir()
    Config(dict(model=model, default_scope='mmdet')).dump(folder / 'translator.py')
    translator = MODELS.build(model)
    translator.load_state_dict(built(model, _optimizers(model))[0].state_dict())
    state = translator.get_submodule(part).state_dict()
    torch.save({'state_dict': state}, folder / 'translator.pth')
    return str(folder / 'translator.py'), str(folder / 'translator.pth')


def _optimizers(model: dict[str, Any]) -> Any:
    from small_translators import CYCLE_OPTIMIZERS, PAIRED_OPTIMIZERS

    return CYCLE_OPTIMIZERS if model is CYCLE else PAIRED_OPTIMIZERS


@pytest.fixture
def day(tmp_path: Path) -> tuple[str, str]:
    return saved(tmp_path / 'day', CYCLE)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / 'photos'
    (folder / 'sub').mkdir(parents=True)
    for number, name in enumerate(('a.png', 'sub/b.png')):
        image = picture(number, 20).numpy().transpose(1, 2, 0)
        cv2.imwrite(str(folder / name), image)
    return folder


def test_a_folder_with_its_annotations(
    day: tuple[str, str], photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, file = tmp_path / 'night', tmp_path / 'instances.json'
    file.write_text(json.dumps({'images': [], 'annotations': [{'id': 7}], 'categories': []}))
    command = [*day, '--data', str(photos), '--out', str(out), '--ann', str(file)]
    main(command)
    assert '2 translated' in capsys.readouterr().out
    translator = MODELS.build(CYCLE)
    translator.load_state_dict(torch.load(day[1])['state_dict'])
    expected = translator.eval().translate(to_signed(picture(1, 20))[None])[0]
    made = torch.from_numpy(cv2.imread(str(out / 'sub/b.png')).transpose(2, 0, 1).copy())
    assert (to_signed(made) - expected).abs().max() < 2 / 127.5
    assert json.loads((out / 'annotations/instances.json').read_text())['annotations'] == [
        {'id': 7}
    ]
    (out / 'a.png').unlink()
    main(command)
    assert '1 translated, 1 were there already' in capsys.readouterr().out
    assert not [*out.rglob('.*')]


def test_a_video_and_a_converted_generator(tmp_path: Path) -> None:
    day = saved(tmp_path / 'ba', CYCLE, 'generator_ba')
    writer = cv2.VideoWriter(str(tmp_path / 'v.avi'), cv2.VideoWriter.fourcc(*'MJPG'), 5, (32, 24))
    for seed in range(3):
        writer.write(np.random.default_rng(seed).integers(0, 255, (24, 32, 3), np.uint8))
    writer.release()
    place = ['--data', str(tmp_path / 'v.avi'), '--out', str(tmp_path / 'out')]
    main([*day, *place, '--direction', 'ba'])
    made = cv2.VideoCapture(str(tmp_path / 'out/v.mp4'))
    assert made.get(cv2.CAP_PROP_FRAME_COUNT) == 3
    other = saved(tmp_path / 'judge', CYCLE, 'discriminator_a')
    with pytest.raises(InputError, match='is of another model than the config'):
        main([*other, *place])


@pytest.mark.parametrize(
    ('more', 'message'),
    [
        (['--check', 'c.py', 'c.pth'], '--check compares the objects of --ann'),
        (['--ann', 'nowhere.json'], 'not found'),
    ],
)
def test_wrong_options(
    day: tuple[str, str], photos: Path, tmp_path: Path, more: list[str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        main([*day, '--data', str(photos), '--out', str(tmp_path / 'o'), *more])


def test_maps_are_no_photos(tmp_path: Path, photos: Path) -> None:
    maps = saved(tmp_path / 'maps', PAIRED)
    with pytest.raises(InputError, match='expected a translator of pictures'):
        main([*maps, '--data', str(photos), '--out', str(tmp_path / 'o')])


def test_what_vanished_is_left_out(photos: Path, tmp_path: Path) -> None:
    night = tmp_path / 'night'
    night.mkdir()
    cv2.imwrite(str(night / 'a.png'), np.zeros((20, 20, 3), np.uint8))
    boxes = {1: [1, 1, 6, 6], 2: [10, 10, 8, 8], 3: [2, 12, 4, 4], 4: [0, 0, 20, 20]}
    annotations = {
        'images': [{'id': 5, 'file_name': 'a.png'}, {'id': 6, 'file_name': 'gone.png'}],
        'categories': [{'id': 3, 'name': 'ball'}, {'id': 9, 'name': 'unknown'}],
        'annotations': [
            {'id': n, 'image_id': 5, 'category_id': 3, 'bbox': box, 'iscrowd': int(n == 4)}
            for n, box in boxes.items()
        ],
    }

    def detect(image: np.ndarray) -> Found:
        """By day balls 1 and 2; at night ball 2, and one where nothing is."""
        seen = (
            [[10, 10, 18, 18], [0, 14, 3, 20]]
            if not image.any()
            else [[1, 1, 7, 7], [10, 10, 18, 18]]
        )
        return Found(np.array(seen, float), np.array([1, 1]))

    kept, safety = checked_annotations(annotations, ('crate', 'ball'), (photos, night), detect)
    assert [a['id'] for a in kept['annotations']] == [2, 3, 4]  # 3 was never found: nobody knows
    counts = safety.classes[1]
    assert (counts.objects, counts.found_before, counts.vanished) == (3, 2, 1)
    assert (counts.false_before, counts.false_after) == (0, 1)
    assert safety.table(('crate', 'ball'))[1:] == [('ball', '3', '2', '1 (50%)', '0.00', '1.00')]
    with pytest.raises(InputError, match='have no class in common'):
        checked_annotations(annotations, ('tree',), (photos, night), detect)


def test_safety_of_nothing() -> None:
    none = Found(np.zeros((0, 4)), np.zeros(0, int))
    safety = LabelSafety(2)
    assert safety.add(np.zeros((0, 4)), np.zeros(0, int), none, none).shape == (0,)
    assert len(safety.table(('a', 'b'))) == 1
    assert ious(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 3, 2]]))[0, 0] == pytest.approx(
        1 / 3
    )


MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]


@pytest.mark.parametrize('bgr', [False, True])
def test_a_batch_of_a_detector(day: tuple[str, str], bgr: bool) -> None:
    config = dict(
        type='DetDataPreprocessor',
        mean=MEAN[::-1] if bgr else MEAN,
        std=STD[::-1] if bgr else STD,
        bgr_to_rgb=not bgr,
        pad_size_divisor=32,
    )
    augment = dict(
        type='mmext.TranslateBatch', config=day[0], checkpoint=day[1], prob=1.0, bgr=bgr,
        mean=config['mean'], std=config['std'],
    )  # fmt: skip
    plain = MODELS.build(config)
    changed = MODELS.build(dict(config, batch_augments=[augment]))
    assert not [*changed.parameters()]
    assert changed.state_dict().keys() == plain.state_dict().keys()

    def prepared(preprocessor: Any, training: bool) -> torch.Tensor:
        samples = [DetDataSample(metainfo=dict(img_shape=(20, 20))) for _ in range(2)]
        inputs = [picture(1, 20), picture(2, 20)]
        data = preprocessor(dict(inputs=inputs, data_samples=samples), training)
        return data['inputs']

    before, after = prepared(plain, True), prepared(changed, True)
    assert torch.equal(prepared(changed, False), before)  # a test sees pictures as they are
    assert torch.equal(after[:, :, 20:], before[:, :, 20:])  # padding
    translator = MODELS.build(CYCLE)
    translator.load_state_dict(torch.load(day[1])['state_dict'])
    expected = (translator.eval().translate(to_signed(picture(1, 20))[None])[0] + 1) * 127.5
    levels = after[0, :, :20, :20] * torch.tensor(config['std'])[:, None, None]
    levels += torch.tensor(config['mean'])[:, None, None]
    torch.testing.assert_close(levels.flip(0) if bgr else levels, expected, atol=0.01, rtol=0)


def test_shares_and_mistakes_of_a_batch(day: tuple[str, str], tmp_path: Path) -> None:
    options = dict(
        type='mmext.TranslateBatch', config=day[0], checkpoint=day[1], mean=MEAN, std=STD
    )
    torch.manual_seed(0)
    half = MODELS.build(dict(options, prob=0.5))
    inputs = torch.randn(40, 3, 4, 4)
    after, samples = half(inputs, None)
    assert samples is None
    assert 10 < int((after != inputs).flatten(1).any(1).sum()) < 30
    never = MODELS.build(dict(options, prob=0.0))
    assert never(inputs, None)[0] is inputs
    with pytest.raises(InputError, match=r'prob: expected 0 to 1, got 2'):
        MODELS.build(dict(options, prob=2))
    with pytest.raises(MissingFileError, match='train the model first'):
        MODELS.build(dict(options, checkpoint='nowhere.pth'))
    maps = saved(tmp_path / 'maps', PAIRED)
    with pytest.raises(InputError, match='expected a translator of pictures'):
        MODELS.build(dict(options, config=maps[0], checkpoint=maps[1]))


def test_a_judge_without_metrics_or_picture() -> None:
    with pytest.raises(InputError, match='metrics is empty'):
        METRICS.build(dict(type='mmext.DetectorJudge', config='c', checkpoint='x', metrics=[]))


def test_panels_of_translations() -> None:
    classes = Classes(['a', 'b', 'c'], [(10, 20, 30), (40, 50, 60), (70, 80, 90)])
    maps = DetDataSample(metainfo=dict(img_path='one.png'))
    maps.translated, maps.target = picture(1), picture(2)
    back = DetDataSample(metainfo=dict(img_path='two.png'))
    back.translated, back.returned, back.target = picture(3), picture(4), picture(5)
    collector = PanelCollector(2, 2, 2)
    panels = collector.collect(0, {'inputs': [label_map(0), picture(0)]}, [maps, back])
    assert [panel.name for panel in panels] == ['one', 'two']
    for panel in panels:
        assert len([*panel.records('val', 3, classes)]) == 3
        assert panel.drawn is not None and panel.drawn.shape[1] > 2.9 * panel.drawn.shape[0] * 0.8
    painted = painted_map(
        np.array([[[0, 2], [255, 1]], [[0, 0], [0, 1]]], np.uint8), classes.palette
    )
    assert painted.tolist() == [[[10, 20, 30], [70, 80, 90]], [[90, 90, 90], [255, 255, 255]]]
    assert len(classes.names) == CLASSES
