"""A classifier by cosines with text vectors, for any box head of mmdet.

Sources: Gu et al. 2022 (ViLD: softmax, a learned background vector), Zhou et al. 2022 (Detic: a
zero vector for the background, sigmoids), Radford et al. 2021 (learned temperature).

``v = W x + b``, ``u = v / |v|``, ``logit_c = tau u . t_c``, with t_c the text vectors at length 1.

Deviations: tau starts at 20 and is learned (at 50 or 100 an untrained head is sure of nonsense, and
its loss 23).

Shape legend: n regions, F features, W words, C classes, D numbers of an embedding.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmext.errors import InputError
from mmext.language.table import TextTable, plain_name, read_table
from mmext.registry import MODELS

MAX_TEMPERATURE = 100.0
BACKGROUNDS = ('learned', 'zero')


@MODELS.register_module()
class EmbeddingClassifier(nn.Module):
    """Takes the place of ``fc_cls`` in a box head, by ``cls_predictor_cfg=dict(type=...)``.

    Args:
        in_features: F, given by the box head.
        out_features: C + 1, given by the box head; the last one is the background.
        table: file of text vectors (:func:`.read_table`). Its rows are fixed unless
            ``learn_table``.
        words: without a table: names whose vectors are learned from the start; with one: those
            of its words that are kept. None: ``classes``, or all of the table.
        classes: the words that are the classes, in the order of the labels. None: all words, if
            there are C of them.
        dim: D of a table that is learned from the start.
        learn_table: the vectors of a table are a start, and learned.
        temperature: tau at the start.
        learn_temperature: tau is learned, up to 100.
        background: 'learned' vector, or 'zero': logit 0, for sigmoids.

    Raises:
        InputError: a table that cannot be used, or its words do not fit the number of classes.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        table: str | TextTable | None = None,
        words: Sequence[str] | None = None,
        classes: Sequence[str] | None = None,
        dim: int = 64,
        learn_table: bool = False,
        temperature: float = 20.0,
        learn_temperature: bool = True,
        background: str = 'learned',
    ) -> None:
        super().__init__()
        right = 0 < temperature <= MAX_TEMPERATURE and dim > 0
        if background not in BACKGROUNDS or not right:
            raise InputError(
                f'EmbeddingClassifier: background {background!r} (of {", ".join(BACKGROUNDS)}), '
                f'temperature {temperature} (above 0, up to {MAX_TEMPERATURE:g}), '
                f'dim {dim} (above 0)'
            )
        self._read = _read_vocabulary(table, words, classes)
        names = self._read.names if self._read else _names(words, classes)
        vectors = _start(self._read, names, dim)
        self.words: tuple[str, ...] = names
        self.classes, rows = _class_rows(names, classes, out_features - 1)
        self.learns_table = learn_table or self._read is None
        if self.learns_table:
            self.table = nn.Parameter(vectors)
        else:
            self.register_buffer('table', vectors)
        self.register_buffer('class_rows', rows, persistent=False)
        self.project: nn.Module = nn.Linear(in_features, vectors.shape[1])
        self.log_temperature = nn.Parameter(
            torch.tensor(math.log(temperature)), requires_grad=learn_temperature
        )
        self.background = background
        if background == 'learned':
            self.background_vector = nn.Parameter(_unit(torch.randn(vectors.shape[1])))
        self.kept: Tensor | None = None
        self.keeps = False

    @property
    def temperature(self) -> Tensor:
        """tau, a scalar ``[]``."""
        return self.log_temperature.exp().clamp(max=MAX_TEMPERATURE)

    def embed(self, features: Tensor) -> Tensor:
        """Features ``[n, F]`` of regions in the space of the words: ``[n, D]`` fp32 of length 1."""
        return _unit(self.project(features).float())

    def forward(self, features: Tensor) -> Tensor:
        """Logits ``[n, C + 1]`` of features ``[n, F]``, in fp32."""
        embeddings = self.embed(features)
        if self.keeps:
            self.kept = embeddings
        with torch.autocast(features.device.type, enabled=False):
            logits = embeddings @ self._columns().T
            return logits * self.temperature

    def word_vectors(self) -> Tensor:
        """``[W, D]`` of length 1."""
        return _unit(self.table.float())

    def text_table(self) -> TextTable:
        """The words as they are now, for search and for files."""
        if self._read is not None and not self.learns_table:
            return self._read
        vectors = self.word_vectors().detach().cpu().numpy()
        return TextTable(self.words, vectors, 'EmbeddingClassifier')

    def replace(self, table: TextTable, classes: Sequence[str] | None = None) -> None:
        """Take another vocabulary; any number of classes, the same D.

        Args:
            table: of the new words.
            classes: those that are classes; None: all.

        Raises:
            InputError: another D.
        """
        if table.vectors.shape[1] != self.table.shape[1]:
            raise InputError(
                f'{table.source}: vectors of {table.vectors.shape[1]} numbers, the classifier was '
                f'trained with {self.table.shape[1]}'
            )
        vectors = torch.from_numpy(table.vectors).to(self.table)
        self._read, self.words = table, table.names
        self.classes, rows = _class_rows(table.names, classes, len(classes or table.names))
        self.class_rows = rows.to(self.table.device)
        if self.learns_table:
            self.table = nn.Parameter(vectors)
        else:
            self.register_buffer('table', vectors)

    def _columns(self) -> Tensor:
        """The vectors of classes and background, ``[C + 1, D]``."""
        vectors = self.word_vectors()[self.class_rows]
        if self.background == 'learned':
            last = _unit(self.background_vector.float())[None]
        else:
            last = vectors.new_zeros(1, vectors.shape[1])
        return torch.cat([vectors, last])

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *args: Any) -> None:
        """Fixed vectors are those of the config: a checkpoint does not bring back its own."""
        if not self.learns_table and f'{prefix}table' in state:
            state[f'{prefix}table'] = self.table
        super()._load_from_state_dict(state, prefix, *args)


