"""The second look at faces: what it learns from, and where its points go."""

import math
from collections.abc import Callable

import pytest
import torch
from mmdet.models.detectors import BaseDetector
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

from mmext.functional.crops import crops_around, to_crops
from mmext.retinaface.close_up import CloseUp

LOSSES = {
    *('loss_close_landmark', 'loss_close_attribute'),
    *('loss_close_mesh_vertex', 'loss_close_mesh_edge'),
}
SMALL = dict(size_px=16, widths=(8, 8), hidden_channels=16)


@pytest.fixture
def with_close_up(retinaface_config: ConfigDict, build_model: Callable) -> BaseDetector:
    """The small detector with a second look at all tasks."""
    head = retinaface_config.bbox_head
    retinaface_config.close_up = dict(
        type='mmext.CloseUp', attributes=head.attributes, mesh=head.mesh, **SMALL
    )
    return build_model(retinaface_config)


def images(count: int = 2) -> torch.Tensor:
    return 50 * torch.randn(count, 3, 96, 96, generator=torch.Generator().manual_seed(0))


def test_it_learns_beside_the_head(with_close_up: BaseDetector, face_sample: Callable) -> None:
    losses = with_close_up.loss(images(), [face_sample(3), face_sample(1, seed=1)])
    assert losses.keys() > LOSSES and 'loss_landmark' in losses
    sum(losses[name] for name in LOSSES).backward()
    for name, parameter in with_close_up.named_parameters():
        assert (parameter.grad is not None) == name.startswith('close_up.'), name


def test_the_second_pass_learns_from_upright_faces(face_sample: Callable) -> None:
    model = CloseUp(shift=0.0, scale=0.0, rotation=0.0, **SMALL)
    truth = face_sample(3).gt_instances
    points, visible = truth.keypoints, truth.keypoints_visible.clone()
    visible[2, 0] = 0  # an eye that is not annotated
    crops = crops_around(truth.bboxes.tensor, torch.zeros(3), 1.0)
    found = model._training_crops(crops, dict(keypoints=points, keypoints_visible=visible))
    first, second = found.split(3)
    assert torch.equal(first, crops) and torch.equal(second[2], crops[2])
    eyes = to_crops(points, second)[:2, :2]
    torch.testing.assert_close(eyes[:, 0, 1], eyes[:, 1, 1])
    assert (eyes[:, 0, 0] < eyes[:, 1, 0]).all()


def test_it_learns_a_batch(with_close_up: BaseDetector, face_sample: Callable) -> None:
    torch.manual_seed(0)
    model, samples = with_close_up.close_up, [face_sample(3).gt_instances]
    model.shift = model.scale = model.turn = 0.0  # the same crops in every step
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    first = None
    for _ in range(100):
        losses = model.loss(images(1), samples)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        first = first or losses
    assert losses['loss_close_landmark'] < 0.5 * first['loss_close_landmark']
    assert losses['loss_close_attribute'] < 0.5 * first['loss_close_attribute']
    assert losses['loss_close_mesh_vertex'] < 0.8 * first['loss_close_mesh_vertex']


def test_what_is_not_annotated_costs_nothing(
    with_close_up: BaseDetector, face_sample: Callable
) -> None:
    hidden = face_sample(
        2,
        keypoints_visible=torch.zeros(2, 5),
        keypoints=torch.full((2, 5, 2), math.nan),
        attributes=torch.full((2, 3), -1),
        mesh_valid=torch.zeros(2, dtype=torch.bool),
    )
    losses = with_close_up.close_up.loss(images(1), [hidden.gt_instances])
    assert all(loss == 0 for loss in losses.values())
    boxes = InstanceData(bboxes=torch.tensor([[10.0, 10, 40, 50]]))
    assert sum(with_close_up.close_up.loss(images(1), [boxes]).values()) == 0


