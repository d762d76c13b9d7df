"""For how many classes a model is meant, read from its config: the model is not built.

A model that states ``num_things_classes`` itself, as UPSNet and VPSNet do, writes its numbers into
all of its heads; what their configs have inherited there does not count.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from mmext.configuration import walk
from mmext.pipelines.data_check_hook import is_counted_head


def configured_heads(model: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Name and ``num_classes`` of the box and mask heads that state one."""
    stated_once = model.get('num_things_classes')
    for place, part in walk(model):
        number = part.get('num_classes')
        if (
            isinstance(number, int)
            and is_counted_head(place)
            and 'RPN' not in str(part.get('type'))
        ):
            yield place, stated_once if isinstance(stated_once, int) else number


def configured_panoptic(model: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, int]]]:
    """Name, thing and stuff classes of the parts that state both numbers."""
    is_stated_once = isinstance(model.get('num_things_classes'), int)
    for place, part in walk(model):
        if place and is_stated_once:
            return
        things, stuff = part.get('num_things_classes'), part.get('num_stuff_classes')
        if isinstance(things, int) and isinstance(stuff, int):
            yield place or 'model', (things, stuff)
