"""The comparison of losses of super resolution: a short one from end to end."""

from pathlib import Path

import pytest
import torch
from mmengine.registry import init_default_scope

from mmext.benchmark.super_resolution import (
    DETECTOR,
    Plan,
    measure_super_resolution,
    super_resolution_table,
)
from mmext.configuration import load_config
from mmext.errors import InputError
from mmext.registry import MODELS


def test_rows_from_end_to_end_and_not_twice(tmp_path: Path) -> None:
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = MODELS.build(load_config(DETECTOR).model)
    file = tmp_path / 'detector.pth'
    torch.save(dict(state_dict=model.state_dict()), file)
    plan = Plan(1, 1, 1, 'fp32', 3, str(file), tmp_path)
    said: list[str] = []
    rows = measure_super_resolution(plan, ['original', 'MAE + perceptual'], said.append)
    assert list(rows) == ['MAE + perceptual', 'original']  # in the order of the table
    assert {'psnr', 'ssim', 'gradient_energy', 'bbox_mAP_s'} <= rows['MAE + perceptual'].keys()
    assert rows['original']['ssim'] == pytest.approx(1)
    assert measure_super_resolution(plan, ['original'], said.append).keys() == rows.keys()
    assert len(said) == 2
    assert super_resolution_table(rows).splitlines()[3].startswith('| original |')
    with pytest.raises(InputError, match='choose another --out'):
        measure_super_resolution(plan._replace(steps=2))
    with pytest.raises(InputError, match="no row 'best'"):
        measure_super_resolution(plan, ['best'])
    with pytest.raises(InputError, match='--checkpoint: no file'):
        measure_super_resolution(plan._replace(checkpoint='none.pth', out=tmp_path / 'other'))
