"""The deployable network gives, for all priors, what the detector gives for its faces."""

from collections.abc import Callable

import pytest
import torch
from mmdet.models.detectors import BaseDetector

from mmext.retinaface.deployment import FaceNetwork

MEAN, STD = [104.0, 117.0, 123.0], [2.0, 3.0, 4.0]


@pytest.mark.parametrize('swap', [False, True])
def test_equals_the_detector(swap: bool, retinaface: BaseDetector, face_sample: Callable) -> None:
    retinaface.eval()
    image = torch.randint(0, 256, (1, 3, 96, 75)).float()
    normalised = (image.flip(1) if swap else image) - torch.tensor(MEAN).view(3, 1, 1)
    normalised /= torch.tensor(STD).view(3, 1, 1)
    with torch.no_grad():
        (sample,) = retinaface.predict(normalised, [face_sample()])
        boxes, scores, landmarks = FaceNetwork(retinaface, MEAN, STD, swap).eval()(image)
    faces = sample.pred_instances
    assert len(faces) > 10
    for face in faces[:10]:
        (same,) = (boxes[0] - face.bboxes).abs().amax(dim=1).less(1e-3).nonzero(as_tuple=True)
        assert len(same) == 1
        torch.testing.assert_close(scores[0, same], face.scores)
        torch.testing.assert_close(landmarks[0, same], face.keypoints)


def test_without_landmarks(retinaface_config: dict, build_model: Callable) -> None:
    retinaface_config.bbox_head.num_landmarks = 0
    network = FaceNetwork(build_model(retinaface_config), MEAN, STD, False).eval()
    with torch.no_grad():
        boxes, scores = network(torch.zeros(2, 3, 64, 64))
    assert boxes.shape == (2, 168, 4) and scores.shape == (2, 168)


def test_landmarks_can_be_switched_off(
    retinaface_config: dict, build_model: Callable, face_sample: Callable
) -> None:
    retinaface_config.bbox_head.num_landmarks = 0
    model = build_model(retinaface_config)
    losses = model.loss(torch.randn(1, 3, 96, 96), [face_sample()])
    assert 'loss_landmark' not in losses
    with torch.no_grad():
        (sample,) = model.eval().predict(torch.randn(1, 3, 96, 96), [face_sample()])
    assert 'keypoints' not in sample.pred_instances and 'mesh' in sample.pred_instances
