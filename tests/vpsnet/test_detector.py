"""VPSNet as a detector: pairs to learn from, streams to predict, every variant."""

import copy

import pytest
import torch
from mmengine.structures import InstanceData

from mmext.formats.flow_files import write_flow
from mmext.registry import MODELS
from mmext.vpsnet.detector import _ids_of_equals

torch.set_num_threads(1)
VARIANTS = {
    'both': {},
    'gated': dict(fuse_neck=dict(type='mmext.GatedFuseNeck', channels=8)),
    'track': dict(fuse_neck=None),
    'fuse': dict(track_head=None, tracker=None),
    'none': dict(fuse_neck=None, track_head=None, tracker=None),
    'place': dict(track_head=None),
}


def learn(model, batch, seed=0):
    data = model.data_preprocessor(copy.deepcopy(batch), training=True)
    torch.manual_seed(seed)  # of the samplers
    losses = model(**data, mode='loss')
    return model.parse_losses(losses)[0], losses


def stream(model, clip, batch_size=1):
    """Predictions frame by frame, or some at once."""
    results = []
    with torch.no_grad():
        for start in range(0, len(clip.frames), batch_size):
            part = slice(start, start + batch_size)
            samples = [sample.clone() for sample in clip.samples[part]]
            results += model.test_step(dict(inputs=list(clip.frames[part]), data_samples=samples))
    return results


def ids_of(result):
    return result.pred_panoptic_seg.sem_seg


@pytest.fixture
def build_variant(vpsnet_config, build_model):
    return lambda name: build_model(copy.deepcopy(vpsnet_config) | VARIANTS[name])


@pytest.mark.parametrize('variant', VARIANTS)
def test_every_variant_learns_from_pairs(build_variant, make_clip, make_pairs, variant):
    model = build_variant(variant)
    total, losses = learn(model, make_pairs(make_clip(), [(0, 1), (2, 1)]))
    assert torch.isfinite(total)
    assert ('loss_match' in losses) == (variant in ('both', 'gated', 'track'))
    total.backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_single_frames_do_without_time_only(build_variant, make_clip):
    clip = make_clip(size_hw=(64, 96))
    single = dict(inputs=[clip.frames[0]], data_samples=[clip.samples[0]])
    total, _ = learn(build_variant('none'), single)
    assert torch.isfinite(total)
    with pytest.raises(ValueError, match='pairs of frames'):
        learn(build_variant('track'), single)


@pytest.mark.parametrize('objects', [0, 1])
def test_clips_with_few_or_no_objects(vpsnet, make_clip, make_pairs, objects):
    clip = make_clip(objects=objects, size_hw=(70, 90))  # the only object is gone in frame 2
    for pairs in ([(0, 1)], [(1, 2)], [(2, 1), (0, 1)]):
        total, losses = learn(vpsnet, make_pairs(clip, pairs))
        assert torch.isfinite(total)
        assert 'loss_match' in losses
        total.backward()
    assert all(p.grad.isfinite().all() for p in vpsnet.parameters() if p.grad is not None)


def test_batch_of_two_pairs_is_the_mean_of_two_batches_of_one(
    vpsnet_config, build_model, make_clip, make_pairs
):
    vpsnet_config.train_cfg.rcnn.sampler.update(num=10_000, add_gt_as_proposals=True)
    model = build_model(vpsnet_config)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    clip = make_clip(size_hw=(64, 96))
    names = ('loss_match', 'loss_seg', 'loss_seg_roi')
    together = learn(model, make_pairs(clip, [(0, 1), (1, 2)]))[1]
    alone = [learn(model, make_pairs(clip, [pair]))[1] for pair in ((0, 1), (1, 2))]
    for name in names:
        torch.testing.assert_close(together[name], (alone[0][name] + alone[1][name]) / 2)


def test_both_frames_carry_gradients(vpsnet, make_clip, make_pairs):
    batch = vpsnet.data_preprocessor(make_pairs(make_clip(), [(0, 1)]), training=True)
    for frames in batch['inputs'].values():
        frames.requires_grad_()
    losses = vpsnet(**batch, mode='loss')
    vpsnet.parse_losses(losses)[0].backward()
    assert all(frames.grad.abs().max() > 0 for frames in batch['inputs'].values())


def test_missing_ids_are_named(vpsnet, make_clip, make_pairs):
    batch = make_pairs(make_clip(), [(0, 1)])
    del batch['data_samples'][0].ref_gt_instances
    with pytest.raises(ValueError, match=r'ref_gt_instances\.instances_ids'):
        learn(vpsnet, batch)


