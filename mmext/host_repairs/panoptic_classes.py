"""The host's panoptic configs, run by our data sets, loader and metric.

Host: ``mmdet.LoadPanopticAnnotations`` and ``mmdet.CocoPanopticMetric`` (Panoptic FPN, MaskFormer,
Mask2Former, MaskDINO).
Fault: they need panopticapi, which is not on PyPI.
Repair: ours, which read the same files and give the same PQ. They work on the data of our data
sets alone, so those are replaced with them. Differences are in :mod:`mmext.upsnet.dataset`.
"""

import importlib.util
from typing import Any

from mmengine.config import Config

from mmext.configuration import walk
from mmext.errors import InputError
from mmext.host_repairs.naming import HostName, host_name

_OURS = {
    'CocoPanopticDataset': 'mmext.CocoPanopticDataset',
    'ADE20KPanopticDataset': 'mmext.CocoPanopticDataset',
    'LoadPanopticAnnotations': 'mmext.LoadPanopticAnnotations',
    'CocoPanopticMetric': 'mmext.PanopticQualityMetric',
}
_NEED_PANOPTICAPI = ('LoadPanopticAnnotations', 'CocoPanopticMetric')


def use_own_panoptic_classes(config: Config) -> str | None:
    """Replace them wherever the config has them, in place.

    Returns:
        The line to say; None where panopticapi is installed or nothing needs it.

    Raises:
        InputError: the metric has an argument that the host refuses as well.
    """
    if importlib.util.find_spec('panopticapi') is not None:
        return None
    parts = list(_panoptic_parts(config))
    if not any(name in _NEED_PANOPTICAPI for _, _, name in parts):
        return None
    for path, part, name in parts:
        part['type'] = _OURS[name]
        if name == 'ADE20KPanopticDataset':
            part['metainfo'] = {**_ade20k_classes(), **(part.get('metainfo') or {})}
        elif name == 'CocoPanopticMetric':
            _drop_arguments(path, part)
    ours = sorted({part['type'] for _, part, _ in parts})
    replaced = sorted({name for _, _, name in parts})
    return (
        f"{', '.join(ours)} in the place of mmdet's {', '.join(replaced)}: those need "
        'panopticapi, which is not installed; annotations, labels and PQ are the same'
    )


def _panoptic_parts(config: Config) -> list[tuple[str, dict[str, Any], str]]:
    found = []
    for path, part in walk(dict(config.items())):
        named = host_name(part, config.get('default_scope'))
        if named in {HostName(package, n) for package in ('', 'mmdet') for n in _OURS}:
            found.append((path, part, named.name))
    return found


def _drop_arguments(path: str, metric: dict[str, Any]) -> None:
    """Take away what says how the host computes, not what."""
    metric.pop('nproc', None)
    if metric.pop('file_client_args', None) is not None:
        raise InputError(f'{path}.file_client_args is no argument any more: use backend_args')


def _ade20k_classes() -> dict[str, Any]:
    from mmdet.datasets import ADE20KPanopticDataset

    return dict(ADE20KPanopticDataset.METAINFO)
