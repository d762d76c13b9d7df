"""COCO's average precision and recall of boxes, masks and key points, by one of two engines.

Lin et al., "Microsoft COCO", ECCV 2014, and its reference evaluation, pycocotools. hotcoco computes
the same numbers many times faster. The numbers are those of :mod:`.curves`.
"""

import contextlib
import importlib.util
import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from mmext.errors import InputError, MissingPackageError
from mmext.formats.coco_faults import UNREADABLE, Fault
from mmext.formats.coco_points import key_points
from mmext.formats.coco_records import CocoRecords, coco_records
from mmext.metrics.coco.category_ids import IdArray, Numbers
from mmext.metrics.coco.curves import AP_IOUS, Curves

FloatArray = npt.NDArray[np.float64]
IouType = Literal['bbox', 'segm', 'keypoints']
Backend = Literal['auto', 'hotcoco', 'pycocotools']

_AREAS = {'bbox': ('', 's', 'm', 'l'), 'segm': ('', 's', 'm', 'l'), 'keypoints': ('', 'm', 'l')}
_COMPARED = ('id', 'bbox', 'area', 'iscrowd', 'segmentation')
_MAX_DETECTIONS = {'bbox': (1, 10, 100), 'segm': (1, 10, 100), 'keypoints': (20,)}


@dataclass
class Detections:
    """Detections of any number of images.

    Attributes:
        image_ids: ``[n]``, as in the ground truth.
        category_ids: ``[n]``, as in the ground truth.
        boxes_xywh: ``[n, 4]``, px.
        scores: ``[n]``.
        masks: run-length codes of COCO, n of them, or None.
        keypoints: ``[n, 3 J]`` x, y and score of each joint, or None.
    """

    image_ids: IdArray
    category_ids: IdArray
    boxes_xywh: FloatArray
    scores: FloatArray
    masks: list[dict[str, Any]] | None = None
    keypoints: FloatArray | None = None

    def rows(self) -> FloatArray:
        """``[n, 7]`` image, x, y, w, h, score, category: what both engines read without dicts."""
        columns = (self.image_ids[:, None], self.boxes_xywh, self.scores[:, None])
        return np.concatenate([*columns, self.category_ids[:, None]], axis=1)

    def records(self, iou_type: IouType) -> list[dict[str, Any]]:
        """In COCO's results format."""
        names = {'bbox': 'bbox', 'segm': 'segmentation', 'keypoints': 'keypoints'}
        values: Sequence[Any]
        if iou_type == 'segm':
            values = self.masks or []
        else:
            array = self.boxes_xywh if iou_type == 'bbox' else self.keypoints
            values = [] if array is None else array.tolist()
        columns = (self.image_ids.tolist(), self.category_ids.tolist(), self.scores.tolist())
        return [
            {'image_id': image, 'category_id': category, 'score': score, names[iou_type]: value}
            for image, category, score, value in zip(*columns, values, strict=True)
        ]


