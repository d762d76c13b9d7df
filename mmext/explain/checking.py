"""The table of a detector's maps on its own data: methods, controls, random weights.

Shape legend: ``h x w`` picture.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mmext.errors import InputError
from mmext.explain.attribution import Attribution, Options
from mmext.explain.errors import RIGHT, judge_detections
from mmext.explain.evaluation import (
    CONTROLS,
    DELETED_CONTROLS,
    Faithfulness,
    Measured,
    control_maps,
    randomized,
    region_of,
)
from mmext.explain.explainer import Explainer
from mmext.explain.faithfulness import rank_correlation
from mmext.explain.methods import find_method
from mmext.explain.scene import Detection, Scene
from mmext.explain.truth import TruePicture

LEAST_AREA_PX, LEAST_IOU, LEAST_SCORE = 60, 0.6, 0.5
OF_A_PICTURE = 2
RANDOM, SMOOTHED = ', random weights', ', smoothed'


@dataclass
class Check:
    """What a check has found.

    Attributes:
        rows: by method, control, and method with random weights.
        objects: how many were explained.
        deleted: of how many deletion and insertion were measured.
        has_masks: whether the truth has masks.
        examples: a few scenes with their maps, a row for each object.
    """

    rows: dict[str, Measured]
    objects: int = 0
    deleted: int = 0
    has_masks: bool = True
    examples: list[tuple[Scene, list[list[Attribution]]]] = field(default_factory=list)

    def worthless(self) -> list[str]:
        """Methods that take away no more of the score than the bell in the box."""
        control = self.rows[CONTROLS[0]].means()['deletion']
        found = []
        for name, measured in self.rows.items():
            deletion = measured.means()['deletion']
            if name in CONTROLS or RANDOM in name or deletion is None or control is None:
                continue
            if deletion >= control:
                found.append(name)
        return found


def check_maps(
    explainer: Explainer,
    pictures: Iterator[TruePicture],
    methods: Sequence[str],
    options: Options,
    most_deleted: int = 8,
    advance: Callable[[int], None] = lambda count: None,
) -> Check:
    """Explain objects whose truth is known, and measure the maps.

    Args:
        explainer: of the detector.
        pictures: of a data set.
        methods: keys of :data:`mmext.explain.methods.METHODS`.
        options: of the methods; with ``smooth``, each map is measured as it is and smoothed.
        most_deleted: objects of which deletion and insertion are measured.
        advance: told about every picture.

    Raises:
        InputError: no object was found well enough.
    """
    smooth, options = options.smooth, replace(options, smooth=0.0)
    names = [
        *(name + kind for name in methods for kind in ('', SMOOTHED)[: 1 + bool(smooth)]),
        *CONTROLS,
        *(name + RANDOM for name in methods if find_method(name).kind in ('layer', 'input')),
    ]  # fmt: skip
    check = Check({name: Measured() for name in names})
    other = randomized(explainer.network, options.seed)
    strange = Explainer.__new__(Explainer)
    strange.__dict__.update(explainer.__dict__, network=other, _centered={})
    for picture in pictures:
        scene = explainer.detect(picture.image, 100, LEAST_SCORE, picture.name)
        found = well_found(scene, picture)
        if found:
            detections = [detection for detection, _ in found]
            columns = {
                name: explainer.attribute(scene, detections, name, options) for name in methods
            }
            if smooth:
                columns = {
                    name + kind: made if not kind else [a.smoothed(smooth) for a in made]
                    for name, made in columns.items()
                    for kind in ('', SMOOTHED)
                }
            _measure_all(check, explainer, scene, found, columns, most_deleted)
            _measure_random(check, strange, scene, found, columns, options)
            if len(check.examples) < 3:
                rows = [list(row) for row in zip(*columns.values(), strict=True)]
                check.examples.append((scene, rows))
        advance(1)
    if not check.objects:
        raise InputError(
            f'no object was found well enough (score {LEAST_SCORE}, IoU {LEAST_IOU}): a detector '
            'that finds nothing cannot be checked'
        )
    return check


def well_found(
    scene: Scene, picture: TruePicture
) -> list[tuple[Detection, npt.NDArray[np.bool_] | None]]:
    """The detections of a picture that are right beyond doubt, with the masks of their truths."""
    found, truth = scene.detections, picture.truth
    judged = judge_detections(found, truth)
    chosen: list[tuple[Detection, npt.NDArray[np.bool_] | None]] = []
    for number, detection in enumerate(found):
        if judged.kinds[number] != RIGHT or judged.iou[number] <= LEAST_IOU:
            continue
        index = int(judged.truth_index[number])
        mask = None if truth.masks is None else truth.masks[index]
        box = truth.boxes_xyxy[index]
        area = (box[2:] - box[:2]).prod() if mask is None else mask.sum()
        if area >= LEAST_AREA_PX:
            chosen.append((detection, mask))
    return chosen[:OF_A_PICTURE]


def _measure_all(
    check: Check,
    explainer: Explainer,
    scene: Scene,
    found: Sequence[tuple[Detection, Any]],
    columns: dict[str, list[Attribution]],
    most_deleted: int,
) -> None:
    size = (scene.image.shape[0], scene.image.shape[1])
    for number, (detection, mask) in enumerate(found):
        heats = {name: made[number].heat for name, made in columns.items()}
        heats |= control_maps(size, detection.box_xyxy, check.objects)
        for name, heat in heats.items():
            check.rows[name].add(heat, detection.box_xyxy, mask)
        check.objects += 1
        check.has_masks &= mask is not None
        if check.deleted >= most_deleted:
            continue
        with explainer.network.undisturbed():
            faithfulness = Faithfulness(scene, detection)
            told = {n: h for n, h in heats.items() if n not in CONTROLS or n in DELETED_CONTROLS}
            areas = {name: faithfulness.of(heat) for name, heat in told.items()}
        if all(area is not None for area in areas.values()):
            check.deleted += 1
            for name, area in areas.items():
                if area is not None:
                    check.rows[name].deletion.append(area[0])
                    check.rows[name].insertion.append(area[1])


def _measure_random(
    check: Check,
    strange: Explainer,
    scene: Scene,
    found: Sequence[tuple[Detection, Any]],
    columns: dict[str, list[Attribution]],
    options: Options,
) -> None:
    """The same places of the same picture under random weights."""
    placed = [(i, d, m) for i, (d, m) in enumerate(found) if d.origin.rule and d.stable]
    if not placed:
        return
    elsewhere = replace(scene, network=strange.network)
    for name, made in columns.items():
        row = check.rows.get(name + RANDOM)
        if row is None:
            continue
        maps = strange.attribute(elsewhere, [d for _, d, _ in placed], name, options)
        for (number, detection, mask), attribution in zip(placed, maps, strict=True):
            row.add(attribution.heat, detection.box_xyxy, mask)
            region = region_of(scene, detection)
            if region.any():
                trained, drawn = np.abs(made[number].relevance), np.abs(attribution.relevance)
                row.likeness.append(rank_correlation(trained[region], drawn[region]))
