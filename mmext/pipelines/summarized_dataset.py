"""What our COCO data sets share beside the reading of a file."""

from collections.abc import Sequence
from typing import Any

from mmext.errors import InputError
from mmext.formats.coco_faults import Fault
from mmext.pipelines.class_tables import reordered
from mmext.pipelines.data_summary import DataSummary


class SummarizedDataset:
    """A data set that knows what it holds, can renumber its classes and is never empty.

    To be mixed into a data set of mmengine's form, before it; that one's ``load_data_list`` sets
    ``summary``.

    Attributes:
        summary: what was read, see :class:`~mmext.pipelines.data_summary.DataSummary`.
        filter_remark: what a user may not know of the host's filter, for the error.
    """

    summary: DataSummary
    filter_remark = ''
    # of the data set that this is mixed into
    ann_file: str
    data_list: list[dict[str, Any]]
    filter_cfg: dict[str, Any] | None
    test_mode: bool
    _metainfo: dict[str, Any]
    _fully_initialized: bool

    def adopt_classes(self, classes: Sequence[str]) -> None:
        """Number the labels by another table of classes, and read the file again.

        Args:
            classes: at least those of the data set.
        """
        self._metainfo |= reordered(self._metainfo, classes)
        self._fully_initialized = False
        self.full_init()  # type: ignore[attr-defined]

    def filter_data(self) -> list[dict[str, Any]]:
        """The images that ``filter_cfg`` keeps; at least one.

        Raises:
            InputError: none is left.
        """
        kept = self.select_images(super().filter_data())  # type: ignore[misc]
        if not kept:
            raise InputError(
                f'{self.ann_file}: {len(self.data_list)} images, none left by '
                f'filter_cfg={self.filter_cfg}{self.filter_remark}'
            )
        self.summary.filtered = len(self.data_list) - len(kept)
        self.summary.images = len(kept)
        return kept

    def select_images(self, images: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What a data set of its own kind keeps of the images that the host's filter keeps."""
        return images

    def require_objects(self) -> None:
        """Look whether there is something to learn, where the data set is for training.

        Raises:
            InputError: no object is usable.
        """
        if not self.test_mode and not self.summary.usable:
            raise InputError(f'nothing to learn: {self.summary.line("train")}{self._remedy()}')

    def _remedy(self) -> str:
        if Fault.SMALL in self.summary.left_out:
            return '. bbox is x, y, width, height in pixels of the photo'
        if self.summary.ignored:
            return '. Set iscrowd to 0 where an annotation is of a single object'
        return ''
