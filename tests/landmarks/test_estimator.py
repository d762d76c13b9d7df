"""Crops of many images through one network, whatever their boxes come from."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from mmengine.runner.checkpoint import get_state_dict
from mmengine.structures import InstanceData
from small_estimator import DETECTOR, PAIRS, POINTS, SIZE, boxes, build, images, sample

from mmext.functional.crops import crops_around, from_crops
from mmext.functional.keypoints import flip_permutation
from mmext.landmarks.transforms import sample_crops
from mmext.registry import MODELS

CONFIGS = Path(__file__).parents[2] / 'configs'


def predict(model: Any, pictures: torch.Tensor, *samples: Any, **kwargs: Any) -> list[Any]:
    with torch.no_grad():
        return [s.pred_instances for s in model.predict(pictures, list(samples), **kwargs)]


def test_points_are_those_of_the_crops_one_by_one() -> None:
    model, pictures = build(), images(2)
    given = [boxes(1, 3), boxes(2, 2)]
    found = predict(model, pictures, *map(sample, given))
    assert [len(f) for f in found] == [3, 2]
    permutation = torch.from_numpy(flip_permutation(POINTS, PAIRS))
    for number, (objects, image_boxes) in enumerate(zip(found, given, strict=True)):
        torch.testing.assert_close(objects.bboxes, image_boxes)
        assert objects.scores.tolist() == [1] * len(objects)
        assert objects.keypoint_scores.shape == (len(objects), POINTS)
        for index in range(len(objects)):
            box = image_boxes[index : index + 1]
            crop = crops_around(box, torch.tensor([number]), 1.25, SIZE[0] / SIZE[1])
            with torch.no_grad():
                pixels = sample_crops(pictures, crop, SIZE)
                views = model.extract_feat(pixels), model.extract_feat(pixels.flip(3))
                points, _ = model.head.predict(*views, permutation)
            expected = from_crops(points - 0.5, crop)[0]
            torch.testing.assert_close(objects.keypoints[index], expected, atol=1e-3, rtol=0)


def test_the_mirror_image_has_the_mirrored_points() -> None:
    model, pictures, given = build(), images(1), boxes(3, 4)
    flipped = given.clone()
    flipped[:, [0, 2]] = 96 - given[:, [2, 0]]
    (found,) = predict(model, pictures, sample(given))
    (mirrored,) = predict(model, pictures.flip(3), sample(flipped))
    expected = found.keypoints[:, flip_permutation(POINTS, PAIRS)]
    expected[..., 0] = 96 - expected[..., 0]
    torch.testing.assert_close(mirrored.keypoints, expected, atol=2e-3, rtol=0)


def test_boxes_are_in_pixels_of_the_file_and_so_are_the_points() -> None:
    model, pictures, given = build(), images(1), boxes(4, 2)
    (plain,) = predict(model, pictures, sample(given))
    (scaled,) = predict(model, pictures, sample(given / 2, factor=2.0))
    torch.testing.assert_close(scaled.bboxes, given / 2)
    torch.testing.assert_close(scaled.keypoints, plain.keypoints / 2, atol=1e-3, rtol=0)
    (unscaled,) = predict(model, pictures, sample(given / 2, factor=2.0), rescale=False)
    torch.testing.assert_close(unscaled.keypoints, plain.keypoints, atol=1e-3, rtol=0)


def test_without_boxes_the_whole_image_is_the_object() -> None:
    model, pictures = build(), images(2)
    found = predict(model, pictures, sample(None, (96, 80)), sample(boxes(1, 0)))
    assert found[0].bboxes.tolist() == [[0, 0, 80, 96]]
    assert found[0].keypoints.shape == (1, POINTS, 2)
    assert len(found[1]) == 0
    assert found[1].keypoints.shape == (0, POINTS, 2)
    only = build(test_cfg=dict(boxes='image'))
    assert predict(only, pictures[:1], sample(boxes(1, 3)))[0].bboxes.tolist() == [[0, 0, 96, 96]]
    strict = build(test_cfg=dict(boxes='data'))
    with pytest.raises(ValueError, match='no boxes in the data'):
        predict(strict, pictures[:1], sample(None))


def test_chunks_change_nothing() -> None:
    pictures, given = images(1), boxes(5, 5)
    (whole,) = predict(build(), pictures, sample(given))
    (parts,) = predict(build(test_cfg=dict(max_crops=2)), pictures, sample(given))
    torch.testing.assert_close(parts.keypoints, whole.keypoints, atol=1e-3, rtol=0)


def test_objects_are_scored_by_their_points_if_asked_to() -> None:
    pictures, given = images(1), boxes(5, 3)
    (plain,) = predict(build(), pictures, sample(given))
    assert plain.scores.tolist() == [1, 1, 1]
    for asked, chosen in (('all', [0, 1, 2, 3, 4]), ((1, 3), [1, 3]), (2, [2])):
        model = build(test_cfg=dict(score_points=asked))
        (scored,) = predict(model, pictures, sample(given))
        torch.testing.assert_close(scored.scores, plain.keypoint_scores[:, chosen].mean(1))
        assert len(predict(model, pictures, sample(boxes(1, 0)))[0].scores) == 0


@pytest.fixture
def detector(tmp_path: Path) -> dict[str, Any]:
    """A detector and its weights, as arguments of the estimator."""
    init_default_scope('mmdet')
    torch.manual_seed(3)
    model = MODELS.build(ConfigDict(copy.deepcopy(DETECTOR)))
    torch.nn.init.normal_(model.bbox_head.retina_cls.weight)  # so that both classes occur
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'detector.pth')
    return dict(detector=DETECTOR, detector_checkpoint=str(tmp_path / 'detector.pth'))


def test_a_detector_finds_the_boxes(detector: dict[str, Any]) -> None:
    model = build(**detector, test_cfg=dict(score_thr=0.0, labels=[1], flip=False))
    pictures = images(2)
    pictures[1, :, :, 64:] = 0  # padding
    samples = [sample(boxes(1, 3)), sample(None, (96, 64))]
    found = predict(model, pictures, *samples)
    # the detector on its own, from the files' BGR
    inputs = [pictures[0].flip(0), pictures[1, :, :, :64].flip(0)]
    alone = [sample(None), sample(None, (96, 64))]
    with torch.no_grad():
        results = model.detector.test_step(dict(inputs=inputs, data_samples=alone))
    classes = torch.cat([result.pred_instances.labels for result in results])
    assert set(classes.tolist()) == {0, 1}
    for objects, result in zip(found, results, strict=True):
        expected: InstanceData = result.pred_instances
        expected = expected[expected.labels == 1]
        torch.testing.assert_close(objects.bboxes, expected.bboxes, atol=1e-3, rtol=1e-4)
        torch.testing.assert_close(objects.scores, expected.scores)
        assert objects.keypoints.shape == (len(expected), POINTS, 2)
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert trained
    assert not any(name.startswith('detector.') for name in trained)
    assert not model.train().detector.training
    given = build(**detector, test_cfg=dict(boxes='data'))
    assert len(predict(given, pictures[:1], sample(boxes(1, 3)))[0]) == 3


def test_a_detector_of_ours_finds_them_too(tmp_path: Path) -> None:
    config = Config.fromfile(CONFIGS / '_base_/models/retinaface_mobilenet025.py').model
    config.backbone.update(widen_factor=1 / 16, init_cfg=None)
    config.neck.update(in_channels=[16, 32, 64], out_channels=16)
    config.bbox_head.in_channels = 16
    config.test_cfg.update(score_thr=0.0, max_per_img=4)
    init_default_scope('mmdet')
    weights = MODELS.build(copy.deepcopy(config)).state_dict()
    torch.save(dict(state_dict=weights), tmp_path / 'faces.pth')
    model = build(
        detector=config,
        detector_checkpoint=str(tmp_path / 'faces.pth'),
        test_cfg=dict(score_thr=0.0),
    )
    found = predict(model, images(2), sample(None), sample(None, (96, 64)))
    assert [len(objects) for objects in found] == [4, 4]
    assert all(objects.keypoints.shape == (4, POINTS, 2) for objects in found)


def test_weights_of_an_estimator_that_was_trained_alone(detector: dict[str, Any]) -> None:
    alone, joined = build(), build(**detector)
    assert joined.state_dict().keys() == alone.state_dict().keys()
    assert get_state_dict(joined).keys() == alone.state_dict().keys()
    before = {key: value.clone() for key, value in joined.detector.state_dict().items()}
    with torch.no_grad():
        for value in alone.parameters():
            value.add_(1)
    joined.load_state_dict(alone.state_dict(), strict=True)
    assert all(
        torch.equal(value, joined.state_dict()[key]) for key, value in alone.state_dict().items()
    )
    after = joined.detector.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items())


def test_a_detector_without_its_weights(detector: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='detector_checkpoint: state the weights'):
        build(detector=DETECTOR)
    with pytest.raises(ValueError, match=r'nowhere\.pth'):
        build(detector=DETECTOR, detector_checkpoint=str(tmp_path / 'nowhere.pth'))
    other = copy.deepcopy(DETECTOR)
    other['neck']['out_channels'] = other['bbox_head']['in_channels'] = 4
    with pytest.raises(ValueError, match='size mismatch'):
        build(**{**detector, 'detector': other})


def training_sample(points: torch.Tensor, visible: float = 2.0) -> Any:
    made = sample(None, SIZE[::-1])
    made.gt_instances = InstanceData(
        keypoints=points, keypoints_visible=torch.full(points.shape[:2], visible)
    )
    return made


def test_losses_of_crops_reach_every_parameter() -> None:
    model = build().train()
    crops = torch.nn.functional.interpolate(images(2), SIZE[::-1])
    points = torch.rand(2, 1, POINTS, 2) * torch.tensor(SIZE)
    losses = model.loss(crops, [training_sample(p) for p in points])
    assert set(losses) == {'loss_point', 'loss_divergence', 'point_error'}
    (losses['loss_point'] + losses['loss_divergence']).backward()
    assert not [name for name, p in model.named_parameters() if p.grad is None]
    nothing = model.loss(crops, [training_sample(p, 0.0) for p in points])
    assert nothing['loss_point'].item() == 0


def test_whole_images_are_no_crops() -> None:
    model = build()
    with pytest.raises(ValueError, match=r'mmext\.CropInstance'):
        model.loss(images(1), [training_sample(torch.zeros(1, POINTS, 2))])
    crops = torch.zeros(1, 3, *SIZE[::-1])
    with pytest.raises(ValueError, match=r'expected \[1, 5, 2\], got \[1, 4, 2\]'):
        model.loss(crops, [training_sample(torch.zeros(1, 4, 2))])
    with pytest.raises(ValueError, match='got none'):
        model.loss(crops, [sample(boxes(1, 1))])


@pytest.mark.parametrize(
    ('changed', 'text'),
    [
        (dict(flip_pairs=None), 'flip_pairs: state which'),
        (dict(flip_pairs=[(0, 9)]), 'flip_pairs'),
        (dict(test_cfg=dict(boxes='proposals')), r'test_cfg\.boxes'),
        (dict(test_cfg=dict(boxes='detector')), 'has no detector'),
        (dict(test_cfg=dict(max_crops=0)), 'max_crops'),
        (dict(test_cfg=dict(score_points=(1, 5))), r'score_points: .* 0 to 4, got \(1, 5\)'),
        (
            dict(data_preprocessor=dict(type='DetDataPreprocessor', mean=[0, 0, 0], std=[1, 1, 1])),
            'leave mean and std out',
        ),
    ],
)
def test_bad_arguments(changed: dict, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        build(**changed)
