"""What is compared: configs of ours, the user's or mmdet's, with or without weights."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from mmengine.config import Config

from mmext.configuration import load_config, remove_pretrained
from mmext.host_repairs.configs import adapt_config
from mmext.inference.checkpoints import check_exists


@dataclass(frozen=True)
class Candidate:
    """A model to measure.

    Attributes:
        label: short and different from all others of the run.
        source: the config as it was named.
        checkpoint: file or URL of its weights; None measures an untrained net.
        config: read, with the options of the command line, without pretrained weights.
    """

    label: str
    source: str
    checkpoint: str | None
    config: Config


def load_candidates(
    specs: Sequence[str], options: Mapping[str, Any] | None = None
) -> list[Candidate]:
    """Read the configs named by ``CONFIG`` or ``CONFIG=CHECKPOINT``.

    Args:
        specs: as on the command line; ``CONFIG`` may be ``mmdet::…`` or ``mmext::…``.
        options: ``--cfg-options``, for all of them.

    Raises:
        InputError: a config or a checkpoint is not there.
    """
    pairs = [_split(spec) for spec in specs]
    for _, checkpoint in pairs:
        if checkpoint is not None:
            check_exists(checkpoint)
    found = []
    for label, (source, checkpoint) in zip(_labels(pairs), pairs, strict=True):
        config = load_config(source, options)
        remove_pretrained(config)
        for line in adapt_config(config, single_process=True):
            print(f'{label}: {line}')
        found.append(Candidate(label, source, checkpoint, config))
    return found


def _split(spec: str) -> tuple[str, str | None]:
    config, _, checkpoint = spec.partition('=')
    return config, checkpoint or None


def _labels(pairs: Sequence[tuple[str, str | None]]) -> list[str]:
    """The stem of the config; where two share it, with that of the checkpoint or a number."""
    stems = [PurePath(source.rpartition('::')[2]).stem for source, _ in pairs]
    counts = Counter(stems)
    labels: list[str] = []
    for stem, (_, checkpoint) in zip(stems, pairs, strict=True):
        label = stem
        if counts[stem] > 1 and checkpoint is not None:
            label = f'{stem} ({PurePath(checkpoint).stem})'
        same = sum(other == label or other.startswith(f'{label} #') for other in labels)
        labels.append(f'{label} #{same + 1}' if same else label)
    return labels
