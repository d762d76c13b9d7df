"""The converter on a checkpoint in the released form, made here from a model of ours."""

import pytest
import torch

from mmext.vpsnet.checkpoint_keys import convert

torch.set_num_threads(1)
THINGS, STUFF = 5, 5


@pytest.fixture
def model(vpsnet_config, build_model):
    # the released head: three layers with GroupNorm, residual flow of three
    vpsnet_config.semantic_head.num_layers = 3
    vpsnet_config.fuse_neck.residual_flow.hidden_channels = (6, 6, 4)
    vpsnet_config.roi_head.bbox_head = dict(
        type='Shared2FCBBoxHead', in_channels=8, fc_out_channels=16, roi_feat_size=7
    )
    return build_model(vpsnet_config)


def as_released(state):
    """Names and orders of the released files, written the other way round."""
    released = {'module.extra_neck.flownet2.conv1.weight': torch.zeros(1)}
    names = {
        'fuse_neck.attention.embed_frame': 'extra_neck.tcea_fusion.tAtt_1',
        'fuse_neck.attention.embed_target': 'extra_neck.tcea_fusion.tAtt_2',
        'fuse_neck.attention.fuse.conv': 'extra_neck.tcea_fusion.fea_fusion',
        'fuse_neck.attention.attend.conv': 'extra_neck.tcea_fusion.sAtt_1',
        'fuse_neck.attention.attend_pooled.conv': 'extra_neck.tcea_fusion.sAtt_2',
        'fuse_neck.attention.attend_coarse.conv': 'extra_neck.tcea_fusion.sAtt_3',
        'fuse_neck.attention.attend_fine': 'extra_neck.tcea_fusion.sAtt_5',
        'fuse_neck.attention.shift.0.conv': 'extra_neck.tcea_fusion.sAtt_add_1',
        'fuse_neck.attention.shift.1': 'extra_neck.tcea_fusion.sAtt_add_2',
        'fuse_neck.residual_flow.hidden.0.conv': 'extra_neck.liteflownet.conv1.0',
        'fuse_neck.residual_flow.hidden.1.conv': 'extra_neck.liteflownet.conv2.0',
        'fuse_neck.residual_flow.hidden.2.conv': 'extra_neck.liteflownet.conv3.0',
        'fuse_neck.residual_flow.conv_flow': 'extra_neck.liteflownet.predict_flow',
        'fuse_neck.refine.conv': 'extra_neck.refine.conv',
        'semantic_head.subnet.0.conv': 'panopticFPN.deform_convs.0.0.conv',
        'semantic_head.subnet.1.conv': 'panopticFPN.deform_convs.0.3.conv',
        'semantic_head.subnet.2.conv': 'panopticFPN.deform_convs.0.6.conv',
        'semantic_head.subnet.0.conv.conv_offset': 'panopticFPN.deform_convs.0.0.conv_offset',
        'semantic_head.subnet.1.conv.conv_offset': 'panopticFPN.deform_convs.0.3.conv_offset',
        'semantic_head.subnet.2.conv.conv_offset': 'panopticFPN.deform_convs.0.6.conv_offset',
        'semantic_head.subnet.0.gn': 'panopticFPN.deform_convs.0.1',
        'semantic_head.subnet.1.gn': 'panopticFPN.deform_convs.0.4',
        'semantic_head.subnet.2.gn': 'panopticFPN.deform_convs.0.7',
        'semantic_head.conv_logits': 'panopticFPN.conv_pred.conv',
    }
    for key, value in state.items():
        module, _, kind = key.rpartition('.')
        if module.endswith('fc_cls'):  # background from last to first
            value = torch.stack([value[-1], *value[:-1]])
        elif module.endswith('fc_reg'):
            value = torch.cat([torch.full_like(value[:4], 9.0), value])
        elif module == 'roi_head.mask_head.conv_logits':
            value = torch.cat([torch.full_like(value[:1], 9.0), value])
        elif module == 'semantic_head.conv_logits':
            value = torch.cat([value[THINGS:], value[:THINGS]])
        module = names.get(module, module.removeprefix('roi_head.'))
        released[f'module.{module}.{kind}'] = value
    return released


def test_every_key_comes_back_as_it_was(model):
    state = model.state_dict()
    source = as_released(state)
    before = {key: value.clone() for key, value in source.items()}
    converted = convert(source)
    assert converted.state.keys() == state.keys()
    assert all(torch.equal(converted.state[key], state[key]) for key in state)
    assert list(converted.dropped) == ['module.extra_neck.flownet2.conv1.weight']
    assert all(torch.equal(source[key], before[key]) for key in before)


def test_parts_that_a_model_lacks_are_not_missed(vpsnet_config, build_model):
    vpsnet_config.update(fuse_neck=None)
    vpsnet_config.semantic_head.num_layers = 3
    state = build_model(vpsnet_config).state_dict()
    assert convert(as_released(state)).state.keys() == state.keys()


def test_strangers_and_gaps_are_named(model):
    source = as_released(model.state_dict())
    with pytest.raises(ValueError, match='whatever'):
        convert(source | {'module.whatever.weight': torch.zeros(1)})
    del source['module.panopticFPN.conv_pred.conv.bias']
    with pytest.raises(ValueError, match=r'semantic_head\.conv_logits\.bias'):
        convert(source)
