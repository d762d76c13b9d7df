"""The head's losses and predictions: what reaches what, and against plain restatements."""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from mmdet.models.detectors import BaseDetector
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from mmext.functional.mining import mine
from mmext.retinaface.encoding import encode_boxes, encode_points
from mmext.retinaface.matching import match_priors
from mmext.retinaface.priors import to_corners

LOSSES = {
    *('loss_face', 'loss_bbox', 'loss_landmark'),
    *('loss_attribute', 'loss_mesh_vertex', 'loss_mesh_edge'),
}
SIZE = 96


@pytest.fixture
def levels() -> list[torch.Tensor]:
    """Pyramid levels of two images."""
    torch.manual_seed(1)
    return [torch.randn(2, 16, SIZE // s, SIZE // s, requires_grad=True) for s in (8, 16, 32)]


def assignment(head: torch.nn.Module, levels: list, samples: list[DetDataSample]) -> torch.Tensor:
    boxes = [sample.gt_instances.bboxes.tensor for sample in samples]
    return match_priors(to_corners(head.priors_of(levels)), boxes, [], head.rules.matching)


def test_losses_equal_a_plain_sum_over_priors(
    retinaface: BaseDetector, levels: list, face_sample: Callable
) -> None:
    head = retinaface.bbox_head
    visible = torch.full((3, 5), 2.0)
    visible[0] = 0
    visible[1, 2] = 0
    samples = [face_sample(3, keypoints_visible=visible), face_sample(1, seed=1)]
    losses = head.loss(levels, samples)
    assert set(losses) == LOSSES

    faces, boxes, landmarks = head(levels)
    priors, assigned = head.priors_of(levels), assignment(head, levels, samples)
    entropy = F.cross_entropy(faces.mT, (assigned >= 0).long(), reduction='none')
    mined = mine(entropy.detach(), assigned, head.rules.mining)
    sums = dict.fromkeys(('face', 'bbox', 'landmark'), 0.0)
    count = with_landmarks = 0
    entropy, boxes, landmarks = entropy.detach(), boxes.detach(), landmarks.detach()
    for i, sample in enumerate(samples):
        gt = sample.gt_instances
        for p, number in enumerate(assigned[i].tolist()):
            sums['face'] += float(entropy[i, p]) * bool(mined[i, p])
            if number < 0:
                continue
            count += 1
            target = encode_boxes(gt.bboxes.tensor[number], priors[p], head.rules.encoding)
            sums['bbox'] += float(F.smooth_l1_loss(boxes[i, p], target, reduction='sum'))
            target = encode_points(gt.keypoints[number], priors[p], head.rules.encoding)
            known = gt.keypoints_visible[number] > 0
            distance = F.smooth_l1_loss(landmarks[i, p], target, reduction='none')[known]
            sums['landmark'] += float(distance.sum())
            with_landmarks += bool(known.any())
    assert count > with_landmarks > 0
    assert losses['loss_face'].item() == pytest.approx(sums['face'] / count, rel=1e-4)
    assert losses['loss_bbox'].item() == pytest.approx(2 * sums['bbox'] / count, rel=1e-4)
    wanted = sums['landmark'] / with_landmarks
    assert losses['loss_landmark'].item() == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize('preset', ['paper', 'insightface', 'pytorch'])
def test_perfect_outputs_cost_nothing_and_come_back(
    preset: str, retinaface_config: dict, build_model: Callable, face_sample: Callable
) -> None:
    retinaface_config.bbox_head.update(preset=preset, mesh=None, attributes=None)
    head = build_model(retinaface_config).bbox_head
    strides = head.rules.priors.strides
    levels = [torch.zeros(1, 16, *[math.ceil(SIZE / s)] * 2) for s in strides]
    bigger = face_sample(2).gt_instances
    bigger.bboxes.tensor[:] = torch.tensor([[5.0, 8.0, 30.0, 36.0], [50.0, 40.0, 85.0, 78.0]])
    sample = face_sample(2, bboxes=bigger.bboxes)
    assigned, priors = assignment(head, levels, [sample])[0], head.priors_of(levels)
    own = sample.gt_instances[assigned.clamp(min=0)]
    assert (assigned >= 0).any()
    faces = torch.stack((-20.0 * (assigned >= 0), 20.0 * (assigned >= 0) - 10), dim=1)
    outputs = (
        faces[None],
        encode_boxes(own.bboxes.tensor, priors, head.rules.encoding)[None],
        encode_points(own.keypoints, priors, head.rules.encoding)[None],
    )
    losses = head.loss_by_feat(*outputs, levels, [sample.gt_instances], [], None)
    assert sum(losses.values()) < 1e-3
    (found,) = head.predict_by_feat(*outputs, levels, batch_img_metas=[{}])
    assert len(found) == 2 and found.scores.min() > 0.999
    order = found.bboxes[:, 0].argsort()
    torch.testing.assert_close(
        found.bboxes[order], sample.gt_instances.bboxes.tensor, rtol=0, atol=0.01
    )
    torch.testing.assert_close(
        found.keypoints[order], sample.gt_instances.keypoints, rtol=0, atol=0.01
    )


def test_a_batch_is_its_images(
    retinaface: BaseDetector, levels: list, face_sample: Callable
) -> None:
    retinaface.bbox_head.test_cfg.score_thr = 0.49
    samples = [face_sample(3), face_sample(1, seed=1)]
    batch = retinaface.bbox_head.predict(levels, samples)
    for i, sample in enumerate(samples):
        own = [level[i : i + 1] for level in levels]
        (alone,) = retinaface.bbox_head.predict(own, [sample])
        assert len(alone) > 10 and set(alone.keys()) == set(batch[i].keys())
        for name in alone.keys():  # noqa: SIM118 - not a dict
            torch.testing.assert_close(alone[name], batch[i][name])


@pytest.mark.parametrize('batch', [1, 2])
def test_half_precision_outputs_are_treated_in_full(
    batch: int, retinaface: BaseDetector, levels: list, face_sample: Callable
) -> None:
    """Under autocast alone, without our hook: of a second image without faces as well."""
    head, samples = retinaface.bbox_head, [face_sample(3), face_sample(0)][:batch]
    features = [level.detach()[:batch].requires_grad_() for level in levels]
    full = head.loss(features, samples)
    with torch.autocast('cpu', torch.bfloat16):
        half = head.loss(features, samples)
        outputs = head(features)
        found = head.predict(features, samples)
    assert outputs[0].dtype == torch.bfloat16
    for name, loss in half.items():
        assert loss.dtype == torch.float32
        assert loss.item() == pytest.approx(full[name].item(), rel=0.02)
    sum(half.values()).backward()
    assert all(level.grad.isfinite().all() for level in features)
    for name, values in found[0].items():
        assert values.dtype in (torch.float32, torch.int64), name


@pytest.mark.parametrize('task', ['attributes', 'mesh', 'keypoints'])
def test_gradients_go_where_annotations_are(
    task: str, retinaface: BaseDetector, levels: list, face_sample: Callable
) -> None:
    """Without annotations of a task its weights get zero gradients, which exist (for DDP)."""
    unknown = dict(
        attributes=torch.full((3, 3), -1),
        mesh_valid=torch.zeros(3, dtype=torch.bool),
        keypoints_visible=torch.zeros(3, 5),
    )
    name = {'mesh': 'mesh_valid', 'keypoints': 'keypoints_visible'}.get(task, task)
    samples = [face_sample(3, **{name: unknown[name]}), face_sample(0)]
    head = retinaface.bbox_head
    sum(head.loss(levels, samples).values()).backward()
    silent = {'attributes': 'attribute_', 'mesh': 'mesh_', 'keypoints': 'landmark_'}[task]
    reached: dict[str, bool] = {}  # by part of the head: not every level has a face
    for path, parameter in head.named_parameters():
        assert parameter.grad is not None, path
        part = path.removeprefix('details.').partition('.')[0]
        reached[part] = reached.get(part, False) or bool(parameter.grad.any())
    assert [part for part in reached if not reached[part]] == [
        part for part in reached if part.startswith(silent)
    ]
    assert len(reached) == 5


@pytest.mark.parametrize('min_negatives', [0, 20])
def test_images_without_faces(
    min_negatives: int,
    retinaface_config: dict,
    build_model: Callable,
    levels: list,
    face_sample: Callable,
) -> None:
    retinaface_config.bbox_head.rules = dict(mining=dict(min_negatives=min_negatives))
    head = build_model(retinaface_config).bbox_head
    losses = head.loss(levels, [face_sample(0), face_sample(0)])
    sum(losses.values()).backward()
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert bool(losses['loss_face'] > 0) is bool(min_negatives)
    assert all(parameter.grad is not None for parameter in head.parameters())


def test_boxes_alone_are_enough(
    retinaface: BaseDetector, levels: list, face_sample: Callable
) -> None:
    sample = face_sample(3)
    for name in ('keypoints', 'keypoints_visible', 'attributes', 'mesh', 'mesh_valid'):
        sample.gt_instances.pop(name)
    losses = retinaface.bbox_head.loss(levels, [sample, sample])
    assert losses['loss_bbox'] > 0
    assert not any(losses[name] for name in LOSSES - {'loss_face', 'loss_bbox'})


def test_ignored_faces_are_no_background(
    retinaface: BaseDetector, levels: list, face_sample: Callable
) -> None:
    head = retinaface.bbox_head
    samples = [face_sample(2), face_sample(2, seed=3)]
    before = head.loss(levels, samples)['loss_face']
    everywhere = to_corners(head.priors_of(levels))
    for sample in samples:
        sample.ignored_instances = InstanceData(
            bboxes=everywhere, labels=torch.zeros(len(everywhere), dtype=torch.long)
        )
    assert head.loss(levels, samples)['loss_face'] < before / 3


def test_switched_off_tasks_are_not_predicted(
    retinaface: BaseDetector, levels: list, face_sample: Callable
) -> None:
    head = retinaface.bbox_head
    head.test_cfg.update(mesh=False, attributes=False)
    calls = []
    for branch in (head.details.mesh_branch, head.details.attribute_branch):
        branch.register_forward_hook(lambda *_: calls.append(1))
    for faces in head.predict(levels, [face_sample(), face_sample()]):
        assert {'bboxes', 'scores', 'labels', 'keypoints'} == set(faces.keys())
    assert not calls


def test_predictions_in_pixels_of_the_original(
    retinaface: BaseDetector, levels: list, face_sample: Callable
) -> None:
    samples = [face_sample(), face_sample()]
    for sample in samples:
        sample.set_metainfo(dict(scale_factor=(2.0, 4.0)))
    here = retinaface.bbox_head.predict(levels, samples)[0]
    there = retinaface.bbox_head.predict(levels, samples, rescale=True)[0]
    torch.testing.assert_close(there.bboxes * torch.tensor([2, 4, 2, 4]), here.bboxes)
    torch.testing.assert_close(there.keypoints * torch.tensor([2, 4]), here.keypoints)
    torch.testing.assert_close(there.mesh * torch.tensor([2, 4, 8 / 3]), here.mesh)


def test_limits(retinaface: BaseDetector, levels: list, face_sample: Callable) -> None:
    head, samples = retinaface.bbox_head, [face_sample(), face_sample()]
    head.test_cfg.update(score_thr=0.0, nms_pre=40, max_per_img=7)
    assert [len(faces) for faces in head.predict(levels, samples)] == [7, 7]
    scores = head.predict(levels, samples)[0].scores
    assert torch.equal(scores, scores.sort(descending=True).values)
    head.test_cfg.score_thr = 0.9999
    assert [len(faces) for faces in head.predict(levels, samples)] == [0, 0]


@pytest.mark.parametrize(
    ('field', 'value', 'message'),
    [
        ('keypoints', torch.zeros(3, 4, 2), r'keypoints: expected \[5, 2\].*got \[4, 2\]'),
        ('attributes', torch.zeros(3, 2), r'attributes: expected \[3\].*got \[2\]'),
        ('mesh', torch.zeros(3, 6, 2), r'mesh: expected \[6, 3\].*got \[6, 2\]'),
    ],
)
def test_refuses_annotations_of_another_head(
    field: str,
    value: torch.Tensor,
    message: str,
    retinaface: BaseDetector,
    levels: list,
    face_sample: Callable,
) -> None:
    samples = [face_sample(3, **{field: value})] * 2
    with pytest.raises(ValueError, match=message):
        retinaface.bbox_head.loss(levels, samples)


def test_refuses_unknown_rules(retinaface_config: dict, build_model: Callable) -> None:
    retinaface_config.bbox_head.rules = dict(mining=dict(ratio=3))
    with pytest.raises(ValueError, match=r"mining: expected some of negatives_per.*got 'ratio'"):
        build_model(retinaface_config)
    retinaface_config.bbox_head.update(rules=None, mesh=dict(num_vertex=6))
    with pytest.raises(ValueError, match=r"mesh: expected some of num_vertices.*got 'num_vertex'"):
        build_model(retinaface_config)
    retinaface_config.bbox_head.update(preset='tina', mesh=None)
    with pytest.raises(ValueError, match=r"preset: expected one of paper, .*got 'tina'"):
        build_model(retinaface_config)
