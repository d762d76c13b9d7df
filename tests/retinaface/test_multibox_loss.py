"""Mining against sorting by hand, losses against plain torch."""

import pytest
import torch
import torch.nn.functional as F

from mmext.retinaface.matching import BACKGROUND, IGNORE
from mmext.retinaface.multibox_loss import MiningRules, face_cross_entropy, mine, smooth_l1
from mmext.retinaface.presets import PRESETS

RULES = {name: preset.mining for name, preset in PRESETS.items()} | {
    'at least some': MiningRules(negatives_per_positive=3.0, min_negatives=10)
}


def plain_mine(losses: list[float], assigned: list[int], rules: MiningRules) -> list[bool]:
    """One image, with sorted lists."""
    by_loss = sorted(range(len(losses)), key=lambda i: -losses[i])
    positive = [i for i in by_loss if assigned[i] >= 0]
    negative = [i for i in by_loss if assigned[i] == BACKGROUND]
    if rules.max_priors is not None:
        positive = positive[: int(rules.max_priors * rules.max_positive_ratio)]
        wanted = rules.max_priors - len(positive)
    else:
        wanted = int(len(positive) * rules.negatives_per_positive)
    taken = {*positive, *negative[: max(wanted, rules.min_negatives)]}
    return [i in taken for i in range(len(losses))]


@pytest.mark.parametrize('name', RULES)
@pytest.mark.parametrize('share', [0.0, 0.02, 0.3, 1.0])
def test_mining_equals_sorting(name: str, share: float) -> None:
    torch.manual_seed(0)
    losses = torch.rand(3, 400)
    assigned = torch.where(torch.rand(3, 400) < share, 2, BACKGROUND)
    assigned[torch.rand(3, 400) < 0.1] = IGNORE
    mined = mine(losses, assigned, RULES[name])
    wanted = [
        plain_mine(row, numbers, RULES[name])
        for row, numbers in zip(losses.tolist(), assigned.tolist(), strict=True)
    ]
    assert mined.tolist() == wanted


def test_cross_entropy_equals_torch_and_holds_for_large_logits() -> None:
    torch.manual_seed(0)
    logits, assigned = torch.randn(2, 50, 2), torch.randint(-2, 3, (2, 50))
    wanted = F.cross_entropy(
        logits.flatten(0, 1), (assigned >= 0).long().flatten(), reduction='none'
    )
    torch.testing.assert_close(face_cross_entropy(logits, assigned).flatten(), wanted)
    far = torch.tensor([[[300.0, -300.0], [-300.0, 300.0]]])
    torch.testing.assert_close(
        face_cross_entropy(far, torch.tensor([[0, 0]])), torch.tensor([[600.0, 0.0]])
    )


def test_smooth_l1_skips_what_does_not_count() -> None:
    predicted = torch.tensor([[0.5, 3.0], [1.0, 1.0]], requires_grad=True)
    target = torch.tensor([[0.0, 0.0], [float('nan'), 1e30]])
    valid = torch.tensor([[True], [False]])
    loss = smooth_l1(predicted, target, beta=1.0, valid=valid)
    loss.backward()
    assert loss.item() == pytest.approx(0.5 * 0.25 + 2.5)
    assert predicted.grad.tolist() == [[0.5, 1.0], [0.0, 0.0]]