def test_a_track_head_needs_a_tracker(vpsnet_config, build_model):
    vpsnet_config.tracker = None
    with pytest.raises(ValueError, match='tracker'):
        build_model(vpsnet_config)


@pytest.mark.parametrize('neck', ['FuseNeck', 'GatedFuseNeck'])
@pytest.mark.parametrize('size_hw', [(64, 96), (50, 91)])
def test_streaming_equals_pairs_processed_anew(
    vpsnet_config, build_model, make_clip, size_hw, neck
):
    """The cached frame gives, to the last bit, what computing it again gives."""
    vpsnet_config.fuse_neck.type = f'mmext.{neck}'
    vpsnet_config.data_preprocessor.pad_size_divisor = 32
    model = build_model(vpsnet_config).eval()
    clip = make_clip(num_frames=4, size_hw=size_hw)
    streamed = stream(model, clip)
    model.reset()
    first = stream(model, clip._replace(frames=clip.frames[:1], samples=clip.samples[:1]))
    anew = [*first]
    for number in range(1, 4):
        pair = dict(
            inputs=dict(img=[clip.frames[number]], ref_img=[clip.frames[number - 1]]),
            data_samples=[clip.samples[number].clone()],
        )
        with torch.no_grad():
            anew += model.test_step(pair)
    for a, b in zip(streamed, anew, strict=True):
        assert torch.equal(ids_of(a), ids_of(b))
        assert torch.equal(a.pred_sem_seg.sem_seg, b.pred_sem_seg.sem_seg)
        for name in ('bboxes', 'scores', 'labels', 'instances_ids', 'masks'):
            assert torch.equal(a.pred_instances[name], b.pred_instances[name])


def test_the_frame_before_is_seen(vpsnet, make_clip):
    clip, other = make_clip(), make_clip(seed=5)
    mixed = clip._replace(frames=torch.stack((other.frames[0], *clip.frames[1:])))
    vpsnet.eval()
    a, b = stream(vpsnet, clip), stream(vpsnet, mixed)
    assert not torch.equal(a[1].pred_instances.scores, b[1].pred_instances.scores)
    assert torch.equal(a[2].pred_instances.scores, b[2].pred_instances.scores)


def test_several_frames_at_once_are_a_stream(vpsnet, make_clip):
    first, second = make_clip(num_frames=5), make_clip(num_frames=3, seed=1, video_id='b')
    both = first._replace(
        frames=torch.cat((first.frames, second.frames)), samples=first.samples + second.samples
    )
    vpsnet.eval()
    for a, b in zip(stream(vpsnet, both), stream(vpsnet, both, batch_size=3), strict=True):
        torch.testing.assert_close(a.pred_instances.scores, b.pred_instances.scores)
        assert (ids_of(a) == ids_of(b)).float().mean() > 0.99  # sums in another order


def test_videos_in_a_row_do_not_know_each_other(vpsnet, make_clip):
    a, b = make_clip(), make_clip(seed=1, video_id='b', first_frame=17)
    vpsnet.eval()
    alone = stream(vpsnet, b)
    vpsnet.reset()
    stream(vpsnet, a)
    for x, y in zip(alone, stream(vpsnet, b), strict=True):
        assert torch.equal(ids_of(x), ids_of(y))


@pytest.mark.parametrize('first_frame', [1, 100])
def test_the_first_number_does_not_matter(vpsnet, make_clip, first_frame):
    vpsnet.eval()
    expected = stream(vpsnet, make_clip())
    vpsnet.reset()
    actual = stream(vpsnet, make_clip(first_frame=first_frame))
    assert all(torch.equal(ids_of(a), ids_of(b)) for a, b in zip(actual, expected, strict=True))


def test_a_second_run_over_the_same_video_is_the_same(vpsnet, make_clip):
    vpsnet.eval()
    runs = [stream(vpsnet, make_clip()) for _ in range(2)]
    assert all(torch.equal(ids_of(a), ids_of(b)) for a, b in zip(*runs, strict=True))


