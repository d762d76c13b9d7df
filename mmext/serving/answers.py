"""What the page shows of a result: the drawing, and a table in plain numbers and texts."""

import base64
import io
from typing import Any

from mmext.inference.result import Result

_SHOWN = 300


def answer(result: Result, min_score: float) -> dict[str, Any]:
    """A result as JSON.

    Args:
        result: of one picture.
        min_score: objects below are neither drawn nor listed.

    Returns:
        ``size`` [width, height]; ``objects``, best first: ``name``, ``score``, ``box``
        (left, top, right, bottom in px) and, where the model has them, ``attributes`` and
        ``caption``; ``caption`` of the picture, where the model has one;
        ``segments``, largest first: ``name``, ``is_thing``, ``share``; ``not_shown``, objects
        beyond the 300 best; ``picture``, a JPEG as data address.
    """
    kept = result.above(min_score)
    width, height = kept.size_wh
    order = sorted(range(len(kept)), key=lambda index: -float(kept.scores[index]))
    objects = []
    for index in order[:_SHOWN]:
        found: dict[str, Any] = dict(
            name=kept.names[index],
            score=round(float(kept.scores[index]), 4),
            box=[round(edge, 1) for edge in kept.boxes_xyxy[index].tolist()],
        )
        if kept.attributes is not None:
            found['attributes'] = kept.attributes[index]
        if kept.captions is not None:
            found['caption'] = kept.captions[index]
        objects.append(found)
    segments = [
        dict(
            name=segment['name'],
            is_thing=segment['is_thing'],
            share=round(segment['area_px'] / (width * height), 4),
        )
        for segment in kept.segments[:_SHOWN]
    ]
    file = io.BytesIO()
    result.plot(min_score).save(file, 'jpeg', quality=90)
    return dict(
        **({} if kept.caption is None else {'caption': kept.caption}),
        size=[width, height],
        objects=objects,
        segments=segments,
        not_shown=max(0, len(kept) - _SHOWN),
        picture='data:image/jpeg;base64,' + base64.b64encode(file.getvalue()).decode('ascii'),
    )
