"""Matching against a loop over priors and faces."""

import pytest
import torch

from mmext.retinaface.matching import (
    BACKGROUND,
    IGNORE,
    MatchingRules,
    match_priors,
)
from mmext.retinaface.presets import PRESETS

RULES = {name: preset.matching for name, preset in PRESETS.items()}


def plain_iou(a: list[float], b: list[float]) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union if union > 0 else 0.0


def plain_match(priors: list, boxes: list, ignored: list, rules: MatchingRules) -> list[int]:
    """The definition, prior by prior; then the forced matches, face by face."""
    assigned = []
    for prior in priors:
        overlaps = [plain_iou(box, prior) for box in boxes]
        best = max(overlaps, default=0.0)
        if best >= rules.positive_iou:
            assigned.append(overlaps.index(best))
        elif best >= rules.negative_iou:
            assigned.append(IGNORE)
        else:
            assigned.append(BACKGROUND)
    if rules.force_best_from is not None:
        for face, box in enumerate(boxes):
            overlaps = [plain_iou(box, prior) for prior in priors]
            if max(overlaps) >= rules.force_best_from:
                assigned[overlaps.index(max(overlaps))] = face
    for number, prior in enumerate(priors):
        near_ignored = any(plain_iou(box, prior) >= rules.negative_iou for box in ignored)
        if assigned[number] == BACKGROUND and near_ignored:
            assigned[number] = IGNORE
    return assigned


def random_boxes(count: int, size: float = 64.0) -> torch.Tensor:
    corners = torch.rand(count, 2, dtype=torch.float64) * size
    return torch.cat((corners, corners + torch.rand(count, 2, dtype=torch.float64) * size / 2), 1)


@pytest.mark.parametrize('name', RULES)
@pytest.mark.parametrize('counts', [(5, 0, 40), (0, 0), (1,), (70, 3, 33)])
def test_equals_loops(name: str, counts: tuple[int, ...]) -> None:
    torch.manual_seed(sum(counts))
    priors = random_boxes(150)
    boxes = [random_boxes(count) for count in counts]
    ignored = [random_boxes(i) for i in range(len(counts))]
    before = [b.clone() for b in boxes]
    assigned = match_priors(priors, boxes, ignored, RULES[name])
    wanted = [
        plain_match(priors.tolist(), b.tolist(), i.tolist(), RULES[name])
        for b, i in zip(boxes, ignored, strict=True)
    ]
    assert assigned.tolist() == wanted
    assert all(torch.equal(a, b) for a, b in zip(before, boxes, strict=True))


def test_of_two_faces_with_one_best_prior_the_later_takes_it() -> None:
    priors = torch.tensor([[0.0, 0.0, 10.0, 10.0], [50.0, 50.0, 60.0, 60.0]])
    boxes = torch.tensor([[0.0, 0.0, 9.0, 10.0], [0.0, 0.0, 6.0, 10.0]])
    assert match_priors(priors, [boxes], [], RULES['paper']).tolist() == [[0, BACKGROUND]]
    assert match_priors(priors, [boxes], [], RULES['pytorch']).tolist() == [[1, BACKGROUND]]


def test_boxes_without_area_match_nothing() -> None:
    priors = torch.tensor([[0.0, 0.0, 10.0, 10.0], [5.0, 5.0, 5.0, 5.0]])
    boxes = torch.tensor([[5.0, 5.0, 5.0, 5.0], [5.0, 5.0, 5.0, 9.0]])
    assert match_priors(priors, [boxes], [], RULES['pytorch']).tolist() == [[BACKGROUND] * 2]


def test_refuses_thresholds_in_the_wrong_order() -> None:
    with pytest.raises(ValueError, match=r'negative_iou <= positive_iou <= 1, got 0.6 and 0.5'):
        MatchingRules(0.5, 0.6)
    with pytest.raises(ValueError, match='force_best_from: expected over 0'):
        MatchingRules(0.5, 0.4, 0.0)
