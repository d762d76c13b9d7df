"""Anchors of Faster R-CNN's first implementation, on which the released UPSNet was trained.

Source: Ren et al., "Faster R-CNN", NeurIPS 2015, and its released code: the sides for one cell are
rounded to whole pixels before they are scaled, so that at stride 16, scale 8 and ratio 0.5 an
anchor is 184 x 96 and not 181.0 x 90.5.

Frame: mmdet's, where a box ends at the far edge of its last pixel. The original's ends name that
pixel, and it adds 1 to every width; with ``center_offset=0.5`` both are the same boxes.
"""

from mmdet.models.task_modules import AnchorGenerator
from torch import Tensor, stack

from mmext.registry import TASK_UTILS


@TASK_UTILS.register_module()
class RoundedAnchorGenerator(AnchorGenerator):
    """mmdet's generator, same arguments, with sides of ``round(side of a cell) * scale``."""

    def gen_single_level_base_anchors(
        self,
        base_size: int | float,
        scales: Tensor,
        ratios: Tensor,
        center: tuple[float, float] | None = None,
    ) -> Tensor:
        """Anchors of the first cell, ratio by ratio and scale by scale in it.

        Args:
            base_size: side of a cell, px.
            scales: ``[S]``.
            ratios: ``[R]``, height by width.
            center: (x, y) px; None is ``center_offset`` of the cell.

        Returns:
            ``[R * S, 4]``, ``x1, y1, x2, y2`` in px.
        """
        x, y = center or (self.center_offset * base_size,) * 2
        widths = (base_size**2 / ratios.double()).sqrt().round()  # halves to even, as NumPy does
        heights = (widths * ratios).round()
        half_width, half_height = (
            (side[:, None] * scales / 2).flatten() for side in (widths, heights)
        )
        corners = (x - half_width, y - half_height, x + half_width, y + half_height)
        return stack(corners, dim=-1).to(scales.dtype)
