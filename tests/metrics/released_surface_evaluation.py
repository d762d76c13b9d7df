"""DensePose's evaluation as its rules are written down, pair by pair and point by point."""

from typing import Any

import numpy as np
from pycocotools import mask as run_lengths
from scipy import ndimage
from scipy.spatial.distance import cdist

AREAS = {'': (0, 1e10), 'm': (32**2, 96**2), 'l': (96**2, 1e10)}
THRESHOLDS = np.linspace(0.5, 0.95, 10)


def nearest_vertex(mesh: Any, part: int, u: float, v: float) -> int:
    own = np.flatnonzero(mesh.part == part)
    charted = np.stack([mesh.u[own], mesh.v[own]], axis=1)
    return int(own[cdist(charted, [[u, v]]).argmin()])


def similarity(mesh: Any, annotation: Any, detection: Any) -> float:
    if 'dp_x' not in annotation:
        return 0.0
    gx, gy, gw, gh = annotation['bbox']
    dx, dy, dw, dh = detection['bbox']
    iuv = detection['surface']
    terms, outside = [], 0
    keys = ('dp_x', 'dp_y', 'dp_I', 'dp_U', 'dp_V')
    points = list(zip(*(annotation[key] for key in keys), strict=True))
    for x, y, part, u, v in points:
        px, py = int(x * gw / 255 + gx - dx), int(y * gh / 255 + gy - dy)
        label = 0
        if px >= int(dw) or py >= int(dh) or px < 0 or py < 0:
            outside += 1
        else:
            label, u8, v8 = iuv[:, py, px].tolist()
        if not 1 <= part <= 24:
            continue
        truth = nearest_vertex(mesh, int(part), u, v)
        if label == 0:
            terms.append(0.0)
            continue
        found = nearest_vertex(mesh, label, u8 / 255, v8 / 255)
        high, low = max(truth, found), min(truth, found)
        distance = 0.0 if high == low else float(mesh.geodesics[high * (high - 1) // 2 + low])
        terms.append(np.exp(-(distance**2) / (2 * mesh.kappa[mesh.part[truth]] ** 2)))
    return 0.0 if outside == len(points) or not terms else float(np.mean(terms))


def paste(mask: Any, box: Any, height: int, width: int) -> Any:
    whole = np.zeros((height, width), np.uint8)
    x0, y0 = int(box[0]), int(box[1])
    x1 = min(int(box[0] + box[2]), width, x0 + mask.shape[1])
    y1 = min(int(box[1] + box[3]), height, y0 + mask.shape[0])
    whole[y0:y1, x0:x1] = mask[: y1 - y0, : x1 - x0]
    return run_lengths.encode(np.asfortranarray(whole))


def true_mask(annotation: Any, height: int, width: int) -> Any:
    if 'dp_masks' in annotation:
        canvas = np.zeros((256, 256))
        for code in annotation['dp_masks']:
            if code:
                canvas[run_lengths.decode(code) > 0] = 1
        w, h = max(int(annotation['bbox'][2]), 1), max(int(annotation['bbox'][3]), 1)
        zoomed = ndimage.zoom(canvas, (h / 256, w / 256), order=1, prefilter=False)
        return paste(zoomed > 0.5, annotation['bbox'], height, width)
    if 'segmentation' in annotation:
        return annotation['segmentation']
    return paste(np.zeros((0, 0)), (0, 0, 0, 0), height, width)


def compare(mesh: Any, annotations: Any, detections: Any, height: int, width: int) -> Any:
    """GPS, mask IoU and box IoU of the best 20 detections with all persons."""
    detections = sorted(detections, key=lambda d: -d['score'])[:20]
    crowd = [a['iscrowd'] for a in annotations]
    gps = [[similarity(mesh, a, d) for a in annotations] for d in detections]
    found = [paste(d['surface'][0] > 0, d['bbox'], height, width) for d in detections]
    truth = [true_mask(a, height, width) for a in annotations]
    shape = len(detections), len(annotations)
    masks = run_lengths.iou(found, truth, crowd) if min(shape) else np.zeros(shape)
    boxes = [np.array([x['bbox'] for x in group]) for group in (detections, annotations)]
    overlaps = run_lengths.iou(*boxes, crowd) if min(shape) else np.zeros(shape)
    return detections, np.reshape(gps, shape), masks, overlaps


def match(
    annotations: Any, detections: Any, ious: Any, box_ious: Any, area: Any
) -> tuple[Any, Any, Any]:
    """Matched annotation number + 1 and ignore flag of each detection, and persons' flags."""
    for a in annotations:
        out = a['area'] < area[0] or a['area'] > area[1]
        a['_ignore'] = int('dp_x' not in a or out)
    order = sorted(range(len(annotations)), key=lambda g: annotations[g]['_ignore'])
    gt_ignore = [annotations[g]['_ignore'] for g in order]
    steps = len(THRESHOLDS)
    dtm, dtig = np.zeros((steps, len(detections)), int), np.zeros((steps, len(detections)), bool)
    gtm = np.zeros((steps, len(order)), int)
    for t, threshold in enumerate(THRESHOLDS):
        for d in range(len(detections)):
            best, m = min(threshold, 1 - 1e-10), -1
            for g, number in enumerate(order):
                if gtm[t, g] and not annotations[number]['iscrowd']:
                    continue
                if m > -1 and gt_ignore[m] == 0 and gt_ignore[g] == 1:
                    break
                if ious[d, number] < best or ious[d, number] == 0:
                    continue
                best, m = ious[d, number], g
            if m > -1:
                dtig[t, d], dtm[t, d], gtm[t, m] = gt_ignore[m], order[m] + 1, d + 1
    for d in range(len(detections)):
        if not order or dtm[-1, d]:
            continue
        best, m = 0.8, -1
        for g, number in enumerate(order):
            if gtm[-1, g] or box_ious[d, number] < best:
                continue
            best, m = box_ious[d, number], g
        if m > -1:
            dtig[:, d] = gt_ignore[m]
            if gt_ignore[m]:
                dtm[-1, d], gtm[-1, m] = order[m] + 1, d + 1
    if order and all(gt_ignore):
        dtig[:] = True
    for d, detection in enumerate(detections):
        size = detection['bbox'][2] * detection['bbox'][3]
        if size < area[0] or size > area[1]:
            dtig[dtm[:, d] == 0, d] = True
    return dtm, dtig, gt_ignore


def evaluate(mesh: Any, images: Any) -> dict[str, float]:
    """All values in percent of images: dicts of annotations, detections, height, width."""
    compared = [
        compare(mesh, i['annotations'], i['detections'], i['height'], i['width']) for i in images
    ]
    values = {}
    for measure in ('GPS', 'GPSm', 'segm'):
        for size, area in AREAS.items():
            matches = []
            for image, (detections, gps, masks, overlaps) in zip(images, compared, strict=True):
                ious = dict(GPS=gps, GPSm=np.sqrt(gps * masks), segm=masks)[measure]
                found = match(image['annotations'], detections, ious, overlaps, area)
                matches.append(([d['score'] for d in detections], *found))
            precision, recall = accumulate(matches)
            for name, rows in (('AP', precision), ('AR', recall)):
                values[f'{measure}_{name}{size}'] = 100 * np.mean(rows)
                if not size:
                    values[f'{measure}_{name}50'] = 100 * rows[0]
                    values[f'{measure}_{name}75'] = 100 * rows[5]
    return values


def accumulate(matches: Any) -> tuple[list[float], list[float]]:
    total = sum(1 for *_, flags in matches for flag in flags if not flag)
    if not total:
        return [np.nan] * 10, [np.nan] * 10
    scores = np.array([s for scores, *_ in matches for s in scores])
    order = np.argsort(-scores, kind='mergesort')
    precisions, recalls = [], []
    for t in range(10):
        hits = np.array([m for _, dtm, _, _ in matches for m in dtm[t]], int)[order]
        skip = np.array([m for _, _, dtig, _ in matches for m in dtig[t]], bool)[order]
        right = wrong = 0
        curve = []
        for hit, out in zip(hits, skip, strict=True):
            right += bool(hit) and not out
            wrong += not hit and not out
            curve.append((right / total, right / (right + wrong + np.spacing(1))))
        means = [
            max((p for r, p in curve if r >= recall), default=0.0)
            for recall in np.linspace(0, 1, 101)
        ]
        precisions.append(float(np.mean(means)))
        recalls.append(right / total)
    return precisions, recalls
