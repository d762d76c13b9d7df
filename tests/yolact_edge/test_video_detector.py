"""Streams: key frames as the image model, the others as pairs, whatever the batches are."""

import gc
from typing import Any

import pytest
import torch
from mmdet.structures import DetDataSample
from small_yolact import small_model, small_video_model
from torch import Tensor

from mmext.errors import InputError
from mmext.inference.fast import fast
from mmext.yolact_edge.key_frames import KeyFrameSchedule

SIZE = (64, 96)
EASY = dict(score_thr=0.0, nms=dict(type='fast', iou_threshold=0.5, top_k=20), max_per_img=8)


def video_model(**changes: Any) -> Any:
    return small_video_model(**({'test_cfg': EASY, 'tracker': None} | changes)).eval()


def frames(count: int, seed: int = 0) -> Tensor:
    """Noise that drifts."""
    torch.manual_seed(seed)
    wide = torch.randn(1, 3, SIZE[0], SIZE[1] + 4 * count)
    return torch.cat([wide[..., 4 * i : 4 * i + SIZE[1]] for i in range(count)])


def samples(
    count: int, video: Any = 'a', first: int = 0, size: tuple[int, int] = SIZE
) -> list[DetDataSample]:
    metas: Any = [
        dict(
            img_id=i, img_shape=size, ori_shape=size, scale_factor=(1.0, 1.0),
            **({} if video is None else dict(video_id=video, frame_id=first + i)),
        )
        for i in range(count)
    ]  # fmt: skip
    return [DetDataSample(metainfo=meta) for meta in metas]


@torch.no_grad()
def run(model: Any, images: Tensor, given: list[DetDataSample], batch: int = 1) -> list[Any]:
    found = []
    for start in range(0, len(images), batch):
        part = slice(start, start + batch)
        found += model.predict(images[part], given[part])
    return found


def ages(found: list[DetDataSample]) -> list[int]:
    return [sample.key_age for sample in found]


def assert_equal(ours: DetDataSample, theirs: DetDataSample, exact: bool = True) -> None:
    a, b = ours.pred_instances, theirs.pred_instances
    assert len(a) == len(b) > 0
    for key in ('scores', 'bboxes'):
        if exact:
            assert a[key].equal(b[key])
        else:
            torch.testing.assert_close(a[key], b[key], rtol=1e-4, atol=1e-4)
    assert a.labels.equal(b.labels)
    assert (a.masks != b.masks).float().mean() <= (0 if exact else 1e-3)


def test_key_frames_are_those_of_the_image_model() -> None:
    """To the bit: in a stream of interval 3, with interval 1, and without a video."""
    model = video_model(key_interval=3)
    anchors = model.bbox_head.prior_generator
    tall = dict(scales_px=list(anchors.scales_px), aspect=anchors.aspect)
    image_model: Any = small_model(
        bbox_head=dict(num_classes=1, anchor_generator=tall),
        mask_head=dict(num_classes=1),
        test_cfg=EASY,
    ).eval()
    names = image_model.state_dict().keys()
    image_model.load_state_dict({k: v for k, v in model.state_dict().items() if k in names})
    images = frames(5)
    wanted = run(image_model, images, samples(5))
    found = run(model, images, samples(5))
    assert ages(found) == [0, 1, 2, 0, 1]
    for i in (0, 3):
        assert_equal(found[i], wanted[i])
    assert not found[1].pred_instances.scores.equal(wanted[1].pred_instances.scores)
    model.schedule.interval = 1
    for given in (samples(5), samples(5, video=None)):
        for ours, theirs in zip(run(model, images, given), wanted, strict=True):
            assert_equal(ours, theirs)


