"""The detector: batches, flipped images, several scales, half precision, odd sizes."""

import copy
import math

import numpy as np
import pytest
import torch
from mmdet.datasets.transforms import RandomCenterCropPad
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from tiny_points import build_from, make_sample
from torch import nn

from mmext.centernet.point_detector import CenterNetMultiScale
from mmext.hooks.mixed_precision.optim_wrapper import PrecisionOptimWrapper
from mmext.hooks.mlflow_logging.content.panel_collector import predicted_scene, without_border

FILES = ['centernet.py', 'centernet/pose-dla34_140e_coco.py']


def predict(model: nn.Module, images: torch.Tensor, samples: list, **options: bool) -> list:
    with torch.no_grad():
        found = model.eval().predict(images, copy.deepcopy(samples), **options)
    return [sample.pred_instances for sample in found]


@pytest.mark.parametrize('file', FILES)
@pytest.mark.parametrize('flip', [False, True])
def test_a_batch_of_two_is_two_batches_of_one(file: str, flip: bool) -> None:
    model = build_from(file, flip=flip)
    images, samples = (
        torch.randn(2, 3, 96, 128),
        [make_sample(model, (96, 128), seed=i) for i in (0, 1)],
    )
    both = predict(model, images, samples)
    for i in range(2):
        (alone,) = predict(model, images[i : i + 1], samples[i : i + 1])
        assert set(both[i].keys()) == set(alone.keys())
        for key, values in alone.items():
            torch.testing.assert_close(both[i][key], values, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize('file', FILES)
def test_with_flip_a_flipped_image_has_flipped_detections(file: str) -> None:
    """But for the offsets, which come from the plain image alone: taken out here."""
    model = build_from(file, flip=True)
    for stack in model.bbox_head.stacks:
        for name in set(stack) & {'offset', 'joint_offset'}:
            nn.init.zeros_(stack[name][-1].weight)
            nn.init.constant_(stack[name][-1].bias, 0.5)
    model.bbox_head.test_cfg['match_joints'] = False
    images, sample = torch.randn(1, 3, 96, 128), make_sample(model, (96, 128))
    (found,) = predict(model, images, [sample])
    (mirrored,) = predict(model, images.flip(3), [sample])
    torch.testing.assert_close(found.scores, mirrored.scores, rtol=1e-4, atol=1e-6)
    found = found[found.scores > 0]  # the rest are no peaks
    boxes = mirrored.bboxes[:, [2, 1, 0, 3]] * torch.tensor([-1, 1, -1, 1])
    boxes += torch.tensor([128, 0, 128, 0])
    assert len(found) > 3
    distances = torch.cdist(found.bboxes, boxes, compute_mode='donot_use_mm_for_euclid_dist')
    assert distances.amin(1).max() < 0.05


def test_no_annotated_image_at_all() -> None:
    model = build_from('centernet.py')
    samples = [make_sample(model, objects=0, seed=i) for i in range(2)]
    losses = model.loss(torch.randn(2, 3, 128, 128), samples)
    total, _ = model.parse_losses(losses)
    total.backward()
    assert total.isfinite()
    missing = [name for name, p in model.named_parameters() if p.grad is None]
    assert not missing


@pytest.mark.parametrize('precision', ['bf16', 'fp16'])
@pytest.mark.parametrize('file', FILES)
def test_half_precision_trains_and_predicts_as_float32(file: str, precision: str) -> None:
    results = {}
    for kind in ('fp32', precision):
        model = build_from(file, flip=False).train()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()  # rounding would be amplified by the statistics of few cells
        wrapper = PrecisionOptimWrapper(
            torch.optim.SGD(model.parameters(), lr=1e-5), precision=kind, loss_scale=64.0
        )
        wrapper.attach(model)
        torch.manual_seed(1)
        images = torch.randn(2, 3, 64, 64)
        samples = [make_sample(model, (64, 64), seed=i) for i in range(2)]
        batch = dict(inputs=list((images * 50 + 110).byte()), data_samples=samples)
        logs = model.train_step(batch, wrapper)
        low = wrapper.guards is not None
        with torch.autocast('cpu', wrapper.choice.dtype if low else None, enabled=low):
            (found, _) = predict(model, images, samples)
        results[kind] = {name: value.item() for name, value in logs.items()}, found
        if wrapper.guards is not None:
            wrapper.guards.remove()
    expected, found = results['fp32'], results[precision]
    assert found[0] == pytest.approx(expected[0], rel=0.05)
    assert found[1].scores.dtype == torch.float32
    assert found[1].bboxes.isfinite().all()
    # rounding makes and unmakes maxima of an untrained net: compare as many as both have
    count = int(min((scores > 0).sum() for scores in (found[1].scores, expected[1].scores)))
    assert count > 3
    torch.testing.assert_close(
        found[1].scores[:count], expected[1].scores[:count], rtol=0.1, atol=0.02
    )


def softly_suppressed(rows: list[list[float]]) -> list[float]:
    """Scores after Gaussian soft-NMS within each class, as released: sides count one pixel more."""
    left, done = [list(row) for row in rows], []
    while left:
        best = max(left, key=lambda row: row[4])
        left.remove(best)
        done.append(best[4])
        for row in left:
            width = min(row[2], best[2]) - max(row[0], best[0]) + 1
            height = min(row[3], best[3]) - max(row[1], best[1]) + 1
            if row[5] != best[5] or width <= 0 or height <= 0:
                continue
            areas = [(r[2] - r[0] + 1) * (r[3] - r[1] + 1) for r in (row, best)]
            overlap = width * height / (sum(areas) - width * height)
            row[4] *= math.exp(-(overlap**2) / 0.5)
    return done


class TestMultiScale:
    @pytest.fixture
    def merger(self) -> CenterNetMultiScale:
        model = build_from('centernet.py')
        return CenterNetMultiScale(max_per_img=5, module=model)

    def detections(self, rows: list[list[float]]) -> InstanceData:
        """x1 y1 x2 y2 score label."""
        table = torch.tensor(rows).view(-1, 6)
        return InstanceData(
            bboxes=table[:, :4],
            scores=table[:, 4],
            labels=table[:, 5].long(),
            keypoints=table[:, None, :2].expand(-1, 3, -1),
        )

    @pytest.mark.parametrize('seed', range(3))
    def test_equals_soft_suppression_by_loops(self, merger: CenterNetMultiScale, seed: int) -> None:
        torch.manual_seed(seed)
        corners = 60 * torch.rand(40, 2) - 20
        boxes = torch.cat([corners, corners + 5 + 30 * torch.rand(40, 2)], 1)
        table = torch.cat([boxes, torch.rand(40, 1), torch.randint(0, 3, (40, 1))], 1)
        merger.max_per_img = 100
        merged = merger.merge_scales([self.detections(rows.tolist()) for rows in table.split(25)])
        expected = sorted(softly_suppressed(table.tolist()), reverse=True)
        expected = [score for score in expected if score > 1e-3]
        assert merged.scores.tolist() == pytest.approx(expected, rel=1e-4)

    def test_overlapping_ones_of_a_class_lose_score(self, merger: CenterNetMultiScale) -> None:
        plain = self.detections([[0, 0, 10, 10, 0.9, 0], [50, 50, 60, 60, 0.3, 1]])
        large = self.detections([[-40, 0, -30, 10, 0.8, 0], [0, 0, 10, 10, 0.5, 0]])
        merged = merger.merge_scales([plain, large])
        scores = {tuple(b): s for b, s in zip(merged.bboxes.tolist(), merged.scores, strict=True)}
        assert merged.scores.tolist() == sorted(merged.scores.tolist(), reverse=True)
        assert merged.scores[:3].tolist() == pytest.approx([0.9, 0.8, 0.3])
        # overlap 1: score times exp(-1 / 0.5)
        assert merged.scores[3].item() == pytest.approx(0.5 * torch.e**-2, rel=1e-4)
        assert torch.equal(merged.keypoints[:, 0], merged.bboxes[:, :2])
        assert len(scores) == 3

    def test_other_classes_do_not_matter(self, merger: CenterNetMultiScale) -> None:
        """Also where boxes reach beyond the image, to negative coordinates."""
        one = self.detections([[-30, -30, 90, 90, 0.9, 0], [5, 5, 20, 20, 0.7, 0]])
        other = self.detections([[-30, -30, 90, 90, 0.8, 1], [-29, -30, 90, 90, 0.6, 2]])
        merged = merger.merge_scales([one, other])
        assert merged.scores.tolist()[:2] == pytest.approx([0.9, 0.8])
        assert merged.scores.tolist()[2] > 0.6

    def test_limit_and_nothing(self, merger: CenterNetMultiScale) -> None:
        many = self.detections([[20 * i, 0, 20 * i + 5, 5, 0.5, 0] for i in range(9)])
        assert len(merger.merge_scales([many, self.detections([])])) == 5
        assert len(merger.merge_scales([self.detections([])] * 2)) == 0
        with pytest.raises(ValueError, match='max_per_img: expected at least 1'):
            CenterNetMultiScale(max_per_img=0, module=merger.module)

    def test_as_the_host_calls_it(self, merger: CenterNetMultiScale) -> None:
        views = []
        for scale in (64, 128):
            sample = make_sample(merger.module, (scale, scale))
            sample.set_metainfo(dict(scale_factor=(scale / 64, scale / 64)))
            views.append((torch.zeros(3, scale, scale).byte(), sample))
        data = dict(inputs=[[image] for image, _ in views], data_samples=[[s] for _, s in views])
        with torch.no_grad():
            (found,) = merger.eval().test_step(data)
        assert isinstance(found, DetDataSample)
        assert len(found.pred_instances) == 5


@pytest.mark.parametrize('file', ['centernet_demo.py', 'centernet/pose-dla34_140e_coco.py'])
def test_without_deformable_convolutions_the_network_exports(file: str) -> None:
    from tiny_points import CONFIGS, Config, build, shrink

    config = shrink(Config.fromfile(CONFIGS / file))
    config.model.neck.conv_cfg = None
    model = build(config.model).eval()

    class Maps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
            (maps,) = self.model.bbox_head(self.model.extract_feat(images))
            return maps[-1]

    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        exported = torch.export.export(Maps(), (image,)).module()
        other = torch.randn(1, 3, 64, 64)
        expected = Maps()(other)
        found = exported(other)
    assert set(found) == set(expected)
    for name, values in expected.items():
        torch.testing.assert_close(found[name], values, rtol=1e-4, atol=1e-5)


def test_mlflow_panels_show_the_image_without_its_canvas() -> None:
    canvas = torch.zeros(3, 64, 96)
    canvas[:, 10:50, 20:90] = torch.arange(70.0)
    shown = without_border(canvas, [10.0, 50.0, 20.0, 90.0])
    assert torch.equal(shown, torch.arange(70.0).expand(3, 40, 70))
    pad = RandomCenterCropPad(
        test_mode=True,
        test_pad_mode=['logical_or', 127],
        ratios=None,
        border=None,
        mean=[0, 0, 0],
        std=[1, 1, 1],
        to_rgb=False,
    )
    padded = pad(dict(img=np.ones((40, 70, 3), np.float32)))
    shown = without_border(torch.from_numpy(padded['img']).permute(2, 0, 1), padded['border'])
    assert torch.equal(shown, torch.ones(3, 40, 70))
    assert without_border(canvas, None) is canvas
    model = build_from('centernet/pose-dla34_140e_coco.py', flip=False)
    (found,) = predict(model, torch.randn(1, 3, 64, 64), [make_sample(model, (64, 64))])
    sample = make_sample(model, (64, 64))
    sample.pred_instances = found
    scene = predicted_scene(sample, (64, 64), score_thr=0.0)
    assert scene.fields['keypoints'].shape == (len(scene.labels), 17, 2)
