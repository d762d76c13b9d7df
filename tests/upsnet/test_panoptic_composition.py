"""Full-resolution decision against a dense restatement with one full map per channel."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mmext.upsnet.box_windows import Window
from mmext.upsnet.panoptic_composition import compose_panoptic
from mmext.upsnet.upsampling import upsample_window

torch.set_num_threads(1)


def oracle(
    scene,
    num_things,
    factor=4,
    rounding='official',
    outside='zero',
    with_unknown=True,
    threshold=0.3,
):
    """Panoptic channels, semantic labels and kept detections, channel by channel."""
    full = upsample(scene['semantic_logits'], factor)
    num_classes, height, width = full.shape
    num_stuff = num_classes - num_things
    boxes, labels = scene['boxes_xyxy'].tolist(), scene['labels'].tolist()
    order = sorted(range(len(boxes)), key=lambda i: (-scene['scores'][i].item(), -i))

    def mask_of(i):  # resized logits, and where they lie
        x1, y1, x2, y2 = (int(value) for value in boxes[i])
        size = (max(y2 - y1 + 1, 1), max(x2 - x1 + 1, 1))
        logits = resize(scene['mask_logits'][i], size)
        plane, inside = np.zeros((height, width), np.float32), np.zeros((height, width), bool)
        for y in range(max(y1, 0), min(y2 + 1, height)):
            for x in range(max(x1, 0), min(x2 + 1, width)):
                plane[y, x], inside[y, x] = logits[y - y1, x - x1], True
        return plane, inside

    canvases = {label: np.zeros((height, width), int) for label in labels}
    kept = []
    for i in order:
        plane, _ = mask_of(i)
        mask = plane > 0
        if mask.sum() == 0:
            continue
        if (mask & (canvases[labels[i]] >= 1)).sum() / mask.sum() > threshold:
            continue
        canvases[labels[i]] += mask
        kept.append(i)
    use_masks = bool(kept)
    if not kept and boxes:
        kept = [0]

    seg_terms, channels = [], []
    for i in kept:
        x1, y1, x2, y2 = boxes[i]
        ends = [int(x2) + 1, int(y2) + 1]
        if rounding == 'official':  # a negative corner is not part of the published rule
            ends = [max(int(np.round(v)) + 1, end) for v, end in zip((x2, y2), ends, strict=True)]
        rows, columns = np.arange(height)[:, None], np.arange(width)[None]
        window = (rows >= int(y1)) & (rows < ends[1]) & (columns >= int(x1)) & (columns < ends[0])
        seg = np.where(window, full[labels[i]], np.float32(0))
        seg_terms.append(seg)
        channel = seg + mask_of(i)[0] if use_masks else seg
        channels.append(np.where(window, channel, -np.inf) if outside == 'excluded' else channel)
    zero = np.zeros((height, width), np.float32)
    things = full[:num_things].max(axis=0)
    unknown = things - (np.max(seg_terms, axis=0) if seg_terms else zero)
    panoptic = np.stack([*full[num_things:], *channels, *([unknown] if with_unknown else [])])
    stuff_first = np.concatenate([full[num_things:], full[:num_things]]).argmax(axis=0)
    semantic = np.where(stuff_first < num_stuff, stuff_first + num_things, stuff_first - num_stuff)
    return panoptic.argmax(axis=0), semantic, kept


def upsample(logits, factor):
    """All channels whole, in the arithmetic of the package (tested in test_upsampling.py)."""
    whole = Window(0, logits.shape[1] * factor, 0, logits.shape[2] * factor)
    return np.stack([upsample_window(channel, whole, factor).numpy() for channel in logits])


def resize(logits, size):
    return F.interpolate(logits[None, None].float(), size=size, mode='bilinear')[0, 0].numpy()


def random_scene(rng, factor=4, num_instances=None):
    """A small scene that mixes the hard cases: half pixels, ties, zeros, borders, negatives."""
    num_things, num_stuff = int(rng.integers(1, 4)), int(rng.integers(1, 5))
    h, w = int(rng.integers(1, 12)), int(rng.integers(1, 12))
    height, width = h * factor, w * factor
    n = int(rng.integers(0, 8)) if num_instances is None else num_instances
    semantic = rng.normal(0, 2, (num_things + num_stuff, h, w))
    if rng.random() < 0.3:
        semantic = np.round(semantic)  # ties between channels
    if rng.random() < 0.3:
        semantic[num_things:] = -np.abs(semantic[num_things:])  # the zero channels win
    if rng.random() < 0.2:
        semantic = -np.abs(semantic) - 1
    grid = rng.choice([1, 0.5, 0.25, 1e-3])
    corners = rng.uniform(-0.3, 1.3, (n, 4)) * [width, height, width, height]
    if rng.random() < 0.6:
        corners = corners.clip(0, [width, height, width, height])
    boxes = (
        np.round(
            np.stack(
                [
                    np.minimum(corners[:, 0], corners[:, 2]),
                    np.minimum(corners[:, 1], corners[:, 3]),
                    np.maximum(corners[:, 0], corners[:, 2]),
                    np.maximum(corners[:, 1], corners[:, 3]),
                ],
                1,
            )
            / grid
        )
        * grid
    )
    if n and rng.random() < 0.3:
        boxes[:] = [0, 0, width, height]  # every instance covers every pixel
    if n and rng.random() < 0.1:
        boxes[0] = boxes[0, [2, 3, 0, 1]]  # inverted
    masks = rng.normal(rng.choice([-1, 0, 1]), 2, (n, 28, 28))
    masks[rng.random(n) < 0.15] = 0
    if rng.random() < 0.1:
        masks = -np.abs(masks)  # nothing survives
    if rng.random() < 0.3:
        masks = np.round(masks)
    as_float = dict(dtype=torch.float32)
    return num_things, dict(
        semantic_logits=torch.tensor(semantic, **as_float),
        mask_logits=torch.tensor(masks, **as_float).reshape(n, 28, 28),
        boxes_xyxy=torch.tensor(boxes, **as_float).reshape(n, 4),
        labels=torch.tensor(rng.integers(0, num_things, n)),
        scores=torch.tensor(rng.choice([0.6, 0.7, 0.7, 0.9], n), **as_float),
    )


def assert_equal_to_oracle(scene, num_things, **options):
    before = {name: value.clone() for name, value in scene.items()}
    result = compose_panoptic(**scene, num_things=num_things, **options)
    channels, semantic, kept = oracle(scene, num_things, **options)
    assert result.kept_index.tolist() == kept
    np.testing.assert_array_equal(result.channels.numpy(), channels)
    np.testing.assert_array_equal(result.semantic_labels.numpy(), semantic)
    assert all(torch.equal(scene[name], before[name]) for name in scene), 'an input was changed'
    return result


@pytest.mark.parametrize('seed', range(10))
def test_equals_the_oracle_on_random_scenes(seed):
    rng = np.random.default_rng(seed)
    for _ in range(40):
        num_things, scene = random_scene(rng)
        assert_equal_to_oracle(scene, num_things)


@pytest.mark.parametrize('factor', [1, 2, 8])
def test_equals_the_oracle_at_other_factors(factor):
    rng = np.random.default_rng(factor)
    for _ in range(15):
        num_things, scene = random_scene(rng, factor)
        assert_equal_to_oracle(scene, num_things, factor=factor)


@pytest.mark.parametrize(
    'options', [dict(rounding='shared'), dict(outside='excluded'), dict(with_unknown=False)]
)
def test_options_equal_the_oracle(options):
    rng = np.random.default_rng(7)
    differs = 0
    for _ in range(40):
        num_things, scene = random_scene(rng)
        result = assert_equal_to_oracle(scene, num_things, **options)
        default = compose_panoptic(**scene, num_things=num_things)
        differs += not torch.equal(result.channels, default.channels)
    assert differs > 0


def one_cell_scene(**changes):
    """8 x 8 pixels of one thing (label 0) and one stuff class (label 1), constant logits."""
    scene = dict(
        semantic_logits=torch.tensor([1.0, 2.0])[:, None, None].expand(2, 2, 2).contiguous(),
        mask_logits=torch.full((1, 28, 28), 4.0),
        boxes_xyxy=torch.tensor([[2.0, 2.0, 4.0, 4.0]]),
        labels=torch.tensor([0]),
        scores=torch.tensor([0.9]),
    )
    return {**scene, **changes}


def test_one_instance_by_hand():
    result = compose_panoptic(**one_cell_scene(), num_things=1)
    expected = torch.zeros(8, 8, dtype=torch.int32)  # stuff 2 beats unknown 1 - 0
    expected[2:5, 2:5] = 1  # 1 + 4 beats stuff 2
    assert torch.equal(result.channels, expected)
    assert result.channels.dtype == result.semantic_labels.dtype == torch.int32
    assert result.semantic_labels.unique().tolist() == [1]


def test_half_pixel_ends_round_to_even_for_the_segmentation_term_only():
    semantic = torch.tensor([-1.0, -2.0])[:, None, None].expand(2, 2, 2).contiguous()
    boxes = torch.tensor([[0.0, 0.0, 3.5, 2.5]])  # columns end at 4 (seg), 3 (mask); rows at 2, 2
    result = compose_panoptic(
        **one_cell_scene(semantic_logits=semantic, boxes_xyxy=boxes), num_things=1
    )
    expected = torch.full((8, 8), 1, dtype=torch.int32)  # its 0 beats stuff -2 and unknown -1
    expected[:3, 4] = 2  # S = -1 without mask; unknown = -1 - (-1) = 0
    assert torch.equal(result.channels, expected)


def test_without_detections_stuff_competes_with_the_largest_thing():
    generator = torch.Generator().manual_seed(0)
    semantic = torch.randn(5, 4, 6, generator=generator)
    none = dict(
        mask_logits=torch.zeros(0, 28, 28),
        boxes_xyxy=torch.zeros(0, 4),
        labels=torch.zeros(0, dtype=torch.long),
        scores=torch.zeros(0),
    )
    result = compose_panoptic(semantic, **none, num_things=2)
    is_thing = result.semantic_labels < 2
    assert is_thing.any()
    assert not is_thing.all()
    expected = (result.semantic_labels - 2).masked_fill(is_thing, 3)
    assert torch.equal(result.channels, expected)
    assert result.kept_index.shape == (0,)


@pytest.mark.parametrize(
    'changes',
    [
        dict(mask_logits=torch.full((1, 28, 28), -1.0)),
        dict(mask_logits=torch.zeros(1, 28, 28)),  # exactly 0 is not foreground
        dict(boxes_xyxy=torch.tensor([[50.0, 2.0, 60.0, 4.0]])),  # outside
        dict(boxes_xyxy=torch.tensor([[5.0, 2.0, 3.0, 4.0]])),  # inverted
    ],
)
def test_if_nothing_survives_detection_zero_competes_without_a_mask(changes):
    scene = one_cell_scene(**changes)
    scene['semantic_logits'][0] = 3  # the thing beats the stuff
    result = assert_equal_to_oracle(scene, 1)
    assert result.kept_index.tolist() == [0]
    y = slice(2, 5)
    inside = result.channels[y, y] if scene['boxes_xyxy'][0, 0] == 2 else result.channels[:0]
    assert (inside == 1).all()
    assert (result.channels == 2).any()  # unknown = 3 - 0 around it


def test_negative_stuff_loses_to_the_zero_of_an_instance_far_away():
    scene = one_cell_scene()
    scene['semantic_logits'] -= 5  # thing -4, stuff -3
    result = compose_panoptic(**scene, num_things=1)
    assert (result.channels[6:] == 1).all()
    excluded = compose_panoptic(**scene, num_things=1, outside='excluded')
    assert (excluded.channels[6:] == 0).all()


def test_ties_go_to_the_higher_score_and_to_stuff():
    both = one_cell_scene(
        semantic_logits=torch.full((3, 2, 2), 2.0),  # two things, one stuff
        mask_logits=torch.ones(2, 28, 28),
        boxes_xyxy=torch.tensor([[0.0, 0.0, 7.0, 7.0]] * 2),
        labels=torch.tensor([1, 0]),
        scores=torch.tensor([0.7, 0.8]),
    )
    result = compose_panoptic(**both, num_things=2)
    assert result.kept_index.tolist() == [1, 0]
    assert (result.channels == 1).all()  # 2 + 1 twice: the channel of the higher score
    assert (result.semantic_labels == 2).all()  # all equal: stuff
    both['scores'] = torch.tensor([0.8, 0.8])
    assert compose_panoptic(**both, num_things=2).kept_index.tolist() == [1, 0]  # the later on top
    both['mask_logits'][:, 4:] = 0
    equal_to_stuff = compose_panoptic(**both, num_things=2).channels
    assert (equal_to_stuff[-1] == 0).all()


def test_more_than_255_channels_do_not_collide():
    count = 300
    x = torch.arange(count) % 20 * 4.0
    y = torch.arange(count) // 20 * 4.0
    scene = dict(
        semantic_logits=torch.zeros(2, 15, 20),
        mask_logits=torch.ones(count, 28, 28),
        boxes_xyxy=torch.stack((x, y, x + 3, y + 3), dim=1),
        labels=torch.zeros(count, dtype=torch.long),
        scores=torch.linspace(1, 0.6, count),
    )
    result = compose_panoptic(**scene, num_things=1)
    corners = result.channels[y.long(), x.long()]
    assert corners.tolist() == list(range(1, count + 1))


@pytest.mark.parametrize(('num_things', 'num_stuff'), [(3, 0), (0, 3)])
def test_only_things_or_only_stuff(num_things, num_stuff):
    rng = np.random.default_rng(3)
    for count in (0, 2) if num_things else (0,):
        _, scene = random_scene(rng, num_instances=count)
        scene['semantic_logits'] = torch.randn(3, 4, 5)
        scene['labels'] = scene['labels'].clamp(max=max(num_things - 1, 0))
        result = compose_panoptic(**scene, num_things=num_things)
        assert result.channels.min() >= 0
        assert result.channels.max() <= num_stuff + len(result.kept_index)
        assert torch.equal(
            result.semantic_labels.long(),
            torch.from_numpy(upsample(scene['semantic_logits'], 4)).argmax(0),
        )


def test_half_precision_logits_are_decided_in_single_precision():
    num_things, scene = random_scene(np.random.default_rng(5), num_instances=4)
    half = dict(scene, semantic_logits=scene['semantic_logits'].bfloat16())
    exact = dict(scene, semantic_logits=half['semantic_logits'].float().requires_grad_())
    result, expected = (compose_panoptic(**s, num_things=num_things) for s in (half, exact))
    assert torch.equal(result.channels, expected.channels)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(boxes_xyxy=torch.tensor([[0.0, float('nan'), 4.0, 4.0]])), 'finite'),
        (dict(boxes_xyxy=torch.zeros(2, 4)), 'shapes'),
        (dict(labels=torch.tensor([1])), 'things 0..0'),
        (dict(semantic_logits=torch.zeros(2, 2)), r'\[C, h, w\]'),
        (dict(semantic_logits=torch.tensor([[[0.0]], [[float('nan')]]])), 'diverged'),
        (dict(semantic_logits=torch.tensor([[[float('inf')]], [[0.0]]])), 'diverged'),
        (dict(outside='inf'), 'outside'),
        (dict(rounding='floor'), 'rounding'),
        (dict(factor=3), 'power of two'),
    ],
)
def test_bad_input_says_what_is_wrong(changes, message):
    with pytest.raises(ValueError, match=message):
        compose_panoptic(**one_cell_scene(**changes), num_things=1)
