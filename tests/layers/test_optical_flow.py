"""The sources of flow: DIS against known motion, files through every transform, RAFT if there."""

import importlib.util

import cv2
import numpy as np
import pytest
import torch

from mmext.formats.flow_files import write_flow
from mmext.functional.flow_warping import warp
from mmext.registry import MODELS, TRANSFORMS

torch.set_num_threads(1)


def texture(height, width, seed=0):
    """A picture with detail at several scales."""
    rng = np.random.default_rng(seed)
    picture = sum(
        cv2.resize(
            rng.uniform(0, 1, (height // step + 2, width // step + 2, 3)),
            (width, height),
            interpolation=cv2.INTER_CUBIC,
        )
        for step in (4, 8, 16, 32)
    )
    picture = 255 * (picture - picture.min()) / np.ptp(picture)
    return torch.from_numpy(picture).permute(2, 0, 1).float()


def test_dis_finds_known_motion_and_its_sign():
    whole = texture(140, 180)
    target, reference = whole[None, :, 20:116, 20:148], whole[None, :, 17:113, 25:153]
    # the reference's window lies 5 to the right and 3 up: content is at p + (-5, +3) there
    flow = MODELS.build(dict(type='mmext.DISFlow'))(target, reference, [{}])
    assert flow.shape == (1, 2, 96, 128)
    error = (flow - torch.tensor([-5.0, 3.0]).view(1, 2, 1, 1)).norm(dim=1)
    assert error[:, 12:-12, 12:-12].mean() < 0.2
    aligned = warp(reference, flow)
    inner = (slice(None), slice(None), slice(12, -12), slice(12, -12))
    assert (aligned - target)[inner].abs().mean() < 0.1 * (reference - target)[inner].abs().mean()


def test_dis_of_a_still_scene_is_zero_and_batches_are_independent():
    module = MODELS.build(dict(type='mmext.DISFlow', preset='fast'))
    a, b = texture(64, 96), texture(64, 96, seed=1)
    moved = b.roll(2, dims=2)
    flow = module(torch.stack((a, b)), torch.stack((a, moved)), [{}, {}])
    assert (flow[0] == 0).all()
    torch.testing.assert_close(flow[1:], module(b[None], moved[None], [{}]))
    assert not flow.requires_grad


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(type='mmext.DISFlow', preset='slow'), 'preset.*slow'),
        (dict(type='mmext.PrecomputedFlow', pattern='a/{frame_id}.flo'), 'ref_frame_id'),
        (dict(type='mmext.RAFTFlow', variant='huge'), 'variant'),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(options)


def test_dis_needs_twelve_pixels():
    with pytest.raises(ValueError, match='12 px'):
        MODELS.build(dict(type='mmext.DISFlow'))(*[torch.zeros(1, 3, 8, 8)] * 2, [{}])


@pytest.fixture
def precomputed(tmp_path):
    pattern = str(tmp_path / '{video_id}_{frame_id:03d}_{ref_frame_id:03d}.flo')
    return MODELS.build(dict(type='mmext.PrecomputedFlow', pattern=pattern))


def place():
    return dict(video_id='v', frame_id=4, ref_frame_id=3)


def meta(**changes):
    return dict(ori_shape=(20, 30), img_shape=(20, 30), **place()) | changes


def write_ramp(tmp_path):
    """A flow whose x part is the column, and y part the row, of the original picture."""
    rows, columns = np.mgrid[:20, :30].astype(np.float32)
    write_flow(str(tmp_path / 'v_004_003.flo'), np.stack((columns, rows), axis=-1))


def test_files_follow_padding_resizing_and_flipping(tmp_path, precomputed):
    write_ramp(tmp_path)
    pictures = [torch.zeros(1, 3, 64, 96)] * 2
    plain = precomputed(*pictures, [meta()])
    assert plain.shape == (1, 2, 64, 96)
    assert plain[0, :, 7, 11].tolist() == pytest.approx([11, 7])
    assert (plain[..., 20:, :] == 0).all() and (plain[..., 30:] == 0).all()

    resized = meta(img_shape=(40, 90), scale_factor=(3.0, 2.0))
    flow = precomputed(*pictures, [resized])
    assert flow[0, 0, 9, 4] == pytest.approx(3 * 1.0)  # the centre of column 1 is at 4, times 3
    assert flow[0, 1, 3, 40] == pytest.approx(2 * 1.25)

    flipped = precomputed(*pictures, [meta(flip=True, flip_direction='horizontal')])
    assert flipped[0, :, 7, 11].tolist() == pytest.approx([-(29 - 11), 7])


def test_files_follow_the_transforms_of_mmdet(tmp_path, precomputed):
    """Where a pixel comes from is told by a picture of coordinates that takes the same way."""
    write_ramp(tmp_path)
    rows, columns = np.mgrid[:20, :30].astype(np.float32)
    results = dict(img=np.stack((columns, rows, rows), axis=-1), img_shape=(20, 30), **place())
    steps = [
        dict(type='mmdet.Resize', scale=(60, 60), keep_ratio=True),
        dict(type='mmdet.RandomFlip', prob=1.0),
        dict(type='mmdet.RandomCrop', crop_size=(32, 24)),
    ]
    np.random.seed(3)
    for step in steps:
        results = TRANSFORMS.build(step)(results)
    assert results['img_shape'] == (24, 32)
    flow = precomputed(*[torch.zeros(1, 3, 32, 32)] * 2, [dict(results, ori_shape=(20, 30))])
    scale = torch.tensor([-2.0, 2.0]).view(2, 1, 1)
    coordinates = torch.from_numpy(results['img'][..., :2].copy()).movedim(-1, 0)
    torch.testing.assert_close(flow[0, :, :24], scale * coordinates, atol=1e-3, rtol=0)
    assert (flow[0, :, 24:] == 0).all()


@pytest.mark.parametrize(
    ('changes', 'error', 'message'),
    [
        (dict(ref_frame_id=5), FileNotFoundError, 'v_004_005.flo'),
        (dict(ori_shape=(20, 31)), ValueError, r'flow of \(20, 30\)'),
        (dict(img_shape=(10, 31)), ValueError, 'homography_matrix.*meta_keys'),
        (dict(flip=True, flip_direction='vertical'), ValueError, 'vertical'),
    ],
)
def test_files_that_do_not_fit(tmp_path, precomputed, changes, error, message):
    write_ramp(tmp_path)
    with pytest.raises(error, match=message):
        precomputed(*[torch.zeros(1, 3, 32, 32)] * 2, [meta(**changes)])


def test_a_meta_without_the_reference_is_named(precomputed):
    without = {k: v for k, v in meta().items() if k != 'ref_frame_id'}
    with pytest.raises(ValueError, match='ref_frame_id'):
        precomputed(*[torch.zeros(1, 3, 32, 32)] * 2, [without])


@pytest.mark.skipif(
    importlib.util.find_spec('torchvision') is not None, reason='torchvision is installed'
)
def test_raft_without_torchvision_says_what_to_do():
    with pytest.raises(ImportError, match=r'torchvision.*mmext\.DISFlow'):
        MODELS.build(dict(type='mmext.RAFTFlow'))
