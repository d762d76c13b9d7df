"""One optimizer for each group of networks, by config."""

from typing import Any

from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapperDict, build_optim_wrapper
from torch import nn

from mmext.errors import InputError
from mmext.registry import OPTIM_WRAPPER_CONSTRUCTORS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class NetworkOptimWrapperConstructor:
    """Builds an ``OptimWrapperDict``, for which mmengine has no constructor.

    .. code-block:: python

        optim_wrapper = dict(
            constructor='mmext.NetworkOptimWrapperConstructor',
            generators=dict(networks=('generator_ab', 'generator_ba'), optimizer=...),
            discriminators=dict(networks=('discriminator_a', 'discriminator_b'), optimizer=...))

    A group takes all that mmengine's ``optim_wrapper`` takes, ``type`` and ``paramwise_cfg`` too.
    Gradient norms are logged under its name. ``param_scheduler`` is a list for all, or a dict by
    group.

    Args:
        optim_wrapper_cfg: group -> config with ``networks``, names of attributes of the model.
        paramwise_cfg: for all groups that have none of their own.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        self.groups = {name: value for name, value in optim_wrapper_cfg.items() if name != 'type'}
        self.paramwise_cfg = paramwise_cfg

    def __call__(self, model: nn.Module) -> OptimWrapperDict:
        """The optimizers of a model.

        Raises:
            InputError: a group that is no config with networks, a name that is no network of the
                model, one in two groups, or a network that learns and is in none.
        """
        inner: nn.Module = model.module if is_model_wrapper(model) else model  # type: ignore[assignment]
        owners: dict[str, str] = {}
        wrappers = {}
        for group, config in self.groups.items():
            networks = self._networks(group, config, inner)
            for name in networks:
                if name in owners:
                    raise InputError(
                        f'optim_wrapper: {name!r} is in {owners[name]!r} and {group!r}; expected '
                        'every network in one group'
                    )
                owners[name] = group
            own = {key: value for key, value in config.items() if key != 'networks'}
            if self.paramwise_cfg is not None:
                own.setdefault('paramwise_cfg', self.paramwise_cfg)
            wrapper = build_optim_wrapper(
                nn.ModuleDict({name: getattr(inner, name) for name in networks}), own
            )
            wrapper.log_group = f'{group}/'
            if wrapper.clip_grad_kwargs:  # it logs the norm or value itself
                wrapper.grad_name = f'{group}/{wrapper.grad_name}'
            wrappers[group] = wrapper
        left = [name for name, child in inner.named_children() if _learns(child)]
        if left := [name for name in left if name not in owners]:
            raise InputError(
                f'optim_wrapper: {", ".join(left)} would not learn: name it in the networks of a '
                f'group ({", ".join(self.groups)}), or freeze it'
            )
        return OptimWrapperDict(**wrappers)

    def _networks(self, group: str, config: Any, model: nn.Module) -> tuple[str, ...]:
        networks = config.get('networks') if isinstance(config, dict) else None
        if not networks or isinstance(networks, str):
            raise InputError(
                f'optim_wrapper.{group}: expected a dict with networks=(...), names of networks of '
                f'the model, got {networks if isinstance(config, dict) else config!r}'
            )
        known = [name for name, child in model.named_children() if _learns(child)]
        for name in networks:
            if name not in known:
                raise InputError(
                    f'optim_wrapper.{group}.networks: {name!r} is no network of '
                    f'{type(model).__name__} that learns; expected some of {", ".join(known)}'
                )
        return tuple(networks)


def _learns(module: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in module.parameters())