@dataclass
class CocoGroundTruth:
    """Ground truth in COCO's format, and the engine that reads it.

    The engines get the records of :mod:`mmext.formats.coco_records`, with 1, 2, ... for the ids of
    images, categories and annotations: pycocotools takes an object whose id is 0 for none, hotcoco
    reads ids as floats, and both want every field. They get nothing but what is compared: hotcoco
    refuses a file for values that do not matter, as CVAT's ``date_captured: 0``.

    Attributes:
        content: ``images``, ``annotations`` and ``categories``.
        backend: 'hotcoco', 'pycocotools', or 'auto' for the first that is installed;
            afterwards the one that is used.
        source: names it in errors.
        records: the content in one form.

    Raises:
        InputError: it is no COCO file; see :func:`~mmext.formats.coco_records.coco_records`.
        InputError: unknown backend.
        MissingPackageError: hotcoco was asked for and is not there.
    """

    content: Mapping[str, Any]
    backend: Backend = 'auto'
    source: str = 'ground truth'
    records: CocoRecords = field(init=False, repr=False)
    _engine: Any = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.backend not in get_args(Backend):
            raise InputError(f'backend: expected one of {get_args(Backend)}, got {self.backend!r}')
        found = importlib.util.find_spec('hotcoco') is not None
        if self.backend == 'hotcoco' and not found:
            raise MissingPackageError("backend='hotcoco': not installed, pip install hotcoco")
        if self.backend == 'auto':
            self.backend = 'hotcoco' if found else 'pycocotools'
        self.records = coco_records(self.content, self.source, with_names=False)
        self._images = Numbers('images', self.records.images)
        self._categories = Numbers('categories', self.records.categories)

    def evaluate(
        self,
        detections: Detections,
        iou_type: IouType,
        image_ids: Sequence[int | str],
        category_ids: Sequence[int | str],
        *,
        ious: FloatArray = AP_IOUS,
        sigmas: Sequence[float] | None = None,
    ) -> Curves:
        """Precision and recall of detections.

        Args:
            detections: of these images and categories; others must not occur.
            iou_type: what is compared.
            image_ids: that are evaluated.
            category_ids: K, the order of the results.
            ious: thresholds ``[T]`` (of object keypoint similarity for key points).
            sigmas: one per joint, for key points; None is COCO's person.

        Raises:
            InputError: an object of the ground truth without what is compared.
            InputError: detections of images that the ground truth does not have; without masks or
                key points where these are compared; other numbers of key points.
        """
        module = _engine_module(self.backend)
        limits = _MAX_DETECTIONS[iou_type]
        self.check_objects(iou_type)
        self._check(detections, iou_type, 17 if sigmas is None else len(sigmas))
        detections = replace(
            detections,
            image_ids=self._images.of(detections.image_ids),
            category_ids=self._categories.of(detections.category_ids),
        )
        categories = self._categories.of(category_ids)
        order = np.unique(categories)  # the engines' own
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.filterwarnings('ignore', message='hotcoco: ')  # settings unlike COCO's
            truth = self._truth(module)
            results = _load_results(truth, detections, iou_type, self.backend)
            evaluation = module.COCOeval(truth, results, iou_type)
            evaluation.params.imgIds = np.unique(self._images.of(image_ids)).tolist()
            evaluation.params.catIds = order.tolist()
            evaluation.params.iouThrs = np.asarray(ious, float)
            evaluation.params.maxDets = list(limits)
            if sigmas is not None:
                evaluation.params.kpt_oks_sigmas = np.asarray(sigmas, float)
            evaluation.evaluate()
            evaluation.accumulate()
        places = np.searchsorted(order, categories)
        precision, recall = evaluation.eval['precision'], evaluation.eval['recall']
        return Curves(
            np.asarray(precision)[:, :, places],
            np.asarray(recall)[:, places],
            np.asarray(ious, float),
            _AREAS[iou_type],
            limits,
        )

    def _truth(self, module: Any) -> Any:
        if self._engine is None:
            content = self._numbered_content()
            if self.backend == 'hotcoco':
                self._engine = module.COCO(content)
            else:
                self._engine = module.COCO()
                self._engine.dataset = content
                self._engine.createIndex()
        return self._engine

    def check_objects(self, iou_type: IouType) -> None:
        """Look whether every object of the ground truth can be compared.

        Raises:
            InputError: one has no box or mask that can be used; names it.
        """
        faults = self.records.faults
        remedy = 'Correct them or take them out: a score without them would be of other data'
        if iou_type == 'bbox':
            faults.refuse((*UNREADABLE, Fault.NOT_FINITE), self.source, remedy)
        elif iou_type == 'segm':
            faults.refuse((Fault.BAD_MASK,), self.source, remedy)
            bare = [a for a in self.records.annotations if 'segmentation' not in a]
            if bare:
                raise InputError(
                    f'{self.source}: {len(bare)} objects have no segmentation (first: one of '
                    f"image {bare[0]['image_id']}); add them or leave 'segm' out of the metric"
                )

    def _numbered_content(self) -> dict[str, Any]:
        images, categories = self._images.table, self._categories.table
        records = self.records
        return {
            'info': {},
            'images': [
                {'id': images[i], 'width': image['width'], 'height': image['height']}
                for i, image in records.images.items()
            ],
            'categories': [
                {'id': categories[i], 'name': c['name']} for i, c in records.categories.items()
            ],
            'annotations': [
                {
                    **_compared(a),
                    'image_id': images[a['image_id']],
                    'category_id': categories[a['category_id']],
                }
                for a in records.annotations
            ],
        }

    def _check(self, detections: Detections, iou_type: IouType, num_points: int) -> None:
        """The engines fail in their arithmetic, or not at all."""
        needed = {'segm': detections.masks, 'keypoints': detections.keypoints}
        if needed.get(iou_type, ()) is None:
            raise InputError(f'detections: none with what {iou_type!r} compares')
        if iou_type != 'keypoints':
            return
        assert detections.keypoints is not None
        lengths = {}
        for annotation in self.records.annotations:
            where = f'{self.source}, annotation {annotation["id"]}'
            points = key_points(annotation, where)
            lengths[0 if points is None else 3 * len(points)] = where
        if len(detections.keypoints):
            lengths[detections.keypoints.shape[1]] = 'predictions'
        for length in lengths.keys() - {0, 3 * num_points}:
            raise InputError(
                f'{lengths[length]}: key points: expected {num_points} for each object as there '
                f'are sigmas, got {length / 3:g}'
            )


CocoTruth = CocoGroundTruth  # its name until version 0.2


def _engine_module(backend: str) -> Any:
    if backend == 'hotcoco':
        import hotcoco

        return hotcoco
    from types import SimpleNamespace

    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    return SimpleNamespace(COCO=COCO, COCOeval=COCOeval)


def _load_results(truth: Any, detections: Detections, iou_type: IouType, backend: str) -> Any:
    if not len(detections.scores) and backend == 'pycocotools':  # its loadRes wants one
        empty = type(truth)()
        empty.dataset = {**truth.dataset, 'annotations': []}
        empty.createIndex()
        return empty
    rows = detections.rows() if iou_type == 'bbox' else detections.records(iou_type)
    return truth.loadRes(rows)


def _compared(annotation: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of what an engine compares, as pycocotools writes into it."""
    copied = {key: annotation[key] for key in _COMPARED if key in annotation}
    points = annotation.get('keypoints')
    if isinstance(points, list) and all(isinstance(value, int | float) for value in points):
        copied |= {'keypoints': points, 'num_keypoints': sum(v > 0 for v in points[2::3])}
    return copied
