"""Convert DensePose's files of SMPL's surface into the folder that mmext.SurfaceMetric reads.

python tools/prepare_data.py densepose-surface --root data/densepose_coco/densepose

Expected in the root, from the evaluation data of DensePose (for non-commercial use):

  SMPL_subdiv.mat, SMPL_SUBDIV_TRANSFORM.mat, Pdist_matrix.pkl

Written: surface/mesh.npz and surface/geodesics.npy (1.5 GB for SMPL's 27,554 vertices).
"""

import argparse
from pathlib import Path

from mmext.formats.smpl_surface import read_smpl_surface
from mmext.formats.surface_files import write_surface


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument('--root', type=Path, default=Path('data/densepose_coco/densepose'))
    parser.add_argument('--out', type=Path, help='folder (default: surface/ in the root)')


def run(arguments: argparse.Namespace) -> None:
    """Do what the command line says.

    Raises:
        InputError: a file is missing or broken.
    """
    mesh = read_smpl_surface(arguments.root)
    out = arguments.out or arguments.root / 'surface'
    write_surface(out, mesh)
    print(f'{out}: {len(mesh.part)} vertices, {len(mesh.geodesics)} distances')
