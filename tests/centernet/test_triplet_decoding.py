"""The test protocol against a restatement of the released one, pair by pair."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import max_pool2d

from mmext.centernet.triplet_decoding import (
    CornerPairs,
    Detections,
    ImageWindows,
    Keypoints,
    TripletMaps,
    TripletTestSettings,
    confirm_pairs,
    decode_maps,
    detect,
    to_image_frame,
)

CLASSES = 3
SETTINGS = TripletTestSettings(top_k=45, max_pairs=500, max_per_img=0)


def random_maps(seed: int, batch: int, shape: tuple[int, int]) -> TripletMaps:
    """Heat-maps whose peaks are likely to make boxes, in float32."""
    generator = torch.Generator().manual_seed(seed)

    def noise(channels: int, scale: float) -> torch.Tensor:
        return scale * torch.randn(batch, channels, *shape, generator=generator)

    return TripletMaps(
        *(noise(CLASSES, 2.0) for _ in range(3)),
        *(noise(1, 0.3) for _ in range(2)),
        *(noise(2, 0.3) for _ in range(3)),
    )


def keypoints(heat: torch.Tensor, offset: torch.Tensor, top_k: int) -> list[dict]:
    """Of one image [C, H, W], by the released steps: sigmoid, 3x3 maximum, top K."""
    probs = heat.sigmoid()
    probs = probs * (max_pool2d(probs[None], 3, 1, 1)[0] == probs)
    values, index = probs.flatten().topk(top_k)
    height, width = heat.shape[1:]
    found = []
    for value, place in zip(values.tolist(), index.tolist(), strict=True):
        label, cell = divmod(place, height * width)
        i, j = divmod(cell, width)
        x, y = (torch.tensor([j, i]) + offset[:, i, j]).tolist()
        found.append(dict(x=x, y=y, label=label, score=value, cell=(i, j)))
    return found


def candidates(maps: list[torch.Tensor]) -> tuple[list[list[float]], list[dict]]:
    """Rows x1 y1 x2 y2 score tl br class of one image, and its centres, in cells."""
    heat1, heat2, heat3, tag1, tag2, offset1, offset2, offset3 = maps
    rows = []
    for a in keypoints(heat1, offset1, SETTINGS.top_k):
        for b in keypoints(heat2, offset2, SETTINGS.top_k):
            score = (a['score'] + b['score']) / 2
            distance = abs(float(tag1[0][a['cell']] - tag2[0][b['cell']]))
            if a['label'] != b['label'] or distance > 0.5 or b['x'] < a['x'] or b['y'] < a['y']:
                continue
            rows.append([a['x'], a['y'], b['x'], b['y'], score, a['score'], b['score'], a['label']])
    rows.sort(key=lambda row: -row[4])
    return rows[: SETTINGS.max_pairs], keypoints(heat3, offset3, SETTINGS.top_k)


def protocol(
    maps: TripletMaps, image: int, flip: bool, view: dict, shape: tuple[int, int]
) -> tuple[list[list[float]], list[dict]]:
    """Confirmed boxes of one image, in its pixels, before soft-NMS; and all centres."""
    batch = len(maps[0]) // 2 if flip else len(maps[0])
    rows, centers = candidates([m[image] for m in maps])
    if flip:
        back_rows, back_centers = candidates([m[batch + image] for m in maps])
        width = shape[1]
        rows += [[width - x2, y1, width - x1, y2, *rest] for x1, y1, x2, y2, *rest in back_rows]
        centers += [{**c, 'x': width - c['x']} for c in back_centers]
    boxes = []
    for x1, y1, x2, y2, *rest in rows:
        edges = [x1 * 4 - view['left'], y1 * 4 - view['top']]
        edges += [x2 * 4 - view['left'], y2 * 4 - view['top']]
        if edges[0] <= -5 or edges[1] <= -5:
            continue
        if edges[2] >= view['width'] + 5 or edges[3] >= view['height'] + 5:
            continue
        limits = [view['width'], view['height']] * 2
        edges = [min(max(e, 0), m) / view['scale'] for e, m in zip(edges, limits, strict=True)]
        boxes.append([*edges, *rest])
    for c in centers:
        c['x'] = min(max(c['x'] * 4 - view['left'], 0), view['width']) / view['scale']
        c['y'] = min(max(c['y'] * 4 - view['top'], 0), view['height']) / view['scale']
    return [box for box in (confirm(b, centers) for b in boxes) if box], centers


def confirm(box: list[float], centers: list[dict]) -> list[float] | None:
    x1, y1, x2, y2, score, *_, label = box
    if (x2 - x1) * (y2 - y1) <= 22500:
        left, right = (2 * x1 + x2) / 3, (x1 + 2 * x2) / 3
        top, bottom = (2 * y1 + y2) / 3, (y1 + 2 * y2) / 3
    else:
        left, right = (3 * x1 + 2 * x2) / 5, (2 * x1 + 3 * x2) / 5
        top, bottom = (3 * y1 + 2 * y2) / 5, (2 * y1 + 3 * y2) / 5
    for c in centers:
        if c['label'] == label and left < c['x'] < right and top < c['y'] < bottom:
            return [*box[:4], (2 * score + c['score']) / 3, *box[5:]]
    return None


def views(batch: int, rng: np.random.Generator) -> list[dict]:
    return [
        dict(
            left=int(rng.integers(0, 12)),
            top=int(rng.integers(0, 12)),
            width=int(rng.integers(60, 80)),
            height=int(rng.integers(50, 70)),
            scale=float(rng.choice([0.25, 1.0, 1.5])),
        )
        for _ in range(batch)
    ]


def as_views(rows: list[dict]) -> ImageWindows:
    return ImageWindows(
        *(
            torch.tensor([[float(row[x]), float(row[y])] for row in rows])
            for x, y in (('left', 'top'), ('width', 'height'), ('scale', 'scale'))
        )
    )


@pytest.mark.parametrize('flip', [False, True])
@pytest.mark.parametrize('seed', range(4))
def test_confirmed_boxes_of_a_batch(flip: bool, seed: int) -> None:
    shape = (20, 24)
    where = views(2, np.random.default_rng(seed))
    maps = random_maps(seed, 4 if flip else 2, shape)
    pairs, centers = to_image_frame(*decode_maps(maps, SETTINGS, flip), as_views(where), (4.0, 4.0))
    scores, index = confirm_pairs(pairs, centers)
    number_kept = 0
    for image in range(2):
        expected, wanted_centers = protocol(maps, image, flip, where[image], shape)
        expected.sort(key=lambda row: -row[4])
        number_kept += len(expected)
        order = scores[image].argsort(descending=True)[: len(expected)]
        assert (scores[image] > -math.inf).sum() == len(expected)
        actual = torch.cat(
            [
                pairs.boxes[image],
                scores[image][:, None],
                pairs.corner_scores[image],
                pairs.labels[image][:, None],
            ],
            1,
        )[order]
        torch.testing.assert_close(actual, torch.tensor(expected).view(-1, 8), atol=1e-4, rtol=1e-5)
        points = torch.tensor([[c['x'], c['y']] for c in wanted_centers])
        torch.testing.assert_close(centers.points_xy[image], points, atol=1e-4, rtol=1e-5)
        confirmed = points[index[image][order]]
        assert (confirmed >= actual[:, :2]).all() and (confirmed <= actual[:, 2:4]).all()
    assert number_kept >= 4


def test_a_batch_of_two_is_two_batches_of_one() -> None:
    maps = random_maps(11, 4, (20, 24))
    both_pairs, both_centers = decode_maps(maps, SETTINGS, flipped=True)
    for image in range(2):
        alone = TripletMaps(*(m[[image, 2 + image]] for m in maps))
        pairs, centers = decode_maps(alone, SETTINGS, flipped=True)
        found, there = pairs.scores[0] > -math.inf, both_pairs.scores[image] > -math.inf
        assert found.sum() > 20
        for field, of_both in zip(pairs, both_pairs, strict=True):
            assert torch.equal(field[0][found], of_both[image][there])
        for field, of_both in zip(centers, both_centers, strict=True):
            assert torch.equal(field[0], of_both[image])


def one_box(box: list[float], points: list[list[float]], labels: list[int], scores: list[float]):
    pairs = CornerPairs(
        torch.tensor([[box]]),
        torch.tensor([[0.6]]),
        torch.tensor([[[0.5, 0.7]]]),
        torch.tensor([[1]]),
    )
    centers = Keypoints(torch.tensor([points]), torch.tensor([scores]), torch.tensor([labels]))
    return confirm_pairs(pairs, centers)


def test_the_middle_is_strict_and_depends_on_the_size() -> None:
    small, large = [0.0, 0, 150, 150], [0.0, 0, 151, 150]
    for box, low, high in ((small, 50.0, 100.0), (large, 60.4, 90.6)):
        middle_y = 75.0
        for x, inside in ((low, False), (low + 0.1, True), (high - 0.1, True), (high + 0.1, False)):
            scores, _ = one_box(box, [[x, middle_y]], [1], [0.9])
            assert (scores.item() > 0) == inside, (box, x)
    assert one_box(small, [[75.0, 75]], [0], [0.9])[0] == -math.inf  # another class


def test_the_first_centre_counts_not_the_best() -> None:
    scores, index = one_box(
        [0.0, 0, 90, 90], [[1.0, 1], [45, 45], [50, 50]], [1, 1, 1], [0.99, 0.3, 0.8]
    )
    assert index.item() == 1
    assert scores.item() == pytest.approx((2 * 0.6 + 0.3) / 3)


def test_ground_truth_as_maps_comes_back() -> None:
    """Targets as logits, with one tag for each object."""
    from mmext.centernet.triplet_targets import triplet_targets

    boxes = torch.tensor([[10.5, 8.25, 60, 41], [30, 20, 90.5, 62], [3, 3, 20, 60]])
    labels = torch.tensor([2, 0, 1])
    image, shape = (64, 96), (16, 24)
    targets = triplet_targets([boxes], [labels], CLASSES, shape, image)
    tags, offsets = [], []
    for kind in targets[:3]:
        tag, offset = torch.zeros(1, 1, *shape), torch.zeros(1, 2, *shape)
        tag.flatten()[kind.cells[0]] = torch.tensor([0.0, 5.0, 10.0])
        offset.flatten(2)[0, :, kind.cells[0]] = kind.offsets[0].T
        tags.append(tag)
        offsets.append(offset)
    heats = [(kind.heatmap.to_dense() - 0.5) * 20 for kind in targets[:3]]
    maps = TripletMaps(*heats, *tags[:2], *offsets)
    settings = TripletTestSettings(top_k=20)
    whole = ImageWindows(torch.zeros(1, 2), torch.tensor([[96.0, 64]]), torch.ones(1, 2))
    pairs, centers = to_image_frame(*decode_maps(maps, settings), whole, (4.0, 4.0))
    found = detect(pairs, centers, settings)
    best = found.boxes[0, :3]
    order = (best[:, None] - boxes).abs().sum(2).argmin(0)
    torch.testing.assert_close(best[order], boxes, atol=1e-4, rtol=0)
    assert found.labels[0, order].tolist() == labels.tolist()
    assert (found.scores[0, :3] > 0.99).all()
    torch.testing.assert_close(
        found.centers_xy[0, order], (boxes[:, :2] + boxes[:, 2:]) / 2, atol=1e-4, rtol=0
    )


def test_nothing_to_find() -> None:
    """A flat map: every cell is a maximum, no pair is confirmed by accident of another class."""
    empty = random_maps(0, 2, (4, 4))
    empty = empty._replace(center_heat=torch.full_like(empty.center_heat, math.nan))
    pairs, centers = decode_maps(empty, SETTINGS)
    found = detect(pairs, centers, SETTINGS)
    assert isinstance(found, Detections)
    assert found.scores.shape[0] == 2
    assert not (found.scores > -math.inf).any()


@pytest.mark.parametrize('limit', [1, 3, 0, -1])
def test_max_per_img(limit: int) -> None:
    maps = random_maps(2, 2, (20, 24))
    whole = ImageWindows(torch.zeros(2, 2), torch.tensor([[96.0, 80]] * 2), torch.ones(2, 2))
    pairs, centers = to_image_frame(*decode_maps(maps, SETTINGS), whole, (4.0, 4.0))
    everything = detect(pairs, centers, SETTINGS)
    count = everything.scores.shape[1]
    limited = detect(pairs, centers, TripletTestSettings(max_per_img=limit))
    assert limited.scores.shape[1] == (min(limit, count) if limit > 0 else count)
    assert torch.equal(limited.boxes, everything.boxes[:, : limited.boxes.shape[1]])


def test_half_precision_maps_are_decoded_in_float32() -> None:
    maps = TripletMaps(*(m.bfloat16() for m in random_maps(3, 1, (20, 24))))
    expected = decode_maps(TripletMaps(*(m.float() for m in maps)), SETTINGS)
    for part, wanted in zip(decode_maps(maps, SETTINGS), expected, strict=True):
        for field, value in zip(part, wanted, strict=True):
            assert torch.equal(field, value)
