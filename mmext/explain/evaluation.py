"""Is a map worth anything? Every map beside controls that know only the box, or nothing.

Sources: see :mod:`mmext.explain.faithfulness`. A method that takes away no more of the score than a
bell in the middle of the box has explained nothing beyond the box that it was given.

Shape legend: ``h x w`` picture, ``H x W`` input.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mmext.explain import faithfulness as measures
from mmext.explain.geometry import boxes_to_input, to_input_map
from mmext.explain.network import Network
from mmext.explain.scene import Detection, Scene
from mmext.explain.targets import Matched

STEPS = 10  # of deletion and insertion
CONTROLS = ('gaussian in the box', 'uniform box', 'gaussian in the image', 'random')
DELETED_CONTROLS = (CONTROLS[0], CONTROLS[3])  # of which deletion and insertion are measured
_LEAST_BUDGET_PX = 4 * STEPS

Heat = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]


@dataclass
class Measured:
    """What was measured of maps; each list has a number for each map.

    Attributes:
        in_mask: energy in the mask of the object; empty without masks.
        in_box: energy in its box.
        pointing: 1 where the highest pixel is in the mask (without: in the box), else 0.
        times_area: energy in the mask (box) over its share of the picture.
        deletion: area under the score while pixels go, low is good.
        insertion: area under the score while pixels come, high is good.
        likeness: rank correlation with the map of the trained weights, of random ones.
    """

    in_mask: list[float] = field(default_factory=list)
    in_box: list[float] = field(default_factory=list)
    pointing: list[float] = field(default_factory=list)
    times_area: list[float] = field(default_factory=list)
    deletion: list[float] = field(default_factory=list)
    insertion: list[float] = field(default_factory=list)
    likeness: list[float] = field(default_factory=list)

    def add(self, heat: Heat, box_xyxy: Sequence[float], mask: Mask | None) -> None:
        """Measure where a map ``[h, w]`` lies."""
        size = (heat.shape[0], heat.shape[1])
        box = measures.box_mask(size, box_xyxy)
        region = box if mask is None else mask
        self.in_box.append(measures.energy(heat, box))
        if mask is not None:
            self.in_mask.append(measures.energy(heat, mask))
        self.pointing.append(float(measures.points_at(heat, region)))
        self.times_area.append(measures.times_area(heat, region))

    def means(self) -> dict[str, float | None]:
        """The mean of each measure, and energy in the mask over energy in the box; None: no map."""
        found = {
            name: float(np.mean(values)) if values else None for name, values in vars(self).items()
        }
        in_mask, in_box = found['in_mask'], found['in_box']
        found['mask_over_box'] = in_mask / in_box if in_mask is not None and in_box else None
        return found


def control_maps(size_hw: tuple[int, int], box_xyxy: Sequence[float], seed: int) -> dict[str, Heat]:
    """The maps ``[h, w]`` of :data:`CONTROLS`, which know no network."""
    whole = (0.0, 0.0, float(size_hw[1]), float(size_hw[0]))
    maps = (
        measures.gaussian_in_box(size_hw, box_xyxy),
        measures.box_mask(size_hw, box_xyxy).astype(np.float64),
        measures.gaussian_in_box(size_hw, whole),
        np.random.default_rng(seed).random(size_hw),
    )
    return dict(zip(CONTROLS, maps, strict=True))


class Faithfulness:
    """What the pixels of a map do to the score that the detector really puts out.

    What is not there has the mean color. The budget is the area of the box, not of the image: in
    that all methods look alike for small objects.

    Args:
        scene: of the picture; its network is inside of ``undisturbed``.
        detection: that the maps are of.
        block: inputs at once.
        seed: of the order of equal pixels.
    """

    def __init__(self, scene: Scene, detection: Detection, block: int = 8, seed: int = 0) -> None:
        prepared = scene.prepared
        box = torch.tensor([detection.box_xyxy])
        label = torch.tensor([detection.label])
        self._score = Matched(scene.network, prepared, box, label, hard=True)
        self._prepared, self._block, self._seed = prepared, block, seed
        left, top, right, bottom = boxes_to_input(box, prepared.frame)[0].tolist()
        self._budget = max(_LEAST_BUDGET_PX, round((right - left) * (bottom - top)))
        self._whole = float(self._scores(prepared.inputs)[0])

    def of(self, heat: Heat) -> tuple[float, float] | None:
        """Deletion and insertion of a map ``[h, w]``; None if the detector finds nothing there."""
        if self._whole <= 0:
            return None
        inputs = self._prepared.inputs
        flat = to_input_map(
            torch.from_numpy(np.asarray(heat, np.float32))[None],
            self._prepared.frame,
            self._prepared.size_hw,
        )[0].numpy()
        order = torch.from_numpy(measures.pixel_order(flat, self._seed))
        counts = [round(self._budget * step / STEPS) for step in range(STEPS + 1)]
        kept = torch.ones(len(counts), order.numel())
        for row, count in zip(kept, counts, strict=True):
            row[order[:count]] = 0
        masks = kept.view(-1, 1, *self._prepared.size_hw).to(inputs.device)
        deleted = self._scores(inputs * masks)
        inserted = self._scores(inputs * (1 - masks))
        return (
            measures.area_under(deleted.tolist(), self._whole),
            measures.area_under(inserted.tolist(), self._whole),
        )

    def _scores(self, inputs: Tensor) -> Tensor:
        with torch.no_grad():
            parts = [self._score(block)[:, 0] for block in inputs.split(self._block)]
        return torch.cat(parts).cpu()


def randomized(network: Network, seed: int) -> Network:
    """The same detector with weights drawn anew, of the mean and spread that each has."""
    other = copy.copy(network)
    other.model = copy.deepcopy(network.model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in other.model.parameters():
            spread = float(weight.std()) if weight.numel() > 1 else 0.0
            noise = torch.randn(weight.shape, generator=generator).to(weight)
            weight.copy_(weight.mean() + spread * noise)
    return other


def region_of(scene: Scene, detection: Detection) -> Mask:
    """``[h, w]``: the pixels that the second stage sees of a detection; else its box."""
    size = (scene.image.shape[0], scene.image.shape[1])
    if not detection.region_xyxy:
        return measures.box_mask(size, detection.box_xyxy)
    frame = scene.prepared.frame
    left, top, right, bottom = detection.region_xyxy
    scale_w, scale_h = frame.scale_wh
    box = (
        (left - frame.left) / scale_w, (top - frame.top) / scale_h,
        (right - frame.left) / scale_w, (bottom - frame.top) / scale_h,
    )  # fmt: skip
    return measures.box_mask(size, box)