@pytest.mark.parametrize('batch', [1, 2])
def test_images_without_faces(
    batch: int, with_close_up: BaseDetector, face_sample: Callable
) -> None:
    model = with_close_up.close_up
    losses = model.loss(images(batch), [face_sample(0).gt_instances] * batch)
    assert losses.keys() == LOSSES
    sum(losses.values()).backward()
    assert all((p.grad == 0).all() for p in model.parameters())
    nothing = [InstanceData(bboxes=torch.zeros(0, 4)) for _ in range(batch)]
    model.eval().refine(images(batch), nothing)
    assert nothing[-1].keypoints.shape == (0, 5, 2)
    assert nothing[-1].mesh.shape == (0, 6, 3)


def test_a_batch_is_its_images(with_close_up: BaseDetector, face_sample: Callable) -> None:
    model, boxes = with_close_up.close_up.eval(), [face_sample(n, seed=n) for n in (3, 0, 1)]
    together = [InstanceData(bboxes=b.gt_instances.bboxes.tensor) for b in boxes]
    alone = [InstanceData(bboxes=faces.bboxes.clone()) for faces in together]
    model.refine(images(3), together)
    for i, faces in enumerate(alone):
        model.refine(images(3)[i : i + 1], [faces])
        for name, values in faces.items():
            torch.testing.assert_close(together[i][name], values, rtol=1e-4, atol=1e-4)


def test_the_second_pass_is_upright() -> None:
    """A network that always answers the same: turned once more, and in pixels."""
    model = CloseUp(num_landmarks=2, **SMALL).eval()
    model.landmarks.weight.data.zero_()
    model.landmarks.bias.data = torch.tensor([-0.2, -0.1, 0.2, 0.1])
    faces = InstanceData(bboxes=torch.tensor([[20.0, 30, 60, 70]]))
    model.refine(images(1), [faces])
    left, right = faces.keypoints[0]
    torch.testing.assert_close((left + right) / 2, torch.tensor([40.0, 50.0]))
    assert (right - left).norm().item() == pytest.approx(50 * math.hypot(0.4, 0.2))
    angle = math.atan2(*(right - left).flip(0).tolist())
    assert angle == pytest.approx(2 * math.atan2(0.2, 0.4))


def test_predictions_are_replaced_in_pixels_of_the_original(
    with_close_up: BaseDetector, face_sample: Callable
) -> None:
    model = with_close_up.eval()
    model.test_cfg.score_thr = model.bbox_head.test_cfg.score_thr = 0.0
    model.test_cfg.max_per_img = model.bbox_head.test_cfg.max_per_img = 5
    sample = face_sample(0)
    with torch.no_grad():
        model.predict(images(1), [sample], rescale=False)
        small = sample.pred_instances
        sample.set_metainfo(dict(scale_factor=(0.5, 0.5)))
        model.predict(images(1), [sample], rescale=True)
        large = sample.pred_instances
        again = InstanceData(bboxes=small.bboxes)
        model.close_up.refine(images(1), [again])
    torch.testing.assert_close(large.keypoints, 2 * small.keypoints)
    torch.testing.assert_close(large.mesh, 2 * small.mesh)
    assert torch.equal(again.keypoints, small.keypoints)
    model.test_cfg.update(mesh=False, attributes=False)
    model.bbox_head.test_cfg.update(mesh=False, attributes=False)
    model.predict(images(1), [sample])
    assert {'mesh', 'attributes'}.isdisjoint(sample.pred_instances.keys())


def test_half_precision(with_close_up: BaseDetector, face_sample: Callable) -> None:
    model, sample = with_close_up.close_up, face_sample(2).gt_instances
    with torch.autocast('cpu', torch.bfloat16):
        losses = model.loss(images(1), [sample])
        found = InstanceData(bboxes=sample.bboxes.tensor)
        model.eval().refine(images(1), [found])
    assert all(loss.dtype == torch.float32 and loss.isfinite() for loss in losses.values())
    assert found.keypoints.dtype == found.mesh.dtype == torch.float32


def test_refuses_sizes_that_do_not_halve() -> None:
    with pytest.raises(ValueError, match='size_px: expected a multiple of 8, got 50'):
        CloseUp(size_px=50)
