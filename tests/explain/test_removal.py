"""The order of removal on scores whose best order is known."""

import torch

from mmext.explain.removal import removal_map


def test_what_the_score_hangs_on_is_covered_first() -> None:
    """All of the score is in a patch at the edge of the box: the bell in its middle misses it."""
    inputs = torch.ones(1, 3, 48, 48)
    weights = torch.zeros(48, 48)
    weights[8:16, 8:16] = 1 / 64

    def score(x: torch.Tensor) -> torch.Tensor:
        return (x.mean(1) * weights).sum((1, 2))

    before = inputs.clone()
    found = removal_map(score, inputs, (8.0, 8.0, 40.0, 40.0), 60)
    assert found.shape == (48, 48)
    first = found.flatten().argsort(descending=True)[:200]
    covered = torch.zeros(48 * 48)
    covered[first] = 1
    assert float((covered.view(48, 48) * weights).sum()) > 0.7
    start = removal_map(score, inputs, (8.0, 8.0, 40.0, 40.0), 0)
    bell = torch.zeros(48 * 48)
    bell[start.flatten().argsort(descending=True)[:200]] = 1
    assert float((bell.view(48, 48) * weights).sum()) < 0.1
    assert torch.equal(inputs, before)
    assert 0.8 < float((found > 0).sum()) / 32**2 < 1.2, 'the area of the box is positive'


def test_a_score_of_nothing_stays_a_bell() -> None:
    inputs = torch.ones(1, 3, 24, 32)
    found = removal_map(lambda x: x.flatten(1).sum(1) * 0, inputs, (8.0, 4.0, 24.0, 20.0), 3)
    top = int(found.argmax())
    assert abs(top // 32 - 11.5) <= 2
    assert abs(top % 32 - 15.5) <= 2
    whole = removal_map(lambda x: x.flatten(1).sum(1), inputs, (-50.0, -50.0, 90.0, 90.0), 2)
    assert whole.isfinite().all()
