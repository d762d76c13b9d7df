"""What is computed between key frames: against goldens, the released network restated, its cost."""

from collections.abc import Callable
from pathlib import Path

import pytest
import released_video_network as released
import torch
from mmdet.models.backbones import MobileNetV2, ResNet, ResNetV1d
from mmengine.registry import init_default_scope
from released_yolact_network import fill
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from mmext.configuration import load_config
from mmext.errors import InputError
from mmext.inference.checkpoint_systems import build_without_values, differences
from mmext.registry import MODELS
from mmext.yolact_edge.checkpoint_keys import convert, convert_video
from mmext.yolact_edge.feature_warping import Motion, from_pixels, in_cells, propagate
from mmext.yolact_edge.flow_net import FINEST
from mmext.yolact_edge.key_state import KeyState
from mmext.yolact_edge.partial_backbone import first_map
from mmext.yolact_edge.propagation import FeaturePropagation

CONFIGS = Path(__file__).parents[2] / 'configs'
Shapes = dict[str, tuple[int, ...]]
Read = Callable[[str], Shapes]


@pytest.fixture(scope='module')
def networks(released_shapes: Read):
    """Weights of the parts behind the backbone under their names, and ours with them."""
    shapes = released_shapes('yolact-edge-video_r101')
    source = fill({key: s for key, s in shapes.items() if not key.startswith('backbone.')})
    state = convert_video(source).state
    ours = FeaturePropagation().eval()
    part = {k.removeprefix('propagation.'): v for k, v in state.items() if 'propagation' in k}
    ours.load_state_dict(part, strict=True)
    return source, ours


def maps() -> tuple[Tensor, Tensor, list[Tensor]]:
    """Laterals of the frame and of its key frame, and the key frame's levels."""
    torch.manual_seed(0)
    sizes = ((13, 17), (7, 9), (4, 5))
    lateral, key_lateral = torch.randn(2, 2, 256, *sizes[0])
    return lateral, key_lateral, [torch.randn(2, 256, *size) for size in sizes[1:]]


@torch.no_grad()
def test_the_released_network(networks: tuple[dict[str, Tensor], FeaturePropagation]) -> None:
    source, ours = networks
    lateral, key_lateral, key_maps = maps()
    theirs = released.between_keys(source, lateral, key_lateral, key_maps)
    state = ours.state_of([key_lateral, *key_maps], key_lateral)
    for level, wanted in zip(ours(lateral, state), theirs, strict=True):
        assert wanted.std() > 0.1
        torch.testing.assert_close(level, wanted, rtol=0, atol=1e-4 * float(wanted.abs().max()))


@torch.no_grad()
def test_the_level_that_is_not_used(networks: tuple[dict[str, Tensor], FeaturePropagation]) -> None:
    """Left out it changes nothing, asked for it is what was released."""
    source, ours = networks
    lateral, key_lateral, _ = maps()
    encoded = ours.encoder(key_lateral)
    three = ours.motions(lateral, encoded, FINEST)
    two = ours.motions(lateral, encoded)
    assert len(three) == 3 and len(two) == 2
    for ours_then, ours_now in zip(three[1:], two, strict=True):
        assert all(a.equal(b) for a, b in zip(ours_then, ours_now, strict=True))
    pair = torch.cat([released.encode(source, x) for x in (lateral, key_lateral)], 1)
    for part, wanted in zip(three[0], released.flow_net(source, pair)[1], strict=True):
        torch.testing.assert_close(part, wanted, rtol=0, atol=1e-4 * float(wanted.abs().max()))


def picture(*rows: list[float]) -> Tensor:
    return torch.tensor([[rows]])


NUMBERS = picture(*(list(map(float, range(n, n + 5))) for n in (1, 6, 11)))


@pytest.mark.parametrize(
    ('flow', 'first_rows'),
    [
        ((0.0, 0.0), [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]]),
        ((16 / 4, 0.0), [[2, 3, 4, 5, 0], [7, 8, 9, 10, 0]]),
        ((16 / 5, 0.0), [[1.8, 2.8, 3.8, 4.8, 1.0], [6.8, 7.8, 8.8, 9.8, 2.0]]),
        ((0.0, 4.0), [[3.5, 4.5, 5.5, 6.5, 7.5], [8.5, 9.5, 10.5, 11.5, 12.5]]),
    ],
)
def test_known_shifts(flow: tuple[float, float], first_rows: list[list[float]]) -> None:
    field = torch.tensor(flow).view(1, 2, 1, 1).expand(1, 2, 3, 5)
    one, zero = torch.ones(1, 1, 3, 5), torch.zeros(1, 1, 3, 5)
    found = propagate(NUMBERS, Motion(field, one, zero))
    torch.testing.assert_close(found[:, :, :2], picture(*first_rows).float(), atol=1e-5, rtol=0)
    scaled = propagate(NUMBERS, Motion(field, 2 * one, one))
    torch.testing.assert_close(scaled, 2 * found + 1)


