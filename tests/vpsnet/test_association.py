"""Association and tracker against a restatement that visits one detection after the other."""

import math

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData

from mmext.registry import TASK_UTILS
from mmext.vpsnet.association import NEW, affinity, associate, association_scores

torch.set_num_threads(1)


def iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    area = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return width * height / (area - width * height)


class SlowTracker:
    """The published rule, with lists; ids from 1; optionally forgets."""

    def __init__(self, weights=(1.0, 2.0, 10.0), max_age=None, max_objects=1000):
        self.weights, self.max_age, self.max_objects = weights, max_age, max_objects
        self.memory = []  # dicts, in the order of their ids
        self.next_id, self.frame = 1, 0

    def new(self, detection):
        self.memory.append(dict(detection, id=self.next_id, seen=self.frame))
        self.next_id += 1
        return self.next_id - 1

    def scores(self, detection):
        logits = [0.0] + [
            sum(p * q for p, q in zip(detection['embedding'], entry['embedding'], strict=True))
            for entry in self.memory
        ]
        top = max(logits)
        total = top + math.log(sum(math.exp(v - top) for v in logits))
        a, b, c = self.weights
        result = [logits[0] - total + a * math.log(detection['score']) + c]
        for logit, entry in zip(logits[1:], self.memory, strict=True):
            score = logit - total + a * math.log(detection['score'])
            score += b * iou(detection['box'], entry['box'])
            score += c * (detection['label'] == entry['label'])
            result.append(score)
        return result

    def track(self, detections):
        self.frame += 1
        ids = [None] * len(detections)
        holder, best, losers = {}, {}, []
        entries = list(self.memory)
        for d, detection in enumerate(detections):
            scores = self.scores(detection)
            choice = max(range(len(scores)), key=lambda i: (scores[i], -i))
            if choice == 0:
                ids[d] = 'new'
            elif choice not in holder:
                holder[choice], best[choice] = d, scores[choice]
            elif scores[choice] > best[choice]:
                losers.append(holder[choice])
                holder[choice], best[choice] = d, scores[choice]
            else:
                losers.append(d)
        for choice, d in holder.items():
            entry = entries[choice - 1]
            ids[d] = entry['id']
            entry.update(
                box=detections[d]['box'], embedding=detections[d]['embedding'], seen=self.frame
            )
        for d in [d for d, i in enumerate(ids) if i == 'new'] + sorted(losers):
            ids[d] = self.new(detections[d])
        if self.max_age is not None:
            self.memory = [e for e in self.memory if e['seen'] > self.frame - self.max_age]
        while len(self.memory) > self.max_objects:
            self.memory.remove(min(self.memory, key=lambda e: (e['seen'], e['id'])))
        return ids


def random_video(rng):
    """Objects that move, hide, swap places and labels; detections in random order and doubled."""
    num_objects, dim = int(rng.integers(1, 7)), int(rng.choice([0, 2, 8]))
    corners, sizes = rng.uniform(0, 60, (num_objects, 2)), rng.uniform(2, 30, (num_objects, 2))
    labels = rng.integers(0, 2, num_objects)
    embeddings = rng.normal(0, 1.5, (num_objects, dim))
    for _ in range(int(rng.integers(1, 9))):
        seen = [int(i) for i in rng.permutation(num_objects) if rng.random() < 0.7]
        if seen and rng.random() < 0.4:
            seen.append(seen[0])
        frame = []
        for i in seen:
            corner = corners[i] + rng.normal(0, 4, 2)
            box = [*corner, *(corner + sizes[i])]
            frame.append(
                dict(
                    box=[float(np.float32(v)) for v in box],
                    label=int(labels[i] if rng.random() < 0.9 else 1 - labels[i]),
                    score=float(rng.choice([0.6, 0.75, 0.9, 1.0])),
                    embedding=[float(v) for v in embeddings[i] + rng.normal(0, 0.5, dim)],
                )
            )
        yield dim, frame


def as_instances(frame):
    return InstanceData(
        bboxes=torch.tensor([d['box'] for d in frame], dtype=torch.float64).reshape(-1, 4),
        labels=torch.tensor([d['label'] for d in frame], dtype=torch.long),
        scores=torch.tensor([d['score'] for d in frame], dtype=torch.float64),
    )


@pytest.mark.parametrize('options', [{}, dict(max_age=2), dict(max_objects=3)])
@pytest.mark.parametrize('seed', range(4))
def test_tracker_equals_the_slow_one_over_random_videos(seed, options):
    rng = np.random.default_rng(seed)
    tracker = TASK_UTILS.build(dict(type='mmext.VPSNetTracker', **options))
    matched = 0
    for _ in range(60):
        tracker.reset()
        slow, given = SlowTracker(**options), set()
        for dim, frame in random_video(rng):
            embeddings = torch.tensor([d['embedding'] for d in frame], dtype=torch.float64)
            detections = as_instances(frame)
            before = detections.clone()
            ids = tracker.track(detections, embeddings.reshape(len(frame), dim)).tolist()
            assert ids == slow.track(frame)
            assert len(set(ids)) == len(ids) and all(i > 0 for i in ids)
            assert len(tracker) == len(slow.memory) <= tracker.max_objects
            matched += len(given & set(ids))
            given |= set(ids)
            assert torch.equal(detections.bboxes, before.bboxes)
    assert matched > 200