@torch.no_grad()
def test_a_stream_is_its_pairs() -> None:
    """Every frame between key frames is made of itself and of the key frame, of nothing else."""
    model = video_model(key_interval=3)
    images = frames(6)
    found = run(model, images, samples(6))
    for i in (1, 2, 4, 5):
        merged, lateral = model.merged_of_key(images[i // 3 * 3][None])
        key = model.propagation.state_of(merged, lateral)
        levels = model.neck.phase_2(model.propagation(model.lateral_of(images[i][None]), key))
        (wanted,) = model.predict_levels(levels, samples(1), SIZE)
        assert_equal(found[i], wanted)


@pytest.mark.parametrize('batch', [2, 4, 7])
def test_batches_change_nothing(batch: int) -> None:
    """Key frames inside of a batch, and state that comes from the batch before."""
    model = video_model(key_interval=3)
    images = frames(7)
    one_by_one = run(model, images, samples(7))
    model.reset()
    found = run(model, images, samples(7), batch)
    assert ages(found) == ages(one_by_one) == [0, 1, 2, 0, 1, 2, 0]
    for ours, theirs in zip(found, one_by_one, strict=True):
        assert_equal(ours, theirs, exact=False)


def test_videos_in_a_row_and_any_start() -> None:
    model = video_model(key_interval=4)
    images = frames(9)
    given = samples(3, 'a', 7) + samples(4, 'b', 2) + samples(2, 'a', 10)
    assert ages(run(model, images, given)) == [0, 1, 2, 0, 1, 2, 3, 0, 1]
    in_one_call = run(model, images, given, batch=9)
    assert ages(in_one_call) == [0, 1, 2, 0, 1, 2, 3, 0, 1]
    model.reset()
    alone = run(model, images[3:7], samples(4, 'b', 2))
    for ours, theirs in zip(in_one_call[3:7], alone, strict=True):
        assert_equal(ours, theirs, exact=False)


def test_lost_frames_count_and_another_size_begins_anew() -> None:
    model = video_model(key_interval=4)
    images = frames(4)
    given = samples(2, 'a', 0) + samples(1, 'a', 3) + samples(1, 'a', 5)
    assert ages(run(model, images, given)) == [0, 1, 3, 0]
    smaller = samples(1, 'a', 6, size=(60, 96)) + samples(1, 'a', 7, size=(60, 96))
    assert ages(run(model, images[:2], smaller)) == [0, 1]
    larger = torch.randn(1, 3, 96, 96)
    assert ages(run(model, larger, samples(1, 'a', 8, size=(60, 96)))) == [0]


def test_the_meta_may_decide() -> None:
    model = video_model(key_interval=2)
    given = samples(5)
    for sample, wish in zip(given, (False, False, False, True, None), strict=True):
        sample.set_metainfo(dict(key_frame=wish))
    assert ages(run(model, frames(5), given)) == [0, 1, 2, 0, 1]


def test_training_forgets_the_video() -> None:
    model = video_model()
    images = frames(2)
    run(model, images[:1], samples(1))
    model.train()
    model.eval()
    assert ages(run(model, images[1:], samples(1, first=1))) == [0]


def test_memory_is_that_of_one_key_frame() -> None:
    """Whatever the length of the stream and of a batch: no tensor of a frame outlives it."""

    def living() -> int:
        gc.collect()
        tensors = (x for x in gc.get_objects() if isinstance(x, Tensor))
        return sum(x.untyped_storage().nbytes() for x in tensors)

    model = video_model(key_interval=3)
    images = frames(30)
    run(model, images[:4], samples(4), batch=4)
    after_four = living()
    run(model, images[4:], samples(26, first=4), batch=4)
    assert abs(living() - after_four) < 4096


def test_the_objects_of_the_key_frame_again() -> None:
    model = video_model(key_interval=3, between_keys='repeat')
    images = frames(5)
    for batch in (1, 5):
        model.reset()
        found = run(model, images, samples(5), batch)
        assert ages(found) == [0, 1, 2, 0, 1]
        for i, key in ((1, 0), (2, 0), (4, 3)):
            assert_equal(found[i], found[key])
    model.between_keys = 'compute'
    model.reset()
    computed = run(model, images, samples(5))
    assert ages(computed) == [0, 1, 2, 0, 1]
    assert_equal(computed[3], found[3], exact=False)
    assert not computed[1].pred_instances.scores.equal(found[1].pred_instances.scores)


def test_frames_that_are_alike_look_alike() -> None:
    """An untrained flow network that sees no motion shows the key frame again."""
    model = video_model()
    for prediction in model.propagation.flow_net.predictions:
        torch.nn.init.zeros_(prediction.flow.weight)
    images = frames(1).expand(2, -1, -1, -1)
    key, other = run(model, images, samples(2))
    assert_equal(other, key, exact=False)


def test_a_fast_copy_streams_alike() -> None:
    """Key frames and others, in float32; in bfloat16 the best scores are about the same."""
    model = video_model(key_interval=3)
    images = frames(4)
    wanted = run(model, images, samples(4))
    quick = fast(model, 'fp32')
    found = run(quick, images, samples(4))
    assert ages(found) == [0, 1, 2, 0] and not quick.fallback_reason
    for ours, theirs in zip(found, wanted, strict=True):
        assert_equal(ours, theirs, exact=False)
    low = fast(model, 'bf16')
    found = run(low, images, samples(4))
    assert ages(found) == [0, 1, 2, 0] and not low.fallback_reason
    for ours, theirs in zip(found, wanted, strict=True):
        best = theirs.pred_instances.scores[:3]
        torch.testing.assert_close(ours.pred_instances.scores[:3], best, rtol=0, atol=0.05)


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(InputError, match='between_keys'):
        video_model(between_keys='guess')
    with pytest.raises(InputError, match='key_interval'):
        video_model(key_interval=0)
    with pytest.raises(InputError, match='frame_id'):
        KeyFrameSchedule(2).age(dict(video_id=1))
