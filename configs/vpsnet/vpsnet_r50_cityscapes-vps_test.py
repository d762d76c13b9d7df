"""The headline model on Cityscapes-VPS's test split, which has no labels: writes a submission.

`python tools/prepare_data.py cityscapes-vps --splits test` lists its frames; then
`python tools/test.py configs/vpsnet/vpsnet_r50_cityscapes-vps_test.py vpsnet.pth` runs on all 30
frames of each video and writes the 6 that are judged: `pred.json` and `pan_pred/`.
"""

_base_ = '../vpsnet.py'

test_dataloader = dict(
    dataset=dict(
        ann_file='annotations/panoptic_test.json',
        data_prefix=dict(img='test/img_all/', seg=''),
    )
)
test_evaluator = dict(
    format_only=True, classwise=False, outfile_prefix='work_dirs/cityscapes-vps_test'
)
