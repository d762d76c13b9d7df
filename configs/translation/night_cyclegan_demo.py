"""The small UPSNet of the night, learned from day pictures that a CycleGAN has made dark.

Train `cyclegan_demo.py` first, or name its weights. As a row beside the transforms that need no
training: `tools/benchmark.py night --more cyclegan=configs/translation/night_cyclegan_demo.py`.
"""

_base_ = './night_demo.py'

detector = _base_.model.data_preprocessor
model = dict(
    data_preprocessor=dict(
        batch_augments=[
            dict(
                type='mmext.TranslateBatch',
                config='mmext::cyclegan_demo.py',
                checkpoint='work_dirs/cyclegan_demo/iter_800.pth',
                mean=detector.mean,
                std=detector.std,
                prob=0.5,
            )
        ]
    )
)
train_pipeline = _base_.train_pipeline
train_pipeline.pop(2)  # no picture is matched besides
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
