"""COCO's average precision and recall of boxes, masks and key points, by one of two engines.

Lin et al., "Microsoft COCO", ECCV 2014, and its reference evaluation, pycocotools. hotcoco computes
the same numbers many times faster. False-discovery rates: Duan et al., "CenterNet: Keypoint
Triplets", ICCV 2019, section 4.3: 1 - AP at low IoUs, the share of detections that are no object.

Shapes: n detections, T IoU thresholds, R = 101 recalls, K categories, A ranges of area, M limits
of detections per image.
"""

import contextlib
import importlib.util
import io
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from mmext.errors import InputError, MissingPackageError
from mmext.formats.coco_records import UNREADABLE, CocoRecords, Fault, coco_records

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
IdArray = npt.NDArray[Any]
"""int64, or objects where ids are names or larger than 2^63"""
IouType = Literal['bbox', 'segm', 'keypoints']
Backend = Literal['auto', 'hotcoco', 'pycocotools']

AP_IOUS: FloatArray = np.linspace(0.5, 0.95, 10, dtype=np.float64)
FALSE_DISCOVERY_IOUS: FloatArray = np.linspace(0.05, 0.5, 10, dtype=np.float64)
_AREAS = {'bbox': ('', 's', 'm', 'l'), 'segm': ('', 's', 'm', 'l'), 'keypoints': ('', 'm', 'l')}
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


class Curves(NamedTuple):
    """Precision at 101 recalls, and the largest recall; -1 where there is no object."""

    precision: FloatArray
    """``[T, R, K, A, M]``"""
    recall: FloatArray
    """``[T, K, A, M]``"""
    ious: FloatArray
    """``[T]``"""
    areas: tuple[str, ...]
    """A names: '' is all, then 's', 'm', 'l'"""
    limits: tuple[int, ...]
    """M"""

    def average_precision(self, iou: float | None = None, area: str = '') -> float:
        """Mean over categories (and IoUs), 0..1; nan without an object."""
        return _mean(self.precision[self._rows(iou)][:, :, :, self.areas.index(area), -1])

    def average_recall(self, iou: float | None = None, area: str = '', limit: int = -1) -> float:
        """As :meth:`average_precision`; ``limit`` is an index into ``limits``."""
        return _mean(self.recall[self._rows(iou)][:, :, self.areas.index(area), limit])

    def by_category(self, iou: float | None = None) -> FloatArray:
        """Average precision of each category ``[K]``, nan for those without an object."""
        values = self.precision[self._rows(iou)][:, :, :, 0, -1]  # [t, R, K]
        return np.array([_mean(values[:, :, k]) for k in range(values.shape[2])])

    def has_iou(self, iou: float) -> bool:
        """Whether it was evaluated."""
        return bool(np.isclose(self.ious, iou).any())

    def _rows(self, iou: float | None) -> npt.NDArray[np.bool_]:
        return np.ones(len(self.ious), bool) if iou is None else np.isclose(self.ious, iou)


