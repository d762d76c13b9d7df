"""The panoptic head on host structures: frames of boxes and sizes of maps."""

import torch
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

from mmext.upsnet.panoptic_head import UPSNetPanopticHead, inclusive_boxes

torch.set_num_threads(1)


def test_instance_fills_exactly_its_box():
    # one thing, one stuff; the mask is full, so the instance is its box: host ends are exclusive
    head = UPSNetPanopticHead(1, 1, test_cfg=ConfigDict(mask_overlap=0.3, stuff_area_limit=0))
    segments = InstanceData(
        bboxes=torch.tensor([[4.0, 8.0, 16.0, 12.0]]),
        labels=torch.zeros(1, dtype=torch.long),
        scores=torch.ones(1),
    )
    semantic_logits = torch.tensor([2.0, 1.0]).view(1, 2, 1, 1).expand(1, 2, 6, 8)
    mask_logits = torch.full((1, 28, 28), 5.0)
    meta = dict(img_shape=(24, 32), ori_shape=(24, 32))
    ((panoptic, _),) = head.predict(semantic_logits, [mask_logits], [segments], [meta])
    expected = torch.full((24, 32), 1)
    expected[8:12, 4:16] = 1000
    inside = panoptic.sem_seg[0] == 1000
    assert torch.equal(inside, expected == 1000)


def test_ids_of_a_video_follow_the_kept_instances():
    # two boxes apart and a worse copy of the second, which is pruned
    head = UPSNetPanopticHead(1, 1, test_cfg=ConfigDict(mask_overlap=0.3, stuff_area_limit=0))
    segments = InstanceData(
        bboxes=torch.tensor(
            [[20.0, 8.0, 30.0, 12.0], [20.0, 8.0, 30.0, 12.0], [0.0, 0.0, 9.0, 9.0]]
        ),
        labels=torch.zeros(3, dtype=torch.long),
        scores=torch.tensor([0.7, 0.8, 0.9]),
        instances_ids=torch.tensor([5, 12, 3]),
    )
    semantic_logits = torch.tensor([2.0, 1.0]).view(1, 2, 1, 1).expand(1, 2, 6, 8)
    meta = dict(img_shape=(24, 32), ori_shape=(24, 32))
    ((panoptic, _),) = head.predict(
        semantic_logits, [torch.full((3, 28, 28), 5.0)], [segments], [meta]
    )
    ids = panoptic.sem_seg[0]
    assert (ids[10, 25], ids[4, 4]) == (12000, 3000)
    assert not (ids == 5000).any()


def test_a_head_without_unknown_channel_has_no_void():
    cfg = ConfigDict(mask_overlap=0.3, stuff_area_limit=0)
    none = InstanceData(
        bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long), scores=torch.zeros(0)
    )
    semantic_logits = torch.tensor([2.0, 1.0]).view(1, 2, 1, 1).expand(1, 2, 6, 8)  # a thing
    meta = dict(img_shape=(24, 32), ori_shape=(24, 32))
    for with_unknown, expected in ((True, 2), (False, 1)):
        head = UPSNetPanopticHead(1, 1, with_unknown=with_unknown, test_cfg=cfg)
        ((panoptic, _),) = head.predict(semantic_logits, [torch.zeros(0, 28, 28)], [none], [meta])
        assert panoptic.sem_seg.unique().tolist() == [expected]


def test_inclusive_boxes_keep_a_pixel():
    boxes = torch.tensor([[2.0, 3.0, 5.0, 9.0], [2.5, 3.0, 2.75, 3.5]])
    assert inclusive_boxes(boxes).tolist() == [[2.0, 3.0, 4.0, 8.0], [2.5, 3.0, 2.5, 3.0]]
    assert inclusive_boxes(torch.zeros(0, 4)).shape == (0, 4)
