"""Landscapes keep their promises about what is in them and how large it is."""

from collections import Counter

import numpy as np
import pytest

from mmext.demo.categories import CATEGORIES, LABELS, METAINFO, NUM_THINGS
from mmext.demo.landscape import MIN_STUFF_AREA, MIN_THING_AREA, draw_landscape
from mmext.demo.scene import FIRST_THING_KEY, Scene, key_areas, photograph, segment


def draw(seed: int, oddity: str | None = None, unit_px: float = 1.0) -> Scene:
    rng = np.random.Generator(np.random.PCG64(seed))
    side = round(128 * unit_px)
    return draw_landscape(rng, side, side, unit_px, oddity)


@pytest.mark.parametrize('unit_px', [0.5, 1.0, 1.5])
def test_no_segment_is_below_the_smallest_area(unit_px: float) -> None:
    for seed in range(12):
        for key, area in key_areas(segment(draw(seed, 'crowd', unit_px))).items():
            least = MIN_THING_AREA if key >= FIRST_THING_KEY else MIN_STUFF_AREA if key else 0
            assert area >= least * unit_px**2


def test_every_thing_left_in_a_scene_is_seen() -> None:
    for seed in range(12):
        scene = draw(seed)
        seen = key_areas(segment(scene))
        assert all(thing.key in seen for thing in scene.things if thing.label is not None)


def test_all_classes_appear_and_pictures_hold_several_things() -> None:
    classes: Counter[int] = Counter()
    things = []
    for seed in range(40):
        scene = draw(seed)
        labels = [thing.label for thing in scene.things if thing.label is not None]
        things.append(len(labels))
        stuff = [key - 1 for key in key_areas(segment(scene)) if 0 < key < FIRST_THING_KEY]
        classes.update({*labels, *stuff})
    assert set(classes) == set(range(len(CATEGORIES)))
    assert min(classes.values()) >= 5
    assert 2 <= np.mean(things) <= 4


def test_oddities() -> None:
    assert not any(draw(seed, 'empty').things for seed in range(5))
    for oddity, seeds in {'crowd': range(8), 'rock': range(8), 'post': range(8)}.items():
        scenes = [draw(seed, oddity) for seed in seeds]
        if oddity == 'crowd':
            found = [any(thing.is_crowd for thing in scene.things) for scene in scenes]
        else:
            found = [bool((segment(scene) == 0).any()) for scene in scenes]
        assert sum(found) >= 6, oddity


def test_crowd_members_share_a_key_and_a_kind() -> None:
    for seed in range(8):
        members = [thing for thing in draw(seed, 'crowd').things if thing.is_crowd]
        assert not members or len(members) >= 9
        assert len({(member.key, member.label) for member in members}) <= 1


def test_color_alone_does_not_tell_the_classes() -> None:
    """The nearest class mean names many, but by far not all pixels rightly."""
    pixels, labels = [], []
    for seed in range(25):
        scene = draw(seed)
        keys, image = segment(scene), photograph(scene)
        labels_of = {thing.key: thing.label for thing in scene.things}
        for key in key_areas(keys):
            if key:
                chosen = image[keys == key][::37]
                label = key - 1 if key < FIRST_THING_KEY else labels_of[key]
                pixels.append(chosen.astype(float))
                labels.append(np.full(len(chosen), label))
    color, label = np.concatenate(pixels), np.concatenate(labels)
    means = np.stack([color[label == index].mean(axis=0) for index in range(len(CATEGORIES))])
    nearest = np.argmin(((color[:, None] - means) ** 2).sum(axis=-1), axis=1)
    recalls = [(nearest[label == index] == index).mean() for index in range(len(CATEGORIES))]
    assert 0.2 < np.mean(recalls) < 0.75


def test_category_table() -> None:
    assert [category.isthing for category in CATEGORIES] == [True] * 5 + [False] * 5
    assert NUM_THINGS == 5
    assert METAINFO['classes'] == METAINFO['thing_classes'] + METAINFO['stuff_classes']
    assert len(METAINFO['palette']) == len({category.id for category in CATEGORIES}) == 10
    assert [LABELS[name] for name in METAINFO['classes']] == list(range(10))
    ids = [category.id for category in CATEGORIES]
    assert ids != list(range(ids[0], ids[0] + 10))  # gaps, as in COCO
