"""The ways in which a config can name classes of ours, of mmdet and of a user's package.

Run as a script (by test_registry.py) with two packages on the path: a copy of
mmext that has one class more, ``Probe``, and a user's package ``thirdparty``.
Each case runs in a forked process of its own: none profits from what another
one imported. Prints one JSON object: case -> what came out.
"""

import json
import multiprocessing
import sys
import warnings
from collections.abc import Callable

warnings.simplefilter('ignore')

# shared by all cases; neither mmext nor mmdet's hooks are imported here
import mmdet.datasets  # noqa: E402
import mmdet.models  # noqa: E402
import torch  # noqa: E402
from mmdet.registry import MODELS  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.registry import DATA_SAMPLERS, HOOKS, OPTIM_WRAPPERS, DefaultScope  # noqa: E402

assert mmdet.models and mmdet.datasets
assert not {'mmext', 'mmdet.engine'} & set(sys.modules)

CASES: dict[str, Callable[[], object]] = {}
RETINANET = 'mmdet::retinanet/retinanet_r18_fpn_1x_coco.py'


def case(function: Callable[[], object]) -> Callable[[], object]:
    """Collect a case; what it returns is named by its class."""
    CASES[function.__name__] = function
    return function


def scope(name: str) -> None:
    """Set the default scope as a runner does."""
    DefaultScope.get_instance('test', scope_name=name)


def config(text: str) -> Config:
    """Read a config as a user's file."""
    return Config.fromstring(text, '.py')


@case
def our_prefix_below_mmdet_without_custom_imports() -> object:
    scope('mmdet')
    return MODELS.build(dict(type='mmext.Probe'))


@case
def plain_mmdet_name_below_our_scope() -> object:
    from mmext.registry import MODELS as OURS

    scope('mmext')
    return OURS.build(dict(type='ResNet', depth=18))


@case
def plain_name_of_ours_below_our_scope() -> object:
    scope('mmext')
    return MODELS.build(dict(type='Probe'))


@case
def mmdet_detector_builds_plain_names_below_our_scope() -> object:
    scope('mmext')
    model = config(f"_base_ = '{RETINANET}'").model
    del model['_scope_']
    model.backbone.init_cfg = None
    return MODELS.build(model).backbone


@case
def inherited_detector_with_our_neck() -> object:
    scope('mmdet')
    model = config(
        f"_base_ = '{RETINANET}'\n"
        "model = dict(neck=dict(_delete_=True, type='mmext.Probe'), backbone=dict(init_cfg=None))"
    ).model
    assert model._scope_ == 'mmdet'
    return MODELS.build(model).neck


@case
def inherited_override_with_our_prefix_below_our_scope() -> object:
    scope('mmext')
    text = f"_base_ = '{RETINANET}'\nmodel = dict(neck=dict(_delete_=True, type='mmext.Probe'))"
    return MODELS.build(config(text).model.neck)


@case
def host_hook_inherited_from_us() -> object:
    """Found though nothing has imported mmdet's hooks yet, in a kind where we may have none."""
    return HOOKS.build(dict(type='NumClassCheckHook', _scope_='mmext'))


@case
def host_sampler_inherited_from_us() -> object:
    return DATA_SAMPLERS.get('mmext.AspectRatioBatchSampler')


@case
def mmengine_wrapper_inherited_from_us() -> object:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    return OPTIM_WRAPPERS.build(dict(type='OptimWrapper', _scope_='mmext', optimizer=optimizer))


@case
def no_default_scope() -> object:
    from mmext.registry import MODELS as OURS

    assert type(OURS.build(dict(type='ResNet', depth=18))).__name__ == 'ResNet'
    return OURS.build(dict(type='Probe'))


@case
def users_package_with_its_own_scope() -> object:
    scope('thirdparty')
    neck = MODELS.build(dict(type='UsersNeck', inner=dict(type='mmext.Probe')))
    assert type(neck.inner).__name__ == 'Probe'
    return neck


@case
def users_package_below_our_scope() -> object:
    scope('mmext')
    return MODELS.build(dict(type='thirdparty.UsersNeck', inner=dict(type='ResNet', depth=18)))


@case
def our_prefix_below_mmengine() -> object:
    from mmengine.registry import MODELS as ROOT

    scope('mmengine')
    return ROOT.build(dict(type='mmext.Probe'))


@case
def users_class_in_mmdets_registry_by_custom_imports() -> object:
    config("custom_imports = dict(imports=['thirdparty.plain'])")
    scope('mmdet')
    return MODELS.build(dict(type='PlainNeck', inner=dict(type='mmext.Probe'))).inner


@case
def unknown_name_of_ours_is_an_error() -> object:
    scope('mmdet')
    return MODELS.build(dict(type='mmext.NoSuchThing'))


def in_a_fork(name: str) -> str:
    """The outcome of a case in a process of its own; forked here, where no thread runs."""
    context = multiprocessing.get_context('fork')
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=lambda: sender.send(outcome(name)), daemon=True)
    child.start()
    sender.close()
    return receiver.recv() if receiver.poll(60) else 'did not end within 60 s'


def outcome(name: str) -> str:
    """Return the class name of what the case gives, or of its error."""
    try:
        return type(CASES[name]()).__name__
    except Exception as error:
        return f'{type(error).__name__}: {error}'


if __name__ == '__main__':
    print(json.dumps({name: in_a_fork(name) for name in CASES}))