def test_ids_are_those_of_the_map_and_unique(build_variant, make_clip):
    for variant in ('both', 'track', 'place'):
        model = build_variant(variant).eval()
        given = []
        for result in stream(model, make_clip(num_frames=4)):
            ids = result.pred_instances.instances_ids
            tracked = ids[ids > 0]
            assert len(tracked.unique()) == len(tracked) > 0
            in_map = (ids_of(result).unique() // 1000).unique()
            assert set(in_map.tolist()) - {0} <= set(tracked.tolist())
            given.append(set(tracked.tolist()))
        assert given[0] & given[1]


def test_without_tracker_instances_are_numbered_by_frame(build_variant, make_clip):
    model = build_variant('fuse').eval()
    for result in stream(model, make_clip()):
        assert 'instances_ids' not in result.pred_instances
        numbers = (ids_of(result).unique() // 1000).unique()
        assert numbers.max() <= 8


def test_frames_without_detections(vpsnet_config, build_model, make_clip):
    vpsnet_config.test_cfg.panoptic.update(score_thr=1.0)
    vpsnet_config.test_cfg.rcnn.update(score_thr=1.0)
    model = build_model(vpsnet_config).eval()
    for result in stream(model, make_clip()):
        assert result.pred_instances.instances_ids.shape == (0,)
        assert (ids_of(result) < 1000).all()


def test_memory_does_not_grow_with_the_video(vpsnet, make_clip):
    vpsnet.tracker.max_objects = 12
    vpsnet.eval()

    def kept_bytes():
        memory = vars(vpsnet.tracker._memory).values()
        tensors = [*vpsnet._memory._last, *memory]
        return sum(tensor.untyped_storage().nbytes() for tensor in tensors)

    sizes = []
    for start in range(0, 16, 4):
        stream(vpsnet, make_clip(num_frames=4, first_frame=start, seed=start))
        sizes.append(kept_bytes())
    assert len(vpsnet.tracker) == 12
    assert sizes[-1] == sizes[-2] == max(sizes)


def test_training_forgets_the_video(vpsnet, make_clip):
    vpsnet.eval()
    stream(vpsnet, make_clip())
    vpsnet.train()
    assert len(vpsnet.tracker) == 0
    assert vpsnet._memory._last is None


def test_images_for_the_flow_are_those_of_the_video(vpsnet, make_clip):
    clip = make_clip(size_hw=(64, 96))
    inputs = vpsnet.data_preprocessor(dict(inputs=list(clip.frames), data_samples=None))['inputs']
    torch.testing.assert_close(
        vpsnet._images(inputs), clip.frames.flip(1).float(), atol=1e-3, rtol=0
    )


def test_flow_from_files_is_used_as_the_computed_one(
    vpsnet_config, build_model, make_clip, tmp_path
):
    """Files that hold what DIS finds, one per frame and the frame before, here three apart."""
    clip = make_clip(size_hw=(64, 96))
    for number, sample in enumerate(clip.samples):
        sample.set_metainfo(dict(frame_id=10 + 3 * number))
    dis = MODELS.build(dict(type='mmext.DISFlow'))
    pictures = clip.frames.flip(1).float()
    for number in (1, 2):
        flow = dis(pictures[number, None], pictures[number - 1, None], [{}])[0]
        name = f'a-{10 + 3 * number}-{7 + 3 * number}.flo'
        write_flow(str(tmp_path / name), flow.movedim(0, -1).numpy())
    expected = stream(build_model(vpsnet_config).eval(), clip)
    pattern = str(tmp_path / '{video_id}-{frame_id}-{ref_frame_id}.flo')
    vpsnet_config.optical_flow = dict(type='mmext.PrecomputedFlow', pattern=pattern)
    actual = stream(build_model(vpsnet_config).eval(), clip)
    for a, b in zip(actual, expected, strict=True):
        torch.testing.assert_close(a.pred_instances.scores, b.pred_instances.scores)


def test_an_unknown_channel_is_an_option(vpsnet_config, build_model, make_clip, make_pairs):
    voids = {}
    for with_unknown, keep in ((False, 1.0), (True, 0.7)):
        vpsnet_config.panoptic_fusion_head.update(with_unknown=with_unknown, keep_fraction=keep)
        model = build_model(vpsnet_config)
        total, _ = learn(model, make_pairs(make_clip(), [(0, 1)]))
        assert torch.isfinite(total)
        results = stream(model.eval(), make_clip())
        voids[with_unknown] = sum(int((ids_of(result) == 10).sum()) for result in results)
    assert voids[False] == 0 < voids[True]


def test_raw_outputs_for_shape_analysis(vpsnet):
    outputs = vpsnet.eval()(torch.rand(1, 3, 64, 96), mode='tensor')
    assert outputs[-1].shape == (1, 10, 16, 24)


def test_equal_candidates_share_their_id():
    boxes = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 4], [1, 1, 5, 5]])
    detections = InstanceData(bboxes=boxes, labels=torch.tensor([0, 1, 0]))
    segments = InstanceData(
        bboxes=boxes[[2, 1]], labels=torch.tensor([0, 1]), instances_ids=torch.tensor([9, 4])
    )
    assert _ids_of_equals(detections, segments).tolist() == [0, 4, 9]
