"""The config and the weights of a logged model: read as data, no line of them is run.

Part of the script inside a model, see :mod:`.served_script`.
"""

import ast
import importlib.util
import pickle
import warnings
from typing import Any

_HOST = ('mmcv', 'mmdet', 'mmengine', 'mmext', 'mmpose', 'mmpretrain', 'mmseg', 'torch')
_NAMED = ('type', 'warp_mode')  # entries that the host looks up by name, the second by `eval`


def read_config(text: str, allow_imports: bool = False) -> Any:
    """The config of the model, as mmengine's Config; its text is read, not run.

    Args:
        text: assignments of plain values.
        allow_imports: whether the modules of its ``custom_imports`` are imported.

    Raises:
        ValueError: it has more than that, or names what is no class of the host's.
    """
    from mmengine.config import Config
    from mmengine.utils import import_modules_from_strings

    values = {}
    for statement in ast.parse(text).body:
        try:
            (name,) = (target.id for target in statement.targets)  # type: ignore[attr-defined]
            values[name] = ast.literal_eval(_DictCalls().visit(statement).value)
        except (AttributeError, TypeError, ValueError):
            line = f'config, line {statement.lineno}'
            raise ValueError(f'{line}: expected the assignment of a plain value') from None
    if values.get('custom_imports'):
        if not allow_imports:
            raise ValueError('config: custom_imports needs the setting custom_imports of the model')
        import_modules_from_strings(**values['custom_imports'])
    _check_names(values)
    return Config(values)


def _check_names(node: Any) -> None:
    """Refuse names that the host would import or call, but are no classes of it."""
    items = list(node.items()) if isinstance(node, dict) else []
    for key, value in items:
        if key in _NAMED and isinstance(value, str) and not _is_harmless(value):
            raise ValueError(f'config: {key}={value[:60]!r} is no class of the host')
    for value in [value for _, value in items] or (node if isinstance(node, list | tuple) else ()):
        _check_names(value)


def _is_harmless(name: str) -> bool:
    """Whether a name is looked up in a registry, or is a class of the host or a layer of torch."""
    from mmengine.utils import get_object_from_string

    package, dot, _ = name.partition('.')
    if not all(part.isidentifier() for part in name.split('.')):
        return False
    if not dot:  # what no registry has, mmengine takes for a module
        return importlib.util.find_spec(package) is None
    if package == 'cv2':  # names of constants
        return name.count('.') == 1 and name[4:].isupper()
    if package not in _HOST:
        return False
    found = get_object_from_string(name)
    if package == 'torch':
        return isinstance(found, type) and name.startswith(('torch.nn.', 'torch.optim.'))
    return found is None or isinstance(found, type)


class _DictCalls(ast.NodeTransformer):
    """Spells ``dict(a=1)`` as ``{'a': 1}``, which is a literal."""

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        given = [argument for argument in node.args if isinstance(argument, ast.Dict)]
        if getattr(node.func, 'id', None) != 'dict' or len(given) < len(node.args):
            return node
        keys = [key for argument in given for key in argument.keys]
        values = [value for argument in given for value in argument.values]
        named = [(ast.Constant(part.arg), part.value) for part in node.keywords]
        return ast.Dict([*keys, *(k for k, _ in named)], [*values, *(v for _, v in named)])


def load_detector(config: Any, weights: str, device: str) -> Any:
    """The net in evaluation mode, with the tensors of a file.

    Raises:
        ValueError: the file holds more than tensors and plain values.
    """
    import torch
    from mmdet.apis import init_detector
    from mmengine.runner import load_state_dict

    try:
        content = torch.load(weights, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        message = 'expected tensors and plain values alone; what else there is could run code'
        raise ValueError(f'{weights}: {message}') from error
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # that there is no checkpoint: it comes below
        # without options the host looks into the backbone, which a model around another lacks
        options: dict[str, Any] | None = None if 'backbone' in config.model else {}
        model = init_detector(config, None, 'random', 'cpu', options)
    state = {key.removeprefix('module.'): value for key, value in content['state_dict'].items()}
    load_state_dict(model, state)
    model.dataset_meta = content['meta']['dataset_meta']
    return model.to(device)


def accelerated(model: Any, precision: str) -> Any:
    """A copy that predicts the same in less time, where mmext is installed; else the model."""
    if importlib.util.find_spec('mmext') is None:
        return model
    import mmext

    return mmext.fast(model, precision)


def image_pipeline(config: Any) -> list[dict[str, Any]]:
    """The test pipeline for an image in memory: nothing is read, no annotation loaded."""
    from mmdet.utils import get_test_pipeline_cfg

    steps = [dict(step) for step in get_test_pipeline_cfg(config)]
    loaders = [i for i, step in enumerate(steps) if 'LoadImage' in str(step['type'])]
    if not loaders:
        raise ValueError('test pipeline: expected a step that loads an image, found none')
    steps[loaders[0]] = {'type': 'mmdet.LoadImageFromNDArray'}
    truths = ('Annotations', 'LoadKeypoints')
    return [step for step in steps if not any(name in str(step['type']) for name in truths)]
