"""Running statistics that survive an overflow."""

import torch
from torch import nn

from mmext.hooks.mixed_precision.batch_norm import BatchNormSnapshot


def test_restores_what_a_forward_pass_changed() -> None:
    model = nn.Sequential(nn.BatchNorm2d(2), nn.SyncBatchNorm(2), nn.BatchNorm2d(2).eval())
    model[0](torch.rand(4, 2, 3, 3))
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    snapshot = BatchNormSnapshot(model)
    model[0](torch.full((4, 2, 3, 3), float('inf')))
    assert model[0].running_mean.isinf().all()
    snapshot.restore()
    assert all(torch.equal(buffer, before[name]) for name, buffer in model.named_buffers())
    assert int(model[0].num_batches_tracked) == 1


def test_layers_without_statistics() -> None:
    for model in (nn.Sequential(nn.BatchNorm2d(2, track_running_stats=False)), nn.Linear(1, 1)):
        before = {name: value.clone() for name, value in model.state_dict().items()}
        BatchNormSnapshot(model).restore()
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
