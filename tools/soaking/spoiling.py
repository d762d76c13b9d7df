"""Files and values spoiled at random: cut, flipped, replaced, or wrong in one place of a tree."""

import copy
import json
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

ODD_VALUES: Sequence[Any] = (
    *(None, True, 0, -1, 3, 10**30, 0.5, -2.5, float('nan'), float('inf')),
    *('', 'x', 'ü\n\0', '../../x', '3', [], [None], [-1, 2], ['a'], {}, {'a': None}),
)
_TEXTS = (b'', b'\0' * 64, b'<html>502</html>', b'null', b'{}', b'[' * 100_000, b'\xff\xfe{\0}\0')


def spoil_bytes(content: bytes, rng: random.Random) -> bytes:
    """A file that was cut, hit by a flipped byte, overwritten in part, or is another."""
    if not content:
        return b'x'
    place = rng.randrange(len(content))
    many = min(len(content) - place, rng.choice((1, 64, 4096)))
    ways: Sequence[Callable[[], bytes]] = (
        lambda: content[:place],
        lambda: content[place:],
        lambda: content[:place] + bytes([content[place] ^ 1 << rng.randrange(8)])
        + content[place + 1 :],
        lambda: content[:place] + bytes(many) + content[place + many :],
        lambda: content[:place] + content[place + many :],
        lambda: content + rng.randbytes(many),
        lambda: rng.choice(_TEXTS),
    )  # fmt: skip
    return rng.choice(ways)()


def spoil_tree(tree: Any, rng: random.Random) -> tuple[Any, str]:
    """A copy of nested dicts and lists in which one place is odd, and what was done.

    A key is taken away, a value is replaced by an odd one or by one of elsewhere, an item of a
    list is there twice.
    """
    tree = copy.deepcopy(tree)
    places = list(_places(tree))
    if not places:
        return rng.choice(ODD_VALUES), 'all of it'
    # shallow places are few, and as likely as the many deep ones
    depth = rng.choice(sorted({len(path) for path, _, _ in places}))
    path, owner, key = rng.choice([place for place in places if len(place[0]) == depth])
    name = '.'.join(map(str, path))
    way = rng.choice(('odd', 'odd', 'gone', 'foreign', 'twice'))
    if way == 'gone':
        del owner[key]
    elif way == 'twice' and isinstance(owner, list):
        owner.append(copy.deepcopy(owner[key]))
    elif way == 'foreign':
        _, other, where = rng.choice(places)
        owner[key] = copy.deepcopy(other[where])
    else:
        way = 'odd'
        owner[key] = rng.choice(ODD_VALUES)
    return tree, f'{name} {way} {owner[key]!r:.60}' if way == 'odd' else f'{name} {way}'


def spoil_json(path: Path, rng: random.Random) -> str:
    """Spoil a JSON file in place, its bytes or one value; returns what was done."""
    content = path.read_bytes()
    if rng.random() < 0.3:
        path.write_bytes(spoil_bytes(content, rng))
        return f'{path.name}: bytes'
    tree, what = spoil_tree(json.loads(content), rng)
    path.write_text(json.dumps(tree))
    return f'{path.name}: {what}'


def _places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any, Any]]:
    """Path, owner and key of everything in nested dicts and lists."""
    keys = list(node) if isinstance(node, dict) else range(len(node))
    for key in keys:
        yield (*path, key), node, key
        if isinstance(node[key], dict | list):
            yield from _places(node[key], (*path, key))
