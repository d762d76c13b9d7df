"""Guards that keep part of a model in float32 while autocast runs the rest in half precision.

Three kinds, all at class level and undone by :meth:`OpGuards.remove`:

- methods of the modules that the rules name (:mod:`.fp32_rules`) run with autocast off,
  on inputs cast to float32;
- every operation of mmcv (a subclass of ``torch.autograd.Function`` below ``mmcv.ops``)
  gets float32 inputs, wherever it is called from: none has a bf16 kernel, NMS reads
  float32 whatever it is given, and kernels assume contiguous memory;
- a strided convolution of a map narrower than its stride, as in the last levels of a pyramid
  on a small image: the CPU kernel for its weight gradient in bf16 reads memory that was never
  written (seen with torch 2.13), so the gradient is now and then infinite or arbitrary.
"""

import inspect
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import mmcv.ops  # noqa: F401 - defines the operations that are looked up below
import torch
from torch import Tensor, nn
from torch.autograd import Function

from mmext.hooks.mixed_precision.casting import (
    LOW_DTYPES,
    cast_tensors,
    to_contiguous_float32,
    to_float32,
)
from mmext.hooks.mixed_precision.fp32_rules import (
    RULES,
    Rule,
    check_patterns,
    matching_modules,
    user_rule,
)
from mmext.hooks.mixed_precision.patches import Patches, owner_of

# functions of mmcv's extension that take boxes and return indices, called without a Function
_BOX_FUNCTIONS = ('nms_match', 'nms_rotated', 'nms_quadri')


