"""Hooks that a config switches off with None.

Host: ``mmengine.runner.Runner.register_default_hooks``, ``register_custom_hooks``.
Fault: ``default_hooks=dict(NAME=None)`` switches off a hook of mmengine's own; of any other name,
also of one that came from a base config, it ends in an ``assert`` without a message. A None in
``custom_hooks`` is refused as well.
Repair: what is None is left out, but for the names that would bring mmengine's own hooks back.
"""

from mmengine.config import Config

OWN_OF_HOST = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')


def leave_out_absent_hooks(config: Config) -> None:
    """Do so in place."""
    hooks = config.get('default_hooks')
    if isinstance(hooks, dict):
        for name in [name for name, hook in hooks.items() if hook is None]:
            if name not in OWN_OF_HOST:
                del hooks[name]
    custom = config.get('custom_hooks')
    if isinstance(custom, list | tuple) and any(hook is None for hook in custom):
        config.custom_hooks = [hook for hook in custom if hook is not None]
