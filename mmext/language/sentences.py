"""Sentences made of tags, for training where nobody has written any.

The order of things in a sentence is theirs in the image, from left to right: with any order the
next word could not be known.
"""

from collections.abc import Sequence

from mmext.language.measured_tags import Tags


def region_sentence(tags: Tags) -> str:
    """What is said of an object.

    >>> region_sentence(Tags('ball', 'red', 'sand'))
    'a red ball on sand'
    """
    said = ['a', tags.color, tags.name] + (['on', tags.ground] if tags.ground else [])
    return ' '.join(word for word in said if word)


def image_sentence(tags: Sequence[Tags], left_px: Sequence[float]) -> str:
    """What is said of an image: its things from left to right, and the ground that most stand on.

    >>> image_sentence([Tags('tree', 'green', 'grass'), Tags('ball', 'red', 'grass')], [50, 10])
    'a ball and a tree on grass'
    """
    if not tags:
        return 'nothing'
    order = sorted(range(len(tags)), key=lambda row: left_px[row])
    things = ' and '.join(f'a {tags[row].name}' for row in order)
    grounds = [t.ground for t in tags if t.ground]
    below = max(sorted(set(grounds)), key=grounds.count) if grounds else ''
    return f'{things} on {below}' if below else things
