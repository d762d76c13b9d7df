"""How the score of a detection comes about from raw numbers of a head, and its log-odds.

Every dense head, RoI head and decoder multiplies or averages sigmoids or softmaxes of a few raw
numbers. :func:`find_rule` tries these and keeps the one that gives the score *and* its derivatives;
no head is asked what it does.

Shape legend: B images, n factors.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

MOST_CELLS = 6  # of a score that is made of single cells
_VALUE_TOLERANCE, _SLOPE_TOLERANCE = 1e-5, 1e-2
_NEAR_ONE, _STEP_BELOW_ONE = 0.99, 2.0**-22


class Key(NamedTuple):
    """One tensor that a head puts out during a prediction.

    Attributes:
        module: its dotted name.
        call: how often the module had been called before.
        position: of the tensor in the nested output.
    """

    module: str
    call: int
    position: int


class Factor(NamedTuple):
    """A raw number, or a row of them of which a softmax is taken.

    Attributes:
        key: the tensor it is in.
        place: of the number, or of the first of the row.
        axis: along which the row runs; None of a single number.
        length: of the row.
        column: which of the row the score is about.
    """

    key: Key
    place: tuple[int, ...]
    axis: int | None = None
    length: int = 1
    column: int = 0


class Rule(NamedTuple):
    """What is done with the factors.

    Attributes:
        factors: at least one.
        activation: 'sigmoid', 'value' (it is a probability already) or 'softmax'.
        combination: 'product', 'root' (of the product), 'sum', or 'merged': the activation of the
            mean of the raw numbers, as in a cascade.
        weights: of the sum.
    """

    factors: tuple[Factor, ...]
    activation: str
    combination: str = 'product'
    weights: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        """For people: ``sigmoid``, ``product of 2 sigmoids``, ``softmax of the mean of 3``."""
        if len(self.factors) == 1 and self.combination == 'product':
            return self.activation
        if self.combination == 'merged':
            return f'{self.activation} of the mean of {len(self.factors)}'
        kind = 'mean' if len(set(self.weights)) == 1 else self.combination
        kind = {'root': 'root of the product'}.get(kind, kind)
        plural = 'es' if self.activation == 'softmax' else 's'
        return f'{kind} of {len(self.factors)} {self.activation}{plural}'

    def log_odds(self, raw: Sequence[Tensor]) -> Tensor:
        """The logarithm of score over 1 - score, ``[B]``, in float64.

        It goes on where the score itself is 1 in float32 and has no derivative.

        Args:
            raw: of each factor ``[B]``, or ``[B, length]`` of a row.
        """
        if self.combination == 'merged':
            return self._log_odds_of_one(self._mean(raw))
        if self.combination != 'sum':
            if len(self.factors) == 1 and self.combination == 'product':
                return self._log_odds_of_one(raw[0].double())
            logs = torch.stack([self._log(f, x.double()) for f, x in self._paired(raw)]).sum(0)
            logs = logs / 2 if self.combination == 'root' else logs
            return logs - torch.log(-torch.expm1(logs))
        score = self.score(raw)
        return torch.log(score) - torch.log1p(-score)

    def score(self, raw: Sequence[Tensor]) -> Tensor:
        """The score, ``[B]``, in float64; ``raw`` as for :meth:`log_odds`."""
        if self.combination == 'merged':
            return self._log(self.factors[0], self._mean(raw)).exp()
        parts = [self._log(factor, x.double()).exp() for factor, x in self._paired(raw)]
        if self.combination == 'sum':
            weighted = [w * part for w, part in zip(self.weights, parts, strict=True)]
            return torch.stack(weighted).sum(0)
        product = torch.stack(parts).prod(0)
        return product.sqrt() if self.combination == 'root' else product

    def _paired(self, raw: Sequence[Tensor]) -> Iterator[tuple[Factor, Tensor]]:
        return zip(self.factors, raw, strict=True)

    @staticmethod
    def _mean(raw: Sequence[Tensor]) -> Tensor:
        return torch.stack([x.double() for x in raw]).mean(0)

    def _log(self, factor: Factor, raw: Tensor) -> Tensor:
        if self.activation == 'softmax':
            return raw.log_softmax(-1)[..., factor.column]
        return logsigmoid(raw) if self.activation == 'sigmoid' else raw.clamp(min=1e-300).log()

    def _log_odds_of_one(self, raw: Tensor) -> Tensor:
        if self.activation == 'sigmoid':
            return raw
        if self.activation == 'value':
            return torch.log(raw) - torch.log1p(-raw)
        column = self.factors[0].column
        others = torch.cat([raw[..., :column], raw[..., column + 1 :]], -1)
        return raw[..., column] - others.logsumexp(-1)


def raw_of(
    factor: Factor, tensor: Tensor, stride: int = 0, axis: int = 0, count: int = 1
) -> Tensor:
    """The numbers of a factor in an output ``[...]``: ``[B]``, or ``[B, length]`` of a row.

    Args:
        factor: with the place in the output for one image.
        tensor: the output for all of them.
        stride: how far the images are apart along ``axis``.
        axis: along which the images lie.
        count: B.
    """
    rows = []
    for image in range(count):
        index: list[int | slice] = list(factor.place)
        index[axis] = factor.place[axis] + image * stride
        if factor.axis is not None:
            first = factor.place[factor.axis]
            index[factor.axis] = slice(first, first + factor.length)
        rows.append(tensor[tuple(index)])
    return torch.stack(rows)


def find_rule(
    score: float,
    outputs: Mapping[Key, Tensor],
    slopes: Mapping[Key, Tensor],
    row_lengths: Sequence[int],
) -> Rule | None:
    """The rule by which a score comes about.

    Args:
        score: 0 to 1.
        outputs: the raw outputs of the heads.
        slopes: derivatives of the score with respect to them, of the same shapes; those that are
            0 everywhere left out.
        row_lengths: of softmaxes that may lie along an axis with other things: classes and
            background.

    Returns:
        None if the score comes about otherwise.
    """
    places = {key: slope.nonzero().tolist() for key, slope in slopes.items()}
    count = sum(map(len, places.values()))
    if not count:
        return None
    candidates: list[Rule] = []
    if count <= MOST_CELLS:
        cells = tuple(Factor(key, tuple(p)) for key, found in places.items() for p in found)
        candidates += _rules_of_cells(cells, outputs, slopes)
    rows = [
        _row(key, found, slopes[key], outputs[key], row_lengths) for key, found in places.items()
    ]
    factors = tuple(row for row in rows if row is not None)
    if len(factors) == len(rows):
        share = 1 / len(factors)
        candidates.append(Rule(factors, 'softmax', 'sum', (share,) * len(factors))
                          if len(factors) > 1 else Rule(factors, 'softmax'))  # fmt: skip
        candidates.append(Rule(factors, 'softmax'))
        if len({factor.length for factor in factors}) == 1:
            candidates.append(Rule(factors, 'softmax', 'merged'))
    return next((rule for rule in candidates if _agrees(rule, score, outputs, slopes)), None)


def _rules_of_cells(
    cells: tuple[Factor, ...], outputs: Mapping[Key, Tensor], slopes: Mapping[Key, Tensor]
) -> Iterator[Rule]:
    for activation in ('sigmoid', 'value'):
        yield Rule(cells, activation)
        yield Rule(cells, activation, 'root')
    weights = []
    for cell in cells:
        probability = outputs[cell.key][cell.place].double().sigmoid()
        spread = probability * (1 - probability)
        weights.append(float(slopes[cell.key][cell.place].double() / spread) if spread > 0 else 0.0)
    yield Rule(cells, 'sigmoid', 'sum', tuple(weights))


def _row(
    key: Key,
    places: Sequence[Sequence[int]],
    slope: Tensor,
    output: Tensor,
    row_lengths: Sequence[int],
) -> Factor | None:
    """The row that all places lie in; None if there is none."""
    varying = [a for a, column in enumerate(zip(*places, strict=True)) if len(set(column)) > 1]
    if len(varying) != 1:
        return None
    (axis,) = varying
    size = slope.shape[axis]
    if axis == slope.ndim - 1 and slope.ndim < 4:
        start, length = 0, size
    else:
        here = sorted(place[axis] for place in places)
        fitting = [n for n in row_lengths if size % n == 0 and here[0] // n == here[-1] // n]
        if not fitting:
            return None
        length = fitting[0]
        start = here[0] // length * length
    best = max(places, key=lambda place: float(slope[tuple(place)]))
    index = list(best)
    index[axis] = start
    factor = Factor(key, tuple(index), axis, length, best[axis] - start)
    if float(slope[tuple(best)]) > 0:
        return factor
    # the score is 1 in float32, and its own derivative 0: its number is the largest of the row
    return factor._replace(column=int(raw_of(factor, output)[0].argmax()))


def _agrees(
    rule: Rule, score: float, outputs: Mapping[Key, Tensor], slopes: Mapping[Key, Tensor]
) -> bool:
    """Whether a rule gives the score and its derivatives."""
    raw = [raw_of(f, outputs[f.key].detach()).double().requires_grad_() for f in rule.factors]
    with torch.enable_grad():
        value = rule.score(raw)
        own = torch.autograd.grad(value.sum(), raw)
    if not abs(float(value.detach()) - score) <= _VALUE_TOLERANCE:
        return False
    known = [raw_of(f, slopes[f.key]).double() for f in rule.factors]
    largest = max(float(slope.abs().max()) for slope in known)
    gap = max(float((a - b).abs().max()) for a, b in zip(own, known, strict=True))
    # 1 - score is rounded to float32's steps below 1, and so are the derivatives
    rounding = _STEP_BELOW_ONE if score > _NEAR_ONE else 1e-9
    return gap <= _SLOPE_TOLERANCE * largest + rounding