class OpGuards:
    """The guards of one model.

    Args:
        model: the modules that rules are matched with, without a distributed wrapper.
        device_type: where it runs.
        dtype: autocast's dtype.
        fp32_modules: patterns of modules to keep in float32 beside the declared ones.
        low_precision_modules: patterns of modules to take off the declared list;
            ``fp32_modules`` wins over it.

    Raises:
        ValueError: a pattern matches nothing.
    """

    def __init__(
        self,
        model: nn.Module,
        device_type: str,
        dtype: torch.dtype,
        fp32_modules: Sequence[str] = (),
        low_precision_modules: Sequence[str] = (),
    ) -> None:
        check_patterns(model, 'fp32_modules', fp32_modules)
        check_patterns(model, 'low_precision_modules', low_precision_modules)
        self.device_type = device_type
        self.dtype = dtype
        self.model = model
        self.fired: Counter[str] = Counter()
        self.guarded: Counter[str] = Counter()
        self._running: list[str] = []
        # method -> module -> rule
        self._members: dict[str, WeakKeyDictionary[nn.Module, Rule]] = {}
        self._patches = Patches()
        self._patched: set[tuple[type, str]] = set()
        self._allowed = {
            module
            for pattern in low_precision_modules
            for module in matching_modules(model, pattern).values()
        }
        self._rules = [*map(user_rule, fp32_modules), *RULES]

    @property
    def running(self) -> str | None:
        """The rule that the code runs under right now."""
        return self._running[-1] if self._running else None

    def install(self) -> None:
        """Put the guards in place."""
        for rule in self._rules:
            self._guard_modules(rule, exempt=self._allowed if rule in RULES else set())
        for function in _mmcv_functions():
            self._patches.wrap(function, 'forward', partial(self._full_inputs, function.__name__))
        extension = sys.modules['mmcv._ext']
        for name in _BOX_FUNCTIONS:
            if name in vars(extension):
                self._patches.wrap(extension, name, partial(self._full_inputs, name))
        if self.device_type == 'cpu' and self.dtype == torch.bfloat16:
            self._patches.wrap(nn.Conv2d, '_conv_forward', self._full_if_narrow)

    def remove(self) -> None:
        """Take the guards away."""
        self._patches.restore()
        self._patched.clear()
        self._members.clear()  # for a method that somebody else has wrapped meanwhile

    def __enter__(self) -> 'OpGuards':
        self.install()
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def add(self, path: str) -> None:
        """Keep one more module in float32 from now on."""
        self._guard(self.model.get_submodule(path), user_rule(path))

    def describe(self) -> str:
        """What is guarded: rules and how many modules each found."""
        rules = [f'{name} ({count})' for name, count in self.guarded.items()]
        return ', '.join([*rules, 'operations of mmcv'])

    def describe_fired(self) -> str:
        """How often each guard did something."""
        never = [name for name in self.guarded if not self.fired[name]]
        counts = [f'{name} {count}x' for name, count in self.fired.most_common()]
        return ', '.join(counts + [f'{name} never' for name in never])

    def _guard_modules(self, rule: Rule, exempt: set[nn.Module]) -> None:
        inside: tuple[str, ...] = ()
        for path, module in matching_modules(self.model, rule.pattern).items():
            if module in exempt or ('forward' in rule.methods and path.startswith(inside)):
                continue
            if self._guard(module, rule) and 'forward' in rule.methods:
                inside += (f'{path}.',)

    def _guard(self, module: nn.Module, rule: Rule) -> bool:
        """Whether the module has a method for the rule."""
        found = False
        for name in rule.methods:
            if not inspect.isfunction(getattr(type(module), name, None)):
                continue
            owner = owner_of(type(module), name)
            if owner in (nn.Module, nn.ModuleList, nn.ModuleDict):
                continue  # has no forward
            found = True
            self._members.setdefault(name, WeakKeyDictionary()).setdefault(module, rule)
            if (owner, name) not in self._patched:
                self._patched.add((owner, name))
                self._patches.wrap(owner, name, partial(self._full_precision, name))
        if found:
            self.guarded[rule.name] += 1
        return found

    def _full_precision(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            rule = self._members[name].get(module) if name in self._members else None
            is_on = torch.is_autocast_enabled(self.device_type)
            if rule is None or not (is_on or self._running):
                return method(module, *args, **kwargs)
            self.fired[rule.name] += 1
            if not is_on:  # inside another guard
                return method(module, *args, **kwargs)
            self._running.append(rule.name)
            try:
                # a layer that says so reads either order: a copy would be turned back inside
                any_order = getattr(module, 'takes_any_memory_order', False)
                cast = to_float32 if any_order else to_contiguous_float32
                with torch.autocast(self.device_type, enabled=False):
                    outputs = method(module, *cast(args), **cast(kwargs))
            finally:
                self._running.pop()
            if rule.low_outputs:
                return cast_tensors(outputs, (torch.float32,), self.dtype)
            return outputs

        return guarded

    def _full_inputs(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*args: Any, **kwargs: Any) -> Any:
            low = any(_is_low(value) for value in (*args, *kwargs.values()))
            self.fired[name] += low or bool(self._running)
            with torch.autocast(self.device_type, enabled=False):
                return function(*to_contiguous_float32(args), **to_contiguous_float32(kwargs))

        return guarded

    def _full_if_narrow(self, convolve: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def guarded(conv: nn.Conv2d, x: Tensor, *args: Any) -> Tensor:
            if x.shape[-1] >= conv.stride[1] or not torch.is_autocast_enabled(self.device_type):
                return convolve(conv, x, *args)
            self.fired['convolutions of narrow maps'] += 1
            with torch.autocast(self.device_type, enabled=False):
                return convolve(conv, x.float(), *args).to(self.dtype)

        return guarded


def _mmcv_functions() -> list[type[Function]]:
    """Every operation of mmcv with a kernel of its own."""
    functions: list[type[Function]] = []
    pending = Function.__subclasses__()
    while pending:
        cls = pending.pop()
        pending += cls.__subclasses__()
        if cls.__module__.startswith('mmcv.ops.') and 'forward' in vars(cls):
            functions.append(cls)
    return sorted(functions, key=lambda cls: cls.__name__)


def _is_low(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dtype in LOW_DTYPES
