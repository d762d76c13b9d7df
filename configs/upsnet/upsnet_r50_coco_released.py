"""UPSNet, ResNet-50, COCO: for the released weights, `upsnet_resnet_50_coco`.

`tools/convert_checkpoint.py upsnet SOURCE --config configs/upsnet/upsnet_r50_coco_released.py
--out OUT`. The weights are reported to reach PQ 42.5 (things 48.5, stuff 33.4) on val2017.
"""

_base_ = ['../upsnet.py', '../_base_/models/upsnet_released.py']

model = {{_base_.released}}
