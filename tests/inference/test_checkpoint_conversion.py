"""Converted files: complete, or one line that says what does not fit."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmext.errors import InputError
from mmext.formats.array_pickles import read_arrays
from mmext.inference.checkpoint_conversion import convert_checkpoint

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs/_base_/models/retinaface_mobilenet025.py'


@pytest.fixture(scope='module')
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier file in the layout that the small backbone starts from."""
    from mmext.retinaface.mobilenet_v1 import MobileNetV1

    source = {}
    for key, value in MobileNetV1().state_dict().items():
        stage, block, part = ('0', '-1', key.split('.', 1)[1]), None, None
        if key.startswith('stages.'):
            _, number, block, part = key.split('.', 3)
            names = {
                'depthwise_conv.conv': '0',
                'depthwise_conv.bn': '1',
                'pointwise_conv.conv': '3',
                'pointwise_conv.bn': '4',
            }
            layer, field = part.rsplit('.', 1)
            first = int(block) + (number == '0')
            name = f'stage{int(number) + 1}.{first}.{names[layer]}.{field}'
        else:
            layer, field = stage[2].rsplit('.', 1)
            name = f'stage1.0.{dict(conv=0, bn=1)[layer]}.{field}'
        source[f'module.{name}'] = value
    source['module.fc.bias'] = torch.zeros(1000)
    path = tmp_path_factory.mktemp('weights') / 'classifier.pth.tar'
    torch.save({'state_dict': source, 'epoch': 3}, path)
    return path


def test_report_and_file(classifier: Path, tmp_path: Path) -> None:
    out = tmp_path / 'new' / 'backbone.pth'
    config = Config.fromfile(CONFIG)
    report = convert_checkpoint('retinaface-backbone', str(classifier), config, out)
    assert (report.num_source_keys, report.num_used) == (163, 162)
    assert report.dropped == {'module.fc.bias': 'the ImageNet classifier'}
    assert report.lines()[-1] == '  left:    0 keys'
    config.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=str(out))
    from mmext.registry import MODELS

    model = MODELS.build(config.model)
    model.init_weights()
    written = torch.load(out)['state_dict']['stages.2.1.pointwise_conv.conv.weight']
    assert torch.equal(model.backbone.stages[2][1].pointwise_conv.conv.weight, written)


def test_refuses_a_checkpoint_of_another_network(classifier: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'is not of retinaface .*163 of 163 keys are unknown'):
        convert_checkpoint(
            'retinaface', str(classifier), Config.fromfile(CONFIG), tmp_path / 'out.pth'
        )
    assert not (tmp_path / 'out.pth').exists()


def test_refuses_a_config_of_another_network(classifier: Path, tmp_path: Path) -> None:
    config = Config.fromfile(CONFIG)
    config.model.backbone.widen_factor = 0.5
    with pytest.raises(InputError, match=r'keys have another shape \(stem.conv.weight \[8'):
        convert_checkpoint('retinaface-backbone', str(classifier), config, tmp_path / 'out.pth')


def test_numpy_arrays_are_weights_and_the_rest_is_accounted_for(
    classifier: Path, tmp_path: Path
) -> None:
    """The weights lie beside an optimizer's, under a name that others use."""
    weights = torch.load(classifier)['state_dict']
    arrays = {key: value.numpy() for key, value in weights.items()}
    entries = {'model': {**arrays, 'iteration': 7}, 'optimizer': {'state': torch.zeros(3)}}
    torch.save(entries, tmp_path / 'arrays.pkl')
    out = tmp_path / 'backbone.pth'
    report = convert_checkpoint(
        'retinaface-backbone', str(tmp_path / 'arrays.pkl'), Config.fromfile(CONFIG), out
    )
    assert (report.num_source_keys, report.num_used) == (164, 162)
    assert report.dropped['iteration'] == 'not a tensor but of type int'
    assert report.lines()[-1] == '  left:    0 keys'
    key = 'stages.2.1.pointwise_conv.conv.weight'
    written = torch.load(out)['state_dict'][key]
    assert torch.equal(written, weights['module.stage3.1.3.weight'])


def test_without_counters_of_batches_as_old_files_are(classifier: Path, tmp_path: Path) -> None:
    weights = torch.load(classifier)['state_dict']
    old = {key: value for key, value in weights.items() if 'num_batches' not in key}
    torch.save(old, tmp_path / 'old.pth')
    report = convert_checkpoint(
        'retinaface-backbone',
        str(tmp_path / 'old.pth'),
        Config.fromfile(CONFIG),
        tmp_path / 'out.pth',
    )
    assert report.num_used == len(old) - 1 == 135


@pytest.mark.parametrize('protocol', [2, 4, 5])
def test_pickles_of_arrays_as_detectron2_publishes_them(
    protocol: int, classifier: Path, tmp_path: Path
) -> None:
    weights = torch.load(classifier)['state_dict']
    arrays = {key: value.numpy() for key, value in weights.items()}
    content = {'model': arrays, '__author__': 'somebody', 'matching_heuristics': True}
    published = tmp_path / 'model_final.pkl'
    published.write_bytes(pickle.dumps(content, protocol))
    config, outs = Config.fromfile(CONFIG), (tmp_path / 'a.pth', tmp_path / 'b.pth')
    convert_checkpoint('retinaface-backbone', str(classifier), config, outs[0])
    report = convert_checkpoint('retinaface-backbone', str(published), config, outs[1])
    assert (report.num_source_keys, report.num_used) == (163, 162)
    expected, found = (torch.load(out)['state_dict'] for out in outs)
    assert expected.keys() == found.keys()
    assert all(torch.equal(value, found[key]) for key, value in expected.items())


def test_a_pickle_that_would_run_code(tmp_path: Path) -> None:
    file = tmp_path / 'model.pkl'
    file.write_bytes(pickle.dumps({'model': {'a': np.zeros(1), 'b': Path('run')}}))
    with pytest.raises(InputError, match=r'model\.pkl: .*Path is no array'):
        read_arrays(file)
    with pytest.raises(InputError, match=r'model\.pkl cannot be loaded'):
        convert_checkpoint('densepose', str(file), Config(), tmp_path / 'out.pth')
    assert not (tmp_path / 'out.pth').exists()
