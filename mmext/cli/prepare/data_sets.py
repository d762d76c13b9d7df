"""The names that ``tools/prepare_data.py`` knows."""

from typing import NamedTuple


class DataSet(NamedTuple):
    """A data set that can be prepared.

    Attributes:
        module: has ``add_arguments(parser)`` and ``run(arguments)``; its docstring is the help.
        summary: one line for the list of names.
    """

    module: str
    summary: str


DATA_SETS = {
    'coco': DataSet('mmext.cli.prepare.coco', 'COCO 2017: check, download, cut down'),
    'wider-face': DataSet('mmext.cli.prepare.wider_face', 'WIDER FACE: check, convert the labels'),
    'cityscapes-vps': DataSet(
        'mmext.cli.prepare.cityscapes_vps', 'Cityscapes-VPS: check, convert to COCO panoptic video'
    ),
}
