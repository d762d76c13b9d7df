"""The scores of all detections of a class together: what a picture has of it, for the detector.

Shape legend: B inputs, K detections.
"""

import torch
from torch import Tensor

from mmext.errors import InputError
from mmext.explain.origin import Origin
from mmext.explain.scene import Detection, Scene, Target


class Summed:
    """The sum of what a target gives for its detections.

    Args:
        target: of K detections; its network is inside of ``undisturbed`` whenever it is called.
    """

    def __init__(self, target: Target) -> None:
        self.target, self.network, self.prepared = target, target.network, target.prepared

    def __call__(self, inputs: Tensor, scale: str = 'score') -> Tensor:
        """The sum of the scores for inputs ``[B, 3, H, W]``, float64 ``[B, 1]``."""
        return self.target(inputs).sum(1, keepdim=True)


def of_class(scene: Scene, name: str, perturbed: bool) -> Summed:
    """The sum of the scores of the detections of a class, each at the place it comes from.

    Args:
        scene: of the picture; its network is inside of ``undisturbed``.
        name: of the class.
        perturbed: it will be asked for other inputs than the image.

    Raises:
        InputError: no such class, or nothing of it in the scene.
    """
    return Summed(scene.target(_members(scene, name), perturbed))


def class_detection(scene: Scene, name: str) -> Detection:
    """A class as something to explain, by ``Options(target='class:NAME')``.

    Its score is the sum of those of its detections, its box the one around them.

    Raises:
        InputError: no such class, or nothing of it in the scene.
    """
    members = _members(scene, name)
    boxes = torch.tensor([d.box_xyxy for d in members])
    left, top = boxes[:, :2].amin(0).tolist()
    right, bottom = boxes[:, 2:].amax(0).tolist()
    count = len(members)
    said = f'all of {name} ({count})'
    origin = Origin(reason=f'the sum of the scores of {count} detections')
    score = sum(d.score for d in members)
    return Detection((left, top, right, bottom), members[0].label, said, score, origin)


def _members(scene: Scene, name: str) -> list[Detection]:
    classes = scene.network.classes
    if name not in classes:
        raise InputError(f'target class:{name}: the detector has {", ".join(classes)}')
    label = list(classes).index(name)
    members = [d for d in scene.detections if d.label == label]
    if not members:
        found = sorted({classes[d.label] for d in scene.detections})
        raise InputError(
            f'target class:{name}: nothing of it was detected; there is '
            f'{", ".join(found) or "nothing"}'
        )
    return members
