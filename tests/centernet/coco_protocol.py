"""COCO's own evaluation of a results file, for comparison."""

import contextlib
import io
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def average_precision(
    annotation_file: Path, results_file: Path, kind: str, sigmas: Sequence[float] | None = None
) -> float:
    """AP over IoU (or key point similarity) .5 to .95, nan where COCO says -1.

    Without any detection, which pycocotools does not read, it is 0.
    """
    if not json.loads(results_file.read_text()):
        return 0.0
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(annotation_file))
        evaluation = COCOeval(truth, truth.loadRes(str(results_file)), kind)
        if sigmas is not None:
            evaluation.params.kpt_oks_sigmas = np.array(sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    value = float(evaluation.stats[0])
    return value if value >= 0 else float('nan')


def detections_per_image(results_file: Path) -> Counter[int]:
    """How many detections of each image are in a results file."""
    return Counter(entry['image_id'] for entry in json.loads(results_file.read_text()))
