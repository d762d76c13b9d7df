"""CHAIR: which objects a caption speaks of, and whether they are in the picture.

Source: Rohrbach et al., "Object Hallucination in Image Captioning", EMNLP 2018. ``CHAIR_i`` is the
share of mentioned classes that are not in the image, ``CHAIR_s`` the share of captions with one.
Beside them, as BLEU and CIDEr say little of it: the share of the classes of an image that are
mentioned (recall).

Deviation: the words for a class are its name, its plurals and what the caller adds; there is no
built-in list of synonyms of COCO's classes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mmext.errors import InputError

_IRREGULAR = {
    'man': 'men', 'woman': 'women', 'child': 'children', 'person': 'people', 'mouse': 'mice',
    'goose': 'geese', 'foot': 'feet', 'tooth': 'teeth', 'knife': 'knives', 'leaf': 'leaves',
    'shelf': 'shelves', 'wolf': 'wolves', 'ox': 'oxen', 'sheep': 'sheep', 'fish': 'fish',
}  # fmt: skip
_SIBILANTS = ('s', 'x', 'z', 'ch', 'sh')


@dataclass(frozen=True)
class ObjectScores:
    """What captions say of objects, 0 to 1; nan where nothing can be counted.

    Attributes:
        chair_i: share of mentions that are not in the image.
        chair_s: share of captions with such a mention.
        recall: share of the classes in the images that are mentioned.
    """

    chair_i: float
    chair_s: float
    recall: float


class ObjectWords:
    """Finds the classes that a sentence speaks of.

    Args:
        classes: names; ``_`` and ``-`` count as blanks.
        synonyms: more words for a class, without their regular plurals.

    Raises:
        InputError: synonyms of what is no class, or that are no list of words; an empty word.

    >>> words = ObjectWords(['ball', 'hot dog', 'dog'])
    >>> words.mentioned('two balls beside a hot dog'.split())
    ['ball', 'hot dog']
    """

    def __init__(
        self, classes: Iterable[str], synonyms: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        self._class_of: dict[tuple[str, ...], str] = {}
        names, more = list(classes), synonyms or {}
        _check(names, more)
        for name in names:
            for phrase in (name, *more.get(name, ())):
                for form in number_forms(phrase):
                    self._class_of.setdefault(form, name)
        self._longest = max(map(len, self._class_of), default=0)

    def mentioned(self, words: Sequence[str]) -> list[str]:
        """The classes of the longest phrases, in the order of the sentence, with repetitions."""
        found, place = [], 0
        while place < len(words):
            for length in range(min(self._longest, len(words) - place), 0, -1):
                name = self._class_of.get(tuple(words[place : place + length]))
                if name is not None:
                    found.append(name)
                    place += length
                    break
            else:
                place += 1
        return found


def number_forms(phrase: str) -> list[tuple[str, ...]]:
    """A phrase in singular and plural, as words.

    >>> number_forms('wine_glass')
    [('wine', 'glass'), ('wine', 'glasses')]
    """
    *first, last = phrase.lower().replace('_', ' ').replace('-', ' ').split()
    if last in _IRREGULAR:
        plural = _IRREGULAR[last]
    elif last.endswith(_SIBILANTS):
        plural = f'{last}es'
    elif last.endswith('y') and last[-2:-1] not in 'aeiou':
        plural = f'{last[:-1]}ies'
    else:
        plural = f'{last}s'
    return [(*first, last), (*first, plural)]


def _check(classes: Sequence[str], synonyms: Mapping[str, Sequence[str]]) -> None:
    if not isinstance(synonyms, Mapping):
        raise InputError('synonyms: expected {class: [word, ...], ...}')
    for name, words in synonyms.items():
        if name not in classes:
            raise InputError(f'synonyms: {name!r} is no class ({", ".join(classes)})')
        if isinstance(words, str) or not all(isinstance(word, str) for word in words):
            raise InputError(f'synonyms of {name!r}: expected a list of words, got {words!r}')
    for phrase in (*classes, *(word for words in synonyms.values() for word in words)):
        if not phrase.strip(' _-'):
            raise InputError(f'{phrase!r}: no word for a class; give it a name')


def object_scores(
    mentioned: Sequence[Sequence[str]], present: Sequence[Iterable[str]]
) -> ObjectScores:
    """CHAIR and recall over images.

    Args:
        mentioned: the classes that the caption of each image speaks of.
        present: the classes that are in each image.
    """
    wrong = said = sentences = recalled = there = 0
    for names, true in zip(mentioned, map(set, present), strict=True):
        absent = [name for name in names if name not in true]
        said += len(names)
        wrong += len(absent)
        sentences += bool(absent)
        there += len(true)
        recalled += len(true & set(names))
    return ObjectScores(
        _share(wrong, said), _share(sentences, len(mentioned)), _share(recalled, there)
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float('nan')
