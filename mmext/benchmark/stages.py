"""Where the time of one prediction goes: preprocessing, net, post-processing.

A detector of the host has no line between net and post-processing that could be called from
outside: ``predict`` runs the layers, decodes, suppresses and pastes. What can be observed is
torch's own protocol: layers, necks and heads are modules, and a module runs when it is called.

- *net*: the time inside calls of modules below the detector, and in the proposal head
  (``rpn_head.predict``), whose decoding and suppression the rest of the net waits for;
- *post*: the rest of ``predict``: score thresholds, decoding, suppression, masks pasted into the
  image, panoptic fusion, and tensor operations that a detector does between its modules;
- *pre*: reading and transforming the files, collation, and the data preprocessor (transfer to
  the device, normalisation, padding).
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from torch import nn


class Stages(NamedTuple):
    """Milliseconds of one prediction."""

    pre: float
    net: float
    post: float


class NetClock:
    """Adds up the time that a model spends in its modules.

    Args:
        model: a detector; its data preprocessor is not counted.
        wait: returns when the device is done, see :func:`.timing.waiter`.
    """

    def __init__(self, model: nn.Module, wait: Callable[[], None]) -> None:
        self.milliseconds = 0.0
        self._model = model
        self._wait = wait
        self._depth = 0
        self._entered = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count from zero while the context lasts."""
        self.milliseconds, self._depth = 0.0, 0
        parts = [
            module
            for name, child in self._model.named_children()
            if name != 'data_preprocessor'
            for module in child.modules()
        ]
        hooks = [part.register_forward_pre_hook(self._enter) for part in parts]
        hooks += [part.register_forward_hook(self._leave, always_call=True) for part in parts]
        proposals = getattr(self._model, 'rpn_head', None)
        if proposals is not None:
            proposals.predict = self._counted(proposals.predict)
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
            if proposals is not None:
                del proposals.predict  # the class's own is seen again

    def _counted(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self._enter()
            try:
                return method(*args, **kwargs)
            finally:
                self._leave()

        return counted

    def _enter(self, *_: Any) -> None:
        if self._depth == 0:
            self._wait()
            self._entered = time.perf_counter()
        self._depth += 1

    def _leave(self, *_: Any) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._wait()
            self.milliseconds += 1e3 * (time.perf_counter() - self._entered)
