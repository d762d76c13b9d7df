"""Mining against sorting by hand."""

import pytest
import torch

from mmext.functional.mining import BACKGROUND, IGNORE, MiningRules, mine

RULES = {
    'a ratio': MiningRules(negatives_per_positive=3.0),
    'a budget': MiningRules(max_priors=256, max_positive_ratio=0.25),
    'at least some': MiningRules(negatives_per_positive=3.0, min_negatives=10),
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
