"""The registries of mmext: one child for each registry of mmdet, scope ``mmext``.

A config names a class of ours as ``type='mmext.UPSNet'``: mmengine then imports
this module and, on the first look-up, the ``registered.py`` files in
``locations``; no ``custom_imports`` is needed, whatever the default scope is.
The parent is mmdet's registry, so plain mmdet names keep working below
``default_scope='mmext'`` as well.

Every kind has a child, even one that we add nothing to: a config inherited by
``_base_ = 'mmext::...'`` carries ``_scope_='mmext'`` in each of its dicts, and
for a kind without a child mmengine would look in its root registry alone, which
does not know mmdet's classes.

A new room adds its ``registered.py`` to the kinds it has classes for.
"""

from typing import Any

from mmdet import registry as host
from mmengine.registry import Registry

_CENTERNET = 'mmext.centernet.registered'
_DATA_WORKERS = 'mmext.hooks.data_workers.registered'
_DENSEPOSE = 'mmext.densepose.registered'
_DUE_VALIDATION = 'mmext.hooks.due_validation.registered'
_EXPLAIN = 'mmext.explain.registered'
_FINITE_WEIGHTS = 'mmext.hooks.finite_weights.registered'
_LAYERS = 'mmext.layers.registered'
_LANDMARKS = 'mmext.landmarks.registered'
_LANGUAGE = 'mmext.language.registered'
_METRICS = 'mmext.metrics.registered'
_MLFLOW = 'mmext.hooks.mlflow_logging.registered'
_PIPELINES = 'mmext.pipelines.registered'
_PRECISION = 'mmext.hooks.mixed_precision.registered'
_RANDOM_STATE = 'mmext.hooks.random_state.registered'
_RETINAFACE = 'mmext.retinaface.registered'
_SWEEP = 'mmext.sweep.registered'
_SYNC_BUFFERS = 'mmext.hooks.sync_buffers.registered'
_TRANSLATION = 'mmext.translation.registered'
_UPSNET = 'mmext.upsnet.registered'
_VPSNET = 'mmext.vpsnet.registered'
_YOLACT_EDGE = 'mmext.yolact_edge.registered'
# rooms with models, data sets and transforms
_WITH_DATA = (
    _DENSEPOSE,
    _LANDMARKS,
    _LANGUAGE,
    _RETINAFACE,
    _TRANSLATION,
    _UPSNET,
    _VPSNET,
    _YOLACT_EDGE,
)


class _ChildRegistry(Registry):
    """A registry that finds all that its parent finds.

    mmengine's own look-up takes only what the parent has imported so far, and
    knows no packages beside this one.
    """

    def get(self, key: str) -> Any:
        found = super().get(key)
        return self.parent.get(key) if found is None else found


def _child(parent: Registry, *locations: str) -> Registry:
    # mmengine takes an empty list for an old-style package and warns: name this file instead
    locations = locations or (__name__,)
    child = _ChildRegistry(parent.name, parent=parent, scope='mmext', locations=list(locations))
    # From a scope that is neither ours nor mmdet's, prefixes are looked up at the root alone.
    child._get_root_registry()._add_child(child)
    return child


MODELS = _child(host.MODELS, _CENTERNET, _LAYERS, *_WITH_DATA)
DATASETS = _child(host.DATASETS, _PIPELINES, *_WITH_DATA)
TRANSFORMS = _child(host.TRANSFORMS, _CENTERNET, _PIPELINES, *_WITH_DATA)
METRICS = _child(host.METRICS, _LANGUAGE, _METRICS, _TRANSLATION)
HOOKS = _child(
    host.HOOKS,
    _DATA_WORKERS,
    _DUE_VALIDATION,
    _EXPLAIN,
    _FINITE_WEIGHTS,
    _LANGUAGE,
    _MLFLOW,
    _PIPELINES,
    _PRECISION,
    _RANDOM_STATE,
    _SWEEP,
    _SYNC_BUFFERS,
)

DATA_SAMPLERS = _child(host.DATA_SAMPLERS, _PIPELINES)
EVALUATOR = _child(host.EVALUATOR)
LOG_PROCESSORS = _child(host.LOG_PROCESSORS)
LOOPS = _child(host.LOOPS)
MODEL_WRAPPERS = _child(host.MODEL_WRAPPERS)
OPTIMIZERS = _child(host.OPTIMIZERS)
OPTIM_WRAPPERS = _child(host.OPTIM_WRAPPERS, _PRECISION)
OPTIM_WRAPPER_CONSTRUCTORS = _child(host.OPTIM_WRAPPER_CONSTRUCTORS, _TRANSLATION)
PARAM_SCHEDULERS = _child(host.PARAM_SCHEDULERS)
RUNNERS = _child(host.RUNNERS)
RUNNER_CONSTRUCTORS = _child(host.RUNNER_CONSTRUCTORS)
TASK_UTILS = _child(host.TASK_UTILS, _UPSNET, _VPSNET, _YOLACT_EDGE)
VISBACKENDS = _child(host.VISBACKENDS)
VISUALIZERS = _child(host.VISUALIZERS)
WEIGHT_INITIALIZERS = _child(host.WEIGHT_INITIALIZERS)
