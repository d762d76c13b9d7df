"""Which class of the host a part of a config names."""

from collections.abc import Mapping
from typing import Any, NamedTuple

_HOST = ('mmcv', 'mmdet', 'mmengine')


class HostName(NamedTuple):
    """A name of the host.

    Attributes:
        package: ``'mmcv'``, ``'mmdet'``, ``'mmengine'``, or ``''`` for a name without a scope.
        name: as it is registered or, for a class or its dotted path, as the class is called.
    """

    package: str
    name: str


def host_name(part: Mapping[str, Any], default_scope: str | None = None) -> HostName | None:
    """What ``type`` names: a string with or without a scope, a dotted path, or a class.

    Args:
        part: a dict of a config.
        default_scope: of the config; a name without a scope in another project's scope is that
            project's.

    Returns:
        None if it names nothing, or nothing of the host.

    >>> host_name(dict(type='mmdet.SSDHead'))
    HostName(package='mmdet', name='SSDHead')
    >>> host_name(dict(type='mmext.UPSNet')), host_name(dict(type='BN'), 'project')
    (None, None)
    """
    kind = part.get('type')
    if isinstance(kind, type):
        package, name = kind.__module__.partition('.')[0], kind.__name__
        return HostName(package, name) if package in _HOST else None
    if not isinstance(kind, str):
        return None
    if '.' in kind:
        package, name = kind.partition('.')[0], kind.rpartition('.')[2]
        return HostName(package, name) if package in _HOST else None
    scope = part.get('_scope_') or default_scope
    return HostName('', kind) if scope in (*_HOST, 'mmext', None) else None
