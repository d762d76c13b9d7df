"""The dense part as it is deployed: features or pixels of regions in, maps of the surface out."""

from typing import Any

from torch import Tensor, nn

from mmext.densepose.surface_maps import doubled, doubled_logits
from mmext.errors import InputError
from mmext.layers.task_roi_head import TaskRoIHead


class SurfaceNetwork(nn.Module):
    """A :class:`.DensePoseTask` behind its RoIAlign; the detector before it stays outside.

    Args:
        task: of a trained detector.

    Attributes:
        input_name, output_names: of the graph.
        channels: of the features of regions, or 3: of a task that reads images.
        size_hw: their cells.
        jumps: outputs are no maxima that a last bit could move.
    """

    input_name = 'regions'
    output_names = ('coarse', 'parts', 'u', 'v')
    jumps = False

    def __init__(self, task: Any) -> None:
        super().__init__()
        extractor = task.roi_extractor
        self.trunk, self.predictor = task.trunk, task.predictor
        self.channels = int(extractor.out_channels)
        height, width = extractor.roi_layers[0].output_size
        self.size_hw = (int(height), int(width))

    def forward(self, regions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The maps of regions, as :func:`.decode_surface` reads them.

        Args:
            regions: ``[R, C, s, s]`` float32.

        Returns:
            Logits of the body ``[R, 2 or 15, 4 s, 4 s]`` and of the parts ``[R, 25, 4 s, 4 s]``,
            U and V likewise; of pixels as large as these.
        """
        maps = self.predictor(self.trunk(regions))
        return (
            doubled_logits(maps.coarse, maps.coarse_confidence),
            doubled_logits(maps.parts, maps.part_confidence),
            doubled(maps.u),
            doubled(maps.v),
        )


def surface_network(model: Any) -> SurfaceNetwork:
    """The dense part of a detector.

    Raises:
        InputError: it has none.
    """
    head = getattr(model, 'roi_head', None)
    if not isinstance(head, TaskRoIHead) or 'densepose' not in head.tasks:
        raise InputError('the detector has no task named densepose in roi_head.tasks')
    return SurfaceNetwork(head.tasks['densepose']).eval()
