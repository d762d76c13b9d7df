r"""What stays in float32 under mixed precision: the declared list, and how a user extends it.

A pattern is a regular expression that matches the whole path of a module in the
model (``roi_head\.bbox_head``) or the whole name of its class or one of its base
classes (``.*Loss``). In a config, ``fp32_modules`` adds patterns and
``low_precision_modules`` takes modules off the list again.
"""

import difflib
import re
from collections.abc import Iterable
from typing import NamedTuple

from torch import nn

from mmext.errors import InputError

# mmdet's protocol: what turns the outputs of a network into losses or results
_AFTER_THE_NETWORK = ('loss_by_feat', 'predict_by_feat', 'loss_and_target', 'refine_bboxes')


class Rule(NamedTuple):
    """Run methods of matching modules in float32, on inputs cast to float32."""

    name: str
    pattern: str
    methods: tuple[str, ...] = ('forward',)
    low_outputs: bool = False
    """Whether the results are cast to the low precision, as other convolutions' are."""


RULES = (
    # logarithms, differences of near equals, sums over an image
    Rule('losses', '.*Loss'),
    # the coordinates of RoIs are rounded to the dtype of the features: up to 4 px in bf16
    Rule('RoI extractors', 'BaseRoIExtractor'),
    # mmcv has no bf16 kernel; rounded offsets displace samples
    Rule('deformable convolutions', '(Modulated)?DeformConv2d', low_outputs=True),
    # sigmoids near 0 and 1 whose logarithm is taken: 1 - sigmoid(9) is 0 in fp16
    Rule('heatmap heads', r'(.+\.)?\w*_?heat(map)?(_\w+)?(\.\d+)?'),
    # anchors take the dtype of the scores, boxes are decoded, masks pasted
    Rule('box and mask arithmetic', '.*', _AFTER_THE_NETWORK),
    # pixels 0..255 and displacements: half precision rounds both by whole units
    Rule('optical flow', 'OpticalFlow'),
    # these get logits, and only interpolate and score them
    Rule('UPSNet heads after the network', 'UPSNet(Semantic|Panoptic)Head', ('loss', 'predict')),
)

# a user names a module, not its protocol
_ANY_METHOD = ('forward', 'loss', 'predict', 'loss_and_predict', *_AFTER_THE_NETWORK)


def user_rule(pattern: str) -> Rule:
    """The rule of one pattern in ``fp32_modules``."""
    return Rule(pattern, pattern, _ANY_METHOD)


def matching_modules(model: nn.Module, pattern: str) -> dict[str, nn.Module]:
    """The modules that a pattern means, by path.

    Raises:
        InputError: the pattern is not a regular expression.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise InputError(f'{pattern!r} is not a regular expression: {error}') from None
    return {
        path: module
        for path, module in model.named_modules()
        if expression.fullmatch(path)
        or any(expression.fullmatch(name) for name in _class_names(module))
    }


def check_patterns(model: nn.Module, argument: str, patterns: Iterable[str]) -> None:
    """Refuse a pattern that means nothing in this model.

    Raises:
        InputError: naming the argument, the pattern, and what it may have meant.
    """
    for pattern in patterns:
        if not matching_modules(model, pattern):
            known = [path for path, _ in model.named_modules()]
            known += sorted({type(module).__name__ for module in model.modules()})
            close = difflib.get_close_matches(pattern, known, n=3, cutoff=0.5)
            raise InputError(
                f'{argument}: {pattern!r} matches no module of {type(model).__name__}; expected '
                'a regular expression for the whole path of a module or name of a class'
                + (f', as {", ".join(close)}' if close else '')
            )


def _class_names(module: nn.Module) -> list[str]:
    names = [cls.__name__ for cls in type(module).__mro__]
    return names[: names.index('Module')]
