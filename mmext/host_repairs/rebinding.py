"""A function of the host replaced in every module that has imported it by name."""

import functools
import sys
from collections.abc import Callable
from typing import Any


def rebind(function: Callable[..., Any], replacement: Callable[..., Any]) -> None:
    """Let every loaded module of mmdet call ``replacement`` where it called ``function``.

    Args:
        function: of the host.
        replacement: gets its name and signature; the original is its ``__wrapped__``.
    """
    name = function.__name__
    replacement = functools.wraps(function)(replacement)
    for module_name, module in list(sys.modules.items()):
        if module_name.startswith('mmdet.') and vars(module).get(name) is function:
            setattr(module, name, replacement)
