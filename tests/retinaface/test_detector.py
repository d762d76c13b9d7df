"""The wired detector: training step, views, half precision."""

from collections.abc import Callable

import pytest
import torch
from mmdet.models.detectors import BaseDetector
from mmdet.structures import DetDataSample

from mmext.functional.boxes import pairwise_iou
from mmext.retinaface.views import views_of


def predict(model: BaseDetector, images: torch.Tensor, samples: list[DetDataSample]) -> list:
    with torch.no_grad():
        return [sample.pred_instances for sample in model.eval().predict(images, samples)]


def test_gradients_reach_every_weight(retinaface: BaseDetector, face_sample: Callable) -> None:
    losses = retinaface.loss(torch.randn(2, 3, 96, 96), [face_sample(3), face_sample(0)])
    total, _ = retinaface.parse_losses(losses)
    total.backward()
    assert torch.isfinite(total)
    assert not [path for path, p in retinaface.named_parameters() if p.grad is None]


def test_learns_one_batch(retinaface: BaseDetector, face_sample: Callable) -> None:
    torch.manual_seed(0)
    images, samples = torch.randn(2, 3, 96, 96), [face_sample(2), face_sample(1, seed=1)]
    optimizer = torch.optim.AdamW(retinaface.parameters(), lr=5e-3)
    totals = []
    for _ in range(40):
        total, _ = retinaface.parse_losses(retinaface.loss(images, samples))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
    assert totals[-1] < totals[0] / 2


def test_tensor_mode_gives_all_priors(retinaface: BaseDetector) -> None:
    faces, boxes, landmarks = retinaface.eval()(torch.randn(1, 3, 96, 75))
    priors = 2 * (12 * 10 + 6 * 5 + 3 * 3)
    assert faces.shape == (1, priors, 2) and boxes.shape == (1, priors, 4)
    assert landmarks.shape == (1, priors, 5, 2)


def test_one_view_of_the_same_size_changes_nothing(
    retinaface: BaseDetector, face_sample: Callable
) -> None:
    images = torch.randn(2, 3, 96, 96)
    (plain, _) = predict(retinaface, images, [face_sample(), face_sample()])
    retinaface.test_cfg.views = dict(short_edges_px=(None,))
    (view, _) = predict(retinaface, images, [face_sample(), face_sample()])
    assert len(plain) > 5
    for name in ('bboxes', 'scores', 'keypoints', 'mesh', 'attributes'):
        torch.testing.assert_close(view[name], plain[name])


def test_the_mirrored_view_of_a_mirror_image_is_the_mirrored_prediction(
    retinaface: BaseDetector, face_sample: Callable
) -> None:
    """With both views, predictions of an image and of its mirror image are mirror images."""
    retinaface.test_cfg.update(mesh=False, views=dict(short_edges_px=(None, 64), flip=True))
    image = torch.randn(1, 3, 96, 96)
    (faces,) = predict(retinaface, image, [face_sample()])
    (mirrored,) = predict(retinaface, image.flip(3), [face_sample()])
    x1, y1, x2, y2 = faces.bboxes.unbind(1)
    iou = pairwise_iou(torch.stack((96 - x2, y1, 96 - x1, y2), 1), mirrored.bboxes)
    best, number = iou.max(dim=1)
    assert len(faces) > 5 and best[0] > 0.999
    points = mirrored.keypoints[number[0], [1, 0, 2, 4, 3]] * torch.tensor([-1, 1])
    wanted = points + torch.tensor([96, 0])
    torch.testing.assert_close(faces.keypoints[0], wanted, rtol=1e-4, atol=1e-2)


def test_views_obey_the_limits() -> None:
    wanted = dict(short_edges_px=(None, 500, 1000), max_long_edge_px=800)
    views = list(views_of(torch.zeros(1, 3, 100, 200), wanted))
    assert [tuple(view.shape[2:]) for view, _ in views] == [(100, 200), (400, 800), (400, 800)]


def test_mirrored_views_of_meshes_need_their_pairs(
    retinaface_config: dict, build_model: Callable
) -> None:
    retinaface_config.test_cfg.views = dict(short_edges_px=(None,), flip=True)
    with pytest.raises(ValueError, match='mesh_flip_pairs: needed'):
        build_model(retinaface_config)
    retinaface_config.test_cfg.mesh = False
    build_model(retinaface_config)


def test_a_model_without_test_settings_can_be_trained(
    retinaface_config: dict, build_model: Callable, face_sample: Callable
) -> None:
    retinaface_config.pop('test_cfg')
    model = build_model(retinaface_config)
    losses = model.loss(torch.zeros(1, 3, 96, 96), [face_sample()])
    assert all(loss.isfinite() for loss in losses.values())


def test_voting_moves_boxes_but_keeps_scores(
    retinaface: BaseDetector, face_sample: Callable
) -> None:
    images = torch.randn(1, 3, 96, 96)
    (plain,) = predict(retinaface, images, [face_sample()])
    retinaface.test_cfg.vote = True
    retinaface.bbox_head.test_cfg.vote = True
    (voted,) = predict(retinaface, images, [face_sample()])
    torch.testing.assert_close(voted.scores, plain.scores)
    torch.testing.assert_close(voted.keypoints, plain.keypoints)
    assert not torch.allclose(voted.bboxes, plain.bboxes)
    assert pairwise_iou(voted.bboxes, plain.bboxes).diagonal().min() > 0.2
