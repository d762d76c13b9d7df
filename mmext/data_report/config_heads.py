"""For how many classes a model is meant, read from its config: the model is not built."""

from collections.abc import Iterator, Mapping
from typing import Any

from mmext.configuration import walk
from mmext.pipelines.data_check_hook import is_counted_head


def configured_heads(model: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Name and ``num_classes`` of the box and mask heads that state one."""
    for place, part in walk(model):
        number = part.get('num_classes')
        if (
            isinstance(number, int)
            and is_counted_head(place)
            and 'RPN' not in str(part.get('type'))
        ):
            yield place, number


def configured_panoptic(model: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, int]]]:
    """Name, thing and stuff classes of the parts that state both numbers."""
    for place, part in walk(model):
        things, stuff = part.get('num_things_classes'), part.get('num_stuff_classes')
        if isinstance(things, int) and isinstance(stuff, int):
            yield place or 'model', (things, stuff)
