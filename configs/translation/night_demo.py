"""A small UPSNet for the night, learned from labelled day pictures and unlabelled night ones.

Every second training picture takes on the look of a random night picture of other scenes. It is
validated by night (`val`) and tested by day (`test`). The data, generated:

python -m mmext.demo panoptic --out data/demo_nights/day
python -m mmext.demo panoptic --out data/demo_nights/night --light night --seed 1
"""

_base_ = '../upsnet_demo.py'

data_root = 'data/demo_nights/'
day, night = data_root + 'day/', data_root + 'night/'
train_pipeline = _base_.train_pipeline
train_pipeline.insert(
    2,
    dict(
        type='mmext.MatchAppearance',
        reference=night + 'train2017/',
        method='histogram',
        prob=0.5,
    ),
)
train_dataloader = dict(dataset=dict(data_root=day, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root=night))
test_dataloader = dict(dataset=dict(data_root=day))
val_evaluator = _base_.val_evaluator
test_evaluator = _base_.test_evaluator
val_evaluator[1].ann_file = night + 'annotations/instances_val2017.json'
test_evaluator[1].ann_file = day + 'annotations/instances_val2017.json'
