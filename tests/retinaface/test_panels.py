"""MLflow's panels show boxes and landmarks of a RetinaFace's truth and predictions."""

from collections.abc import Callable

import numpy as np
import torch
from mmdet.models.detectors import BaseDetector

from mmext.drawing.panels import Classes, draw_panel
from mmext.hooks.mlflow_logging.content.panel_collector import predicted_scene, truth_scene


def test_truth_beside_prediction(retinaface: BaseDetector, face_sample: Callable) -> None:
    visible = torch.full((3, 5), 2.0)
    visible[1] = 0  # a face without landmarks
    sample = face_sample(3, keypoints_visible=visible)
    with torch.no_grad():
        (sample,) = retinaface.eval().predict(torch.randn(1, 3, 96, 96), [sample])
    truth = truth_scene(sample, (96, 96))
    found = predicted_scene(sample, (96, 96), score_thr=0.0)
    assert np.isfinite(truth.fields['keypoints']).all(axis=(1, 2)).tolist() == [True, False, True]
    assert found.fields['keypoints'].shape == (len(found.scores), 5, 2) and len(found.scores) > 5
    plain = np.full((96, 96, 3), 128, np.uint8)
    panel = draw_panel(plain, truth, found, Classes(['face']))
    assert len(np.unique(panel.reshape(-1, 3), axis=0)) > 10