def test_pixels_become_the_units_of_the_network() -> None:
    """A shift by 8 px on an input of 64 is one cell of eight."""
    flow_px = torch.tensor([8.0, -16.0]).view(1, 2, 1, 1).expand(1, 2, 64, 64)
    cells = in_cells(from_pixels(flow_px, (8, 8)))
    torch.testing.assert_close(cells[0, :, 3, 3], torch.tensor([1.0, -2.0]))
    assert from_pixels(flow_px, (1, 1)).isfinite().all()


@torch.no_grad()
def test_an_untrained_network_that_sees_no_motion_changes_nothing() -> None:
    part = FeaturePropagation(channels=8, encoded_channels=4).eval()
    for prediction in part.flow_net.predictions:
        prediction.flow.weight.zero_()
    lateral = torch.randn(1, 8, 9, 11)
    middle, coarse = torch.randn(1, 8, 5, 6), torch.randn(1, 8, 3, 3)
    state = KeyState(middle, coarse, part.encoder(lateral))
    finest, *rest = part(lateral, state)
    for level, kept in zip(rest, (middle, coarse), strict=True):
        torch.testing.assert_close(level, kept)
    up = torch.nn.functional.interpolate(middle, (9, 11), mode='bilinear', align_corners=False)
    torch.testing.assert_close(finest, lateral + up)


@pytest.mark.parametrize(
    'backbone',
    [
        lambda: ResNet(18, out_indices=(0, 1, 2), base_channels=8, stem_channels=8),
        lambda: ResNetV1d(depth=50, out_indices=(1, 2, 3), base_channels=4, stem_channels=4),
        lambda: MobileNetV2(0.25, out_indices=(2, 3, 5)),
    ],
)  # fmt: skip
@torch.no_grad()
def test_a_backbone_stops_at_its_first_map(backbone: Callable[[], ResNet]) -> None:
    network = backbone()
    network.eval()
    images = torch.randn(1, 3, 65, 70)
    assert first_map(network, images).equal(network(images)[0])


def test_another_backbone_is_refused() -> None:
    with pytest.raises(InputError, match='key_interval=1'):
        first_map(torch.nn.Conv2d(3, 4, 1), torch.zeros(1, 3, 8, 8))


def video_shapes(depth: str, read: Read) -> Shapes:
    shapes = read('yolact-edge-video_r101')
    if depth == 'r101':
        return shapes
    return {
        key: shape
        for key, shape in shapes.items()
        if not key.startswith('backbone.layers.2.') or int(key.split('.')[3]) < 6
    }


@pytest.mark.parametrize('depth', ['r50', 'r101'])
def test_every_key_is_accounted_for(depth: str, released_shapes: Read) -> None:
    shapes = video_shapes(depth, released_shapes)
    source = {key: torch.empty(shape, device='meta') for key, shape in shapes.items()}
    converted = convert_video(source)
    config = load_config(str(CONFIGS / f'yolact_edge/video_{depth}_youtube-vis.py'))
    assert not differences(converted.state, build_without_values(config))
    assert not converted.dropped
    with pytest.raises(InputError, match='unknown'):
        convert(source)


def test_an_image_model_is_no_video_model(released_shapes: Read) -> None:
    shapes = released_shapes('yolact-edge_r101')
    source = {key: torch.empty(shape, device='meta') for key, shape in shapes.items()}
    with pytest.raises(InputError, match='image model'):
        convert_video(source)


@pytest.fixture(scope='module', params=['r50', 'r101'])
def priced(request: pytest.FixtureRequest):
    """A video model of 80 classes without values, and what it costs at 550 x 550."""
    init_default_scope('mmdet')
    config = load_config(str(CONFIGS / f'yolact_edge/video_{request.param}_youtube-vis.py')).model
    config.update(type='mmext.VideoYolactEdge')
    for head in (config.bbox_head, config.mask_head):
        head.num_classes = 80
    with torch.device('meta'):
        return request.param, MODELS.build(config).eval()


def cost(compute: Callable[[], object]) -> float:
    """GMAC."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        compute()
    return counter.get_total_flops() / 2e9


def test_the_cost_of_frames(priced) -> None:
    """Multiplications of the whole way, of what is kept, and of the way between key frames."""
    depth, model = priced
    images = torch.zeros(1, 3, 550, 550, device='meta')
    kept = {}

    def key_frame() -> None:
        merged, lateral = model.merged_of_key(images)
        kept['merged'], kept['lateral'] = merged, lateral
        model.outputs_of_levels(model.neck.phase_2(merged))

    key = cost(key_frame)
    state = cost(lambda: kept.update(s=model.propagation.state_of(kept['merged'], kept['lateral'])))

    def other_frame() -> None:
        merged = model.propagation(model.lateral_of(images), kept['s'])
        model.outputs_of_levels(model.neck.phase_2(merged))

    other = cost(other_frame)
    assert key == pytest.approx({'r50': 59.1, 'r101': 82.3}[depth], abs=0.1)
    assert state == pytest.approx(0.70, abs=0.01)
    assert other == pytest.approx(48.4, abs=0.1)
    unused = cost(lambda: model.propagation.motions(kept['lateral'], kept['s'].encoded, FINEST))
    used = cost(lambda: model.propagation.motions(kept['lateral'], kept['s'].encoded))
    assert unused - used == pytest.approx(1.03, abs=0.01)
