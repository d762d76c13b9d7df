"""A data set that labels only some of the classes of a detector."""

from collections.abc import Sequence
from typing import Any

from mmext.errors import InputError
from mmext.formats.coco_records import CocoRecords
from mmext.language.table import plain_name
from mmext.pipelines.coco_dataset import CocoDataset
from mmext.pipelines.data_summary import DataSummary
from mmext.registry import DATASETS


@DATASETS.register_module()
class PartialCocoDataset(CocoDataset):
    """COCO's instances format; its ``metainfo['classes']`` are those of the detector.

    Several such sets of one class list make a ``ConcatDataset``. With ``labelled_classes`` among
    the ``meta_keys`` of ``PackDetInputs``, a head of this room makes no negatives of what a set
    does not label (:mod:`mmext.language.partial_labels`).

    Args:
        labelled: classes that the objects of this set were looked through for.
        share: ``(k, n)`` takes every n-th image from the k-th on, for demos: several sets out of
            one file; None takes all.
        args, kwargs: of :class:`mmext.CocoDataset`.

    Raises:
        InputError: one of them is not among the classes of the detector.
    """

    def __init__(
        self,
        *args: Any,
        labelled: Sequence[str],
        share: tuple[int, int] | None = None,
        **kwargs: Any,
    ) -> None:
        self.labelled = tuple(labelled)
        self.images = slice(None) if share is None else slice(share[0], None, share[1])
        super().__init__(*args, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """The host's records, with the labels of the detector and ``labelled_classes``."""
        classes = self._metainfo['classes']
        row_of = {plain_name(name): row for row, name in enumerate(classes)}
        missing = [name for name in self.labelled if plain_name(name) not in row_of]
        if missing:
            raise InputError(
                f'{self.ann_file}: labelled {", ".join(missing)}: not among the classes '
                f'{", ".join(classes)}'
            )
        rows = [row_of[plain_name(name)] for name in self.labelled]
        self._metainfo['classes'] = self.labelled
        try:
            data_list = super().load_data_list()
        finally:
            self._metainfo['classes'] = classes
        self.cat2label = {category: rows[label] for category, label in self.cat2label.items()}
        for data in data_list:
            data['labelled_classes'] = sorted(rows)
            for instance in data['instances']:
                instance['bbox_label'] = rows[instance['bbox_label']]
        return data_list[self.images]

    def _summarize(self, records: CocoRecords, data_list: list[dict[str, Any]]) -> DataSummary:
        return super()._summarize(records, data_list[self.images])