def _unit(vectors: Tensor) -> Tensor:
    return functional.normalize(vectors, dim=-1, eps=1e-6)


def _read_vocabulary(
    table: str | TextTable | None, words: Sequence[str] | None, classes: Sequence[str] | None
) -> TextTable | None:
    if table is None:
        return None
    if isinstance(table, TextTable):
        return table if words is None else table.of(words)
    is_bare = str(table).endswith('.npy')
    return read_table(table, (words or classes) if is_bare else words)


def _names(words: Sequence[str] | None, classes: Sequence[str] | None) -> tuple[str, ...]:
    names = tuple(words or classes or ())
    if not names:
        raise InputError('EmbeddingClassifier: name a table, or words that are learned')
    return names


def _start(table: TextTable | None, names: Sequence[str], dim: int) -> Tensor:
    """The vectors ``[W, D]`` at the start."""
    if table is None:
        return _unit(torch.randn(len(names), dim))
    return torch.from_numpy(table.vectors.copy())


def _class_rows(
    names: Sequence[str], classes: Sequence[str] | None, count: int
) -> tuple[tuple[str, ...], Tensor]:
    """The classes and their rows among the words."""
    chosen = tuple(names if classes is None else classes)
    if len(chosen) != count:
        what = 'words' if classes is None else 'classes'
        raise InputError(
            f'EmbeddingClassifier: {len(chosen)} {what} for a head of num_classes {count}; name '
            'the classes among the words, in the order of the labels, by `classes`'
        )
    table = TextTable(tuple(names), torch.eye(len(names)).numpy(), 'the words of the classifier')
    plain = [plain_name(name) for name in chosen]
    if twice := [name for name in plain if plain.count(name) > 1]:
        raise InputError(f'EmbeddingClassifier: {twice[0]!r} is there twice among the classes')
    return chosen, torch.from_numpy(table.rows(chosen))
