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


_LANDMARKS = 'mmext.cli.prepare.landmarks.'

DATA_SETS = {
    'coco': DataSet('mmext.cli.prepare.coco', 'COCO 2017: check, download, cut down'),
    'wider-face': DataSet('mmext.cli.prepare.wider_face', 'WIDER FACE: check, convert the labels'),
    'cityscapes-vps': DataSet(
        'mmext.cli.prepare.cityscapes_vps', 'Cityscapes-VPS: check, convert to COCO panoptic video'
    ),
    'densepose-surface': DataSet(
        'mmext.cli.prepare.densepose_surface', "DensePose's files of SMPL's surface: to ours"
    ),
    '300w': DataSet(f'{_LANDMARKS}faces_300w', '300W, 68 points of faces: to COCO key points'),
    'wflw': DataSet(f'{_LANDMARKS}faces_wflw', 'WFLW, 98 points of faces: to COCO key points'),
    'cofw': DataSet(f'{_LANDMARKS}faces_cofw', 'COFW, 29 points of faces: to COCO key points'),
    'aflw': DataSet(f'{_LANDMARKS}faces_aflw', 'AFLW, 19 points of faces: to COCO key points'),
    'face-labels': DataSet(
        f'{_LANDMARKS}faces_labels', 'face files with five points: to COCO key points'
    ),
    'mpii': DataSet(f'{_LANDMARKS}people_mpii', 'MPII, 16 points of persons: to COCO key points'),
    'lsp': DataSet(f'{_LANDMARKS}people_lsp', 'LSP, 14 points of persons: to COCO key points'),
    'coco-keypoints': DataSet(
        f'{_LANDMARKS}people_coco', 'COCO and COCO-WholeBody: body, whole body, feet, face, hands'
    ),
}