def instances(boxes, labels=None, scores=None):
    return InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor(labels or [0] * len(boxes), dtype=torch.long),
        scores=torch.tensor(scores or [0.9] * len(boxes), dtype=torch.float32),
    )


@pytest.fixture
def tracker():
    return TASK_UTILS.build(dict(type='mmext.VPSNetTracker'))


A, B = [0, 0, 10, 10], [40, 40, 60, 60]
NO_EMBEDDING = torch.zeros(2, 0)


def test_ids_follow_the_boxes_whatever_their_order(tracker):
    assert tracker.track(instances([A, B]), NO_EMBEDDING).tolist() == [1, 2]
    assert tracker.track(instances([B, A]), NO_EMBEDDING).tolist() == [2, 1]


def test_appearance_beats_place(tracker):
    looks = torch.tensor([[9.0, 0.0], [0.0, 9.0]])
    tracker.track(instances([A, B]), looks)
    assert tracker.track(instances([A, B]), looks.flip(0)).tolist() == [2, 1]


def test_two_on_one_object_the_better_keeps_it_and_the_other_is_new(tracker):
    tracker.track(instances([A]), NO_EMBEDDING[:1])
    near = [1, 0, 11, 10]
    ids = tracker.track(instances([near, A, B], scores=[0.9, 0.9, 0.7]), torch.zeros(3, 0))
    assert ids.tolist() == [3, 1, 2]  # B chose "new" and comes before the loser
    assert len(tracker) == 3


def test_another_label_is_another_object_and_the_memory_keeps_the_old_label(tracker):
    tracker.track(instances([A], [0]), NO_EMBEDDING[:1])
    assert tracker.track(instances([A], [1]), NO_EMBEDDING[:1]).tolist() == [2]
    assert tracker.track(instances([A, A], [1, 0]), NO_EMBEDDING).tolist() == [2, 1]


def test_a_frame_without_detections_changes_nothing(tracker):
    assert tracker.track(instances([]), NO_EMBEDDING[:0]).tolist() == []
    assert tracker.track(instances([A]), NO_EMBEDDING[:1]).tolist() == [1]
    assert tracker.track(instances([]), NO_EMBEDDING[:0]).tolist() == []
    assert tracker.track(instances([A]), NO_EMBEDDING[:1]).tolist() == [1]


def test_ids_are_never_given_again():
    tracker = TASK_UTILS.build(dict(type='mmext.VPSNetTracker', max_age=1))
    assert tracker.track(instances([A]), NO_EMBEDDING[:1]).tolist() == [1]
    tracker.track(instances([]), NO_EMBEDDING[:0])
    assert len(tracker) == 0
    assert tracker.track(instances([A]), NO_EMBEDDING[:1]).tolist() == [2]


def test_memory_stays_bounded_over_a_long_video():
    tracker = TASK_UTILS.build(dict(type='mmext.VPSNetTracker', max_objects=5))
    for number in range(50):
        far = [1000 * number, 0, 1000 * number + 5, 5]
        ids = tracker.track(instances([A, far]), NO_EMBEDDING).tolist()
        assert ids == [1, number + 2]
        assert len(tracker) <= 5


def test_reset_begins_again_at_one(tracker):
    tracker.track(instances([A, B]), NO_EMBEDDING)
    tracker.reset()
    assert tracker.track(instances([B]), NO_EMBEDDING[:1]).tolist() == [1]


@pytest.mark.parametrize(
    ('options', 'message'), [(dict(max_age=0), 'max_age'), (dict(max_objects=0), 'max_objects')]
)
def test_impossible_bounds_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TASK_UTILS.build(dict(type='mmext.VPSNetTracker', **options))


def test_ties_go_to_the_first_column_and_the_first_detection():
    scores = torch.tensor([[0.0, 5.0, 5.0], [0.0, 5.0, 5.0], [7.0, 7.0, 1.0], [1.0, 2.0, 3.0]])
    found = associate(scores)
    assert found.matches.tolist() == [0, NEW, NEW, 1]
    assert found.new_ranks.tolist() == [0, 1, 0, 0]


def test_dummy_has_the_label_term():
    scores = association_scores(
        torch.zeros(1, 3),
        torch.tensor([0.5]),
        torch.tensor([[0.25, 0.0]]),
        torch.tensor([[True, False]]),
    )
    base = -math.log(3) + math.log(0.5)
    torch.testing.assert_close(scores, base + torch.tensor([[10.0, 10.5, 0.0]]))


def test_affinity_is_a_dot_product_in_single_precision():
    embeddings = torch.tensor([[300.0, 1.0]], dtype=torch.bfloat16)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        actual = affinity(embeddings, embeddings)
    assert actual.tolist() == [[0.0, 300.0**2 + 1]]