@dataclass
class CocoGroundTruth:
    """Ground truth in COCO's format, and the engine that reads it.

    The engines get the records of :mod:`mmext.formats.coco_records`, with 1, 2, ... for the ids of
    images, categories and annotations: pycocotools takes an object whose id is 0 for none, hotcoco
    reads ids as floats, and both want every field.

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
        self._images = _Numbers('images', self.records.images)
        self._categories = _Numbers('categories', self.records.categories)

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
            'images': [{**image, 'id': images[i]} for i, image in records.images.items()],
            'categories': [{**c, 'id': categories[i]} for i, c in records.categories.items()],
            'annotations': [
                {
                    **_complete(a),
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
        lengths = {len(a.get('keypoints') or ()) for a in self.records.annotations}
        lengths |= {detections.keypoints.shape[1]} if len(detections.keypoints) else set()
        if wrong := lengths - {0, 3 * num_points}:
            raise InputError(
                f'key points: expected {num_points} for each object as there are sigmas, '
                f'got {wrong.pop() / 3:g}'
            )


CocoTruth = CocoGroundTruth  # its name until version 0.2


class _Numbers:
    """The numbers 1, 2, ... that stand for ids."""

    def __init__(self, what: str, ids: Iterable[int | str]) -> None:
        self.what = what
        self.table = {identity: number for number, identity in enumerate(ids, start=1)}
        whole = id_array(self.table)
        self._sorted = np.sort(whole) if whole.dtype == np.int64 else None
        self._order = np.argsort(whole) + 1 if whole.dtype == np.int64 else None

    def of(self, ids: Sequence[int | str] | IdArray) -> IntArray:
        """The numbers of ids ``[n]``; ValueError if one is unknown."""
        array = id_array(ids)
        if self._sorted is not None and self._order is not None and array.dtype == np.int64:
            places = np.searchsorted(self._sorted, array).clip(max=len(self._sorted) - 1)
            strangers = array[self._sorted[places] != array].tolist()
            numbers = self._order[places]
        else:
            strangers = [i for i in array.tolist() if i not in self.table]
            numbers = np.array([self.table.get(i, 0) for i in array.tolist()], np.int64)
        if strangers:
            raise InputError(
                f'detections: {len(set(strangers))} {self.what} are not annotated, '
                f'as {strangers[0]!r}'
            )
        return numbers


def id_array(ids: Iterable[int | str]) -> IdArray:
    """Ids as int64, or as objects where one is a name or does not fit."""
    if isinstance(ids, np.ndarray):
        return ids
    ids = list(ids)
    if all(isinstance(i, int | np.integer) and abs(i) < 2**63 for i in ids):
        return np.array(ids, np.int64)
    array = np.empty(len(ids), object)
    array[:] = ids
    return array


def ids_of_labels(
    categories: Iterable[Mapping[str, Any]],
    classes: Sequence[str],
    source: str,
    by_name: bool = False,
) -> list[int | str]:
    """Category id of each label.

    Args:
        categories: with ``id`` and ``name``, of the annotation file.
        classes: names of the labels; the file may have more.
        source: the file, for messages.
        by_name: the data set finds its labels by the names, in whatever order the file has them.

    Raises:
        InputError: a class that the file does not have, or has in another order.
    """
    table = {category['name']: category['id'] for category in categories}
    missing = [name for name in classes if name not in table]
    if missing:
        raise InputError(
            f'{source}: no categories {missing[:8]}, which are classes of the data set; '
            f'it has {sorted(table)[:8]}'
        )
    if len(set(classes)) < len(classes):
        raise InputError(
            f'{source}: the classes of the data set repeat a name: {list(classes)[:8]}'
        )
    in_file = [name for name in table if name in set(classes)]
    if in_file != list(classes) and not by_name:
        first = next(i for i, name in enumerate(classes) if name != in_file[i])
        raise InputError(
            f'{source}: its categories come in another order than the classes of the '
            f"data set (class {first} is {classes[first]!r}, the file's {in_file[first]!r}). "
            "mmdet's CocoDataset numbers labels in the order of the file: state the classes so"
        )
    return [table[name] for name in classes]


def categories_of(labels: IntArray, category_ids: Sequence[int | str]) -> IdArray:
    """Category ids of predicted labels ``[n]``.

    Raises:
        InputError: a label that no category belongs to.
    """
    wrong = labels[(labels < 0) | (labels >= len(category_ids))]
    if wrong.size:
        raise InputError(
            f'predicted labels {np.unique(wrong)[:8].tolist()}: expected 0 to '
            f'{len(category_ids) - 1}'
        )
    return id_array(category_ids)[labels]


def summarise(curves: Curves) -> dict[str, float]:
    """The customary numbers, 0..1 and not rounded, nan where there is nothing to find.

    ``mAP``, ``mAP_50``, ``mAP_75``, ``mAP_s`` …, ``AR_1`` … ``AR_100``, ``AR_s`` …; as far as the
    thresholds, areas and limits of the curves go.
    """
    values = {'mAP': curves.average_precision()}
    for iou in (0.5, 0.75):
        if curves.has_iou(iou):
            values[f'mAP_{iou * 100:.0f}'] = curves.average_precision(iou)
    sizes = [area for area in curves.areas if area]
    values |= {f'mAP_{area}': curves.average_precision(area=area) for area in sizes}
    for index, limit in enumerate(curves.limits):
        values[f'AR_{limit}'] = curves.average_recall(limit=index)
    return values | {f'AR_{area}': curves.average_recall(area=area) for area in sizes}


def false_discovery_rates(curves: Curves) -> dict[str, float]:
    """``FD`` over IoUs 0.05 to 0.5, at some of them, and by size; lower is better.

    Args:
        curves: of ``FALSE_DISCOVERY_IOUS``.
    """
    values = {'FD': 1 - curves.average_precision()}
    values |= {f'FD_{iou}': 1 - curves.average_precision(iou / 100) for iou in (5, 25, 50)}
    sizes = [area for area in curves.areas if area]
    return values | {f'FD_{area}': 1 - curves.average_precision(area=area) for area in sizes}


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


def _complete(annotation: Mapping[str, Any]) -> dict[str, Any]:
    """A copy, as pycocotools writes into it, with what key points need."""
    copied = dict(annotation)
    if copied.get('keypoints') and 'num_keypoints' not in copied:
        copied['num_keypoints'] = sum(v > 0 for v in copied['keypoints'][2::3])
    return copied


def _mean(values: FloatArray) -> float:
    there = values[values > -1]
    return float(there.mean()) if there.size else float('nan')
