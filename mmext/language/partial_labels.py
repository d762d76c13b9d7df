"""Boxes of a data set that labels only some classes are no negatives of the others.

What such a data set calls background may be an object of a class that it does not label: the logits
of those classes are folded into that of the background (the probability of "background or one of
them" is what is learned), and no gradient pushes them apart. Cf. Zhao et al. 2020, "Object
Detection with a Unified Label Space from Multiple Datasets".

Shape legend: n regions, C classes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

FOLDED = -1e4
"""The logit of a folded class: no probability, no gradient, finite in fp16."""


def fold_unlabelled(logits: Tensor, unlabelled: Tensor, exclusive: bool = True) -> Tensor:
    """Logits in which the classes that are not labelled are part of the background.

    Args:
        logits: ``[n, C + 1]``, the background last.
        unlabelled: ``[n, C]``, bool.
        exclusive: the classes share one softmax; else each has a sigmoid of its own, and those
            that are not labelled are only taken out.

    Returns:
        ``[n, C + 1]``.
    """
    hidden = torch.cat([unlabelled, unlabelled.new_zeros(len(unlabelled), 1)], 1)
    folded = logits.masked_fill(hidden, FOLDED)
    if exclusive:
        either = torch.cat([logits[:, :-1].masked_fill(~unlabelled, FOLDED), logits[:, -1:]], 1)
        folded = torch.cat([folded[:, :-1], either.logsumexp(1, keepdim=True)], 1)
    return folded


def unlabelled_rows(
    labelled: Sequence[Sequence[int] | None], image_index: Tensor, num_classes: int
) -> Tensor:
    """Which classes the image of each region does not label, ``[n, C]``.

    Args:
        labelled: for each image its labelled classes; None: all.
        image_index: ``[n]``.
        num_classes: C.
    """
    missing = torch.zeros(len(labelled), num_classes, dtype=torch.bool)
    for image, classes in enumerate(labelled):
        if classes is not None:
            missing[image] = True
            missing[image, list(classes)] = False
    return missing.to(image_index.device)[image_index]
