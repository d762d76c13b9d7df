"""UPSNet, deformable ResNet-101, COCO: for the released weights.

`tools/convert_checkpoint.py upsnet SOURCE --config
configs/upsnet/upsnet_r101-dcn_coco_released.py --out OUT`. The weights are reported to reach PQ
46.6 (things 53.2, stuff 36.7) on test-dev.
"""

_base_ = ['./upsnet_r101-dcn_3x_coco.py', '../_base_/models/upsnet_released.py']

model = {{_base_.released}}
