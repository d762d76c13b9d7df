"""Modules that have moved: their old import paths work for one version, with a line of warning.

To be removed with version 0.2.
"""

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_METRICS = 'mmext.metrics.'
_MLFLOW = 'mmext.hooks.mlflow_logging.'

# old package -> new package of the modules that kept their name
_PACKAGES: dict[str, dict[str, tuple[str, ...]]] = {
    'mmext.cli.': {
        'mmext.': ('configuration', 'errors', 'host', 'progress', 'benchmark'),
        'mmext.inference.': (
            *('checkpoint_conversion', 'checkpoints', 'coco_results', 'drawing_hook'),
            *('media', 'memory', 'onnx_export', 'prediction'),
        ),
        'mmext.pipelines.': ('data_checks',),
    },
    'mmext.cli.prepare.': {'mmext.': ('downloads',)},
    'mmext.cli.benchmark.': {
        'mmext.benchmark.': (
            *('accuracy', 'candidates', 'complexity', 'components', 'inference', 'machine'),
            *('measuring', 'memory', 'mlflow_runs', 'pictures', 'plot', 'publication', 'report'),
            *('rows', 'stages', 'tables', 'timing', 'training'),
        ),
    },
    'mmext.functional.': {
        'mmext.formats.': (
            *('checkpoint_keys', 'face_details', 'panoptic_files', 'panoptic_ids'),
            *('wider_face_files', 'wider_face_ground_truth'),
        ),
    },
    'mmext.centernet.': {'mmext.layers.': ('hourglass',)},
    'mmext.inference.': {
        'mmext.formats.': ('onnx_metadata',),
        'mmext.layers.': ('graph_writing', 'onnx_operators'),
    },
    'mmext.vpsnet.': {
        'mmext.formats.': ('flow_files',),
        'mmext.functional.': ('flow_warping',),
        'mmext.layers.': ('frame_memory', 'optical_flow'),
    },
    _METRICS: {
        f'{_METRICS}coco.': ('keypoint_oks_metric',),
        f'{_METRICS}faces.': (
            *('attribute_accuracy', 'attribute_accuracy_metric', 'wider_face_ap'),
            'wider_face_metric',
        ),
    },
    _MLFLOW: {
        f'{_MLFLOW}content.': (
            *('checkpoints', 'clip_panel', 'datasets', 'description', 'evaluation'),
            *('evaluation_log', 'gradients', 'images', 'model_record', 'panel_collector'),
            *('provenance', 'system_metrics', 'training_log'),
        ),
        f'{_MLFLOW}delivery.': (
            *('forking', 'identity', 'logged_model', 'names', 'params', 'records', 'redaction'),
            *('replay', 'served_detector', 'session', 'shipper', 'spool', 'store', 'tracking'),
            'writer',
        ),
        'mmext.drawing.': ('panels',),
    },
}

_RENAMED = {
    'mmext.cli.benchmark.arguments': 'mmext.cli.benchmark_arguments',
    'mmext.cli.drawing': 'mmext.drawing.panels',  # where all that it had can be imported from
    'mmext.cli.drawing_points': 'mmext.drawing.points',
    'mmext.keypoints': 'mmext.pipelines',
    'mmext.retinaface.face_crops': 'mmext.functional.crops',
    'mmext.vpsnet.data_preprocessor': 'mmext.layers.pair_data_preprocessor',
    'mmext.vpsnet.sampler': 'mmext.pipelines.video_sampler',
    'mmext.upsnet.class_check_hook': 'mmext.pipelines.data_check_hook',
    'mmext.keypoints.coco_dataset': 'mmext.pipelines.keypoint_coco_dataset',
    'mmext.keypoints.following': 'mmext.pipelines.keypoint_following',
    'mmext.keypoints.transforms': 'mmext.pipelines.keypoint_transforms',
    f'{_METRICS}landmark_nme': f'{_METRICS}landmarks.nme',
    f'{_METRICS}landmark_nme_metric': f'{_METRICS}landmarks.nme_metric',
    f'{_METRICS}faces.landmark_nme': f'{_METRICS}landmarks.nme',
    f'{_METRICS}faces.landmark_nme_metric': f'{_METRICS}landmarks.nme_metric',
    f'{_METRICS}coco_detection_metric': f'{_METRICS}coco.detection_metric',
    f'{_METRICS}coco_evaluation': f'{_METRICS}coco.evaluation',
    f'{_METRICS}coco_sample_truth': f'{_METRICS}coco.sample_truth',
    f'{_METRICS}panoptic_evaluator': f'{_METRICS}panoptic.metric_base',
    f'{_METRICS}panoptic_ground_truth': f'{_METRICS}panoptic.ground_truth',
    f'{_METRICS}panoptic_predictions': f'{_METRICS}panoptic.predictions',
    f'{_METRICS}panoptic_quality': f'{_METRICS}panoptic.quality',
    f'{_METRICS}panoptic_quality_metric': f'{_METRICS}panoptic.quality_metric',
    f'{_METRICS}panoptic_results': f'{_METRICS}panoptic.write_results',
    f'{_METRICS}panoptic_submission': f'{_METRICS}panoptic.read_results',
    f'{_METRICS}segmentation_tracking_quality': f'{_METRICS}panoptic.tracking_quality',
    f'{_METRICS}video_panoptic_quality': f'{_METRICS}panoptic.video_quality',
    f'{_METRICS}video_panoptic_quality_metric': f'{_METRICS}panoptic.video_quality_metric',
    f'{_METRICS}video_panoptic_report': f'{_METRICS}panoptic.video_report',
    f'{_METRICS}video_panoptic_results': f'{_METRICS}panoptic.write_video_results',
    f'{_METRICS}video_panoptic_submission': f'{_METRICS}panoptic.read_video_results',
}


def moved_modules() -> dict[str, str]:
    """Old dotted name -> new dotted name of every module that has moved."""
    kept = {
        f'{old}{name}': f'{new}{name}'
        for old, targets in _PACKAGES.items()
        for new, names in targets.items()
        for name in names
    }
    return kept | _RENAMED


class _MovedFinder(MetaPathFinder, Loader):
    """Asked first: below an old package the path of the new one would find a second copy."""

    def __init__(self, table: dict[str, str]) -> None:
        self._table = table

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname in self._table else None

    def exec_module(self, module: ModuleType) -> None:
        new = self._table[module.__name__]
        warnings.warn(
            f'{module.__name__} is now {new}; the old name goes with version 0.2',
            FutureWarning,
            stacklevel=2,
        )
        sys.modules[module.__name__] = importlib.import_module(new)


def accept_old_names() -> None:
    """Let the import system find the moved modules under their old names."""
    if not any(isinstance(finder, _MovedFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _MovedFinder(moved_modules()))
