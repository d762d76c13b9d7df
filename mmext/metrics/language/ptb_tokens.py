"""Captions as words, split as COCO's evaluation splits them, without Java.

COCO takes the Penn Treebank tokenizer of CoreNLP 3.4.1, lowers the case and takes punctuation
out. The rules below are those of the treebank (Marcus et al. 1993; Bies et al. 1995), with what
that program adds, found by what it answers to sentences. Kept as they are there: brackets stay in
a caption as ``-lrb-`` (the list of punctuation has them in upper case), as do ``!!`` and ``?!``.

Deviations: telephone numbers without brackets, HTML entities beyond the usual five and
abbreviations of science are not known.
"""

import re
from collections.abc import Iterator

PUNCTUATION = frozenset(
    "'' ' `` ` -LRB- -RRB- -LCB- -RCB- . ? ! , : - -- ... ;".split()  # noqa: SIM905
)
"""Tokens that COCO takes out of a caption."""

_ABBREVIATIONS = (
    'mr|mrs|ms|dr|prof|gen|sen|rep|gov|pres|capt|cmdr|col|lt|sgt|cpl|pvt|maj|adm|rev|hon|st|ste|'
    'sr|jr|esq|messrs|mme|mlle|supt|insp|treas|comdr|brig|atty|asst|det|pfc|ph|mt|ft|ave|blvd|'
    'rd|ct|sq|bldg|inc|ltd|co|corp|bros|assn|dept|univ|est|etc|al|cf|vs|jan|feb|mar|apr|jun|jul|'
    'aug|sep|sept|oct|nov|dec|mon|tue|tues|wed|thu|thurs|fri|ala|ariz|calif|colo|conn|fla|ga|'
    'ind|kan|kans|ky|md|mich|minn|mo|mont|neb|nev|okla|penn|tenn|va|vt|wis|wyo|dak|p'
)
_CAPITAL = 'Mass|Miss|Pa|Ore'  # in lower case they are words
_WHOLE = "o'clock|ma'am|c'mon|s'mores|ne'er|e'er|o'er|ol'"  # one token
_SPLIT = {
    'cannot': ('can', 'not'), 'gonna': ('gon', 'na'), 'gotta': ('got', 'ta'),
    'wanna': ('wan', 'na'), 'gimme': ('gim', 'me'), 'lemme': ('lem', 'me'),
    "'tis": ("'t", 'is'), "'twas": ("'t", 'was'),
}  # fmt: skip
_WRITTEN = {
    '(': '-lrb-', ')': '-rrb-', '[': '-lsb-', ']': '-rsb-', '{': '-lcb-', '}': '-rcb-',
    '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': "''", '&apos;': "'",
    '\u00a3': '#', '\u20ac': '$', '\u00a2': 'cents', '\u2026': '...', '"': "''",
    '\u2013': '--', '\u2014': '--',
}  # fmt: skip
_CURLY = str.maketrans({'\u2018': "'", '\u2019': "'", '\u201c': '"', '\u201d': '"'})

_LETTER = r'[^\W\d_]'
_PART = r'[^\W_](?:[^\W_]|_(?=[^\W_]))*'  # letters and digits, an underscore between them
_END = r'(?![^\W_])'
_NUMBER = r'\d*(?:[.,:]\d+)+|\d+'
# behind a letter with a dot they begin a sentence: the dot is not the letter's
_STARTERS = (
    '(?-i:A|An|As|At|But|He|Her|If|In|It|Our|She|Some|That|The|Their|Then|There|These|They|This|We|When|'
    r'While|You)\b(?!\.)'
)
_RULES = (
    ('tag', r'</?[A-Za-z][^<>]*>'),
    ('entity', r'&(?:amp|lt|gt|quot|apos);'),
    ('address', r'https?://[\w-]+(?:\.[\w-]+)+(?:/[^\s"<>()]*[\w/])?|[\w.+-]+@[\w-]+(?:\.[\w-]+)*'),
    ('tagged', r'[#@][A-Za-z]{2}\w*|#[A-Za-z]\b'),
    ('face', r"(?<!\S)(?:[:;=][-o]?[()DP]|\^_\^)(?!\S)"),
    ('phone', r'\(\d{3}\)[ -]?\d{3}-\d{4}'),
    ('fraction', rf'\d+ \d+/\d+{_END}'),
    ('currency', r'(?-i:[A-Z]{1,2})\$'),
    ('decade', rf"'\d0s{_END}|'\d\d(?![^\W_]|['%])"),
    ('elided', rf"'(?:em|til|cause|tis|twas){_END}|'n'|'n{_END}"),
    ('clitic', rf"n't{_END}|'(?:s|m|d|re|ve|ll){_END}"),
    ('initials', rf'[A-Za-z](?:\.[A-Za-z])+(?:\.{_END}|(?!\.?[A-Za-z0-9]))'),
    ('initial', rf'[A-Za-z]\.(?![A-Za-z]|\s+{_STARTERS})'),
    ('abbreviation', rf'(?:{_ABBREVIATIONS}|ph\.d|(?-i:{_CAPITAL}))\.(?!{_LETTER})'),
    ('numero', r'nos?\.(?=\s*\d)'),
    ('whole', rf"(?:{_WHOLE}){_END}"),
    (
        'contracted',
        rf"(?:[dlon]|qu)'(?=[^\W_]{{2}})(?!(?:re|ve|ll){_END}){_LETTER}+|d'ye{_END}|y'(?=all|know)",
    ),
    ('dotted', rf'[A-Za-z]+(?:\.[A-Za-z]+)+{_END}'),
    ('signed', rf'(?<![^\W_])[-+](?:{_NUMBER}){_END}'),
    ('number', r'(?:\d*(?:[.,:]\d+)+)(?![-/][^\W_])'),
    ('ampersand', r'(?-i:[A-Z]+&[A-Z]+(?![a-z]))'),
    ('negated', rf"{_LETTER}+?(?=n't{_END})"),
    ('short', r'w/o\b'),
    ('word', rf"{_PART}(?:[-/]{_PART})*"),
    ('dots', r'\.\.\.+|\. \. \.'),
    ('dashes', r'--+'),
    ('marks', r'[?!]+'),
    ('quote', r"``|''"),
    ('repeated', r'\*+|__+'),
    ('bracket', r'-[lr][rsc]b-'),
    ('sign', r'[^\s\w]|_'),
)  # fmt: skip
_TOKEN = re.compile('|'.join(f'(?P<{name}>{rule})' for name, rule in _RULES), re.IGNORECASE)


def tokenize(caption: str) -> list[str]:
    """The words of a caption as COCO's evaluation counts them.

    >>> tokenize("The dogs' bowls (left) side")
    ['the', 'dogs', 'bowls', '-lrb-', 'left', '-rrb-', 'side']
    """
    return [token for token in treebank_tokens(caption) if token not in PUNCTUATION]


def treebank_tokens(text: str) -> Iterator[str]:
    """All tokens of a text in lower case, punctuation too."""
    for found in _TOKEN.finditer(text.translate(_CURLY)):
        token = found.group().lower()
        if token in _SPLIT:
            yield from _SPLIT[token]
        elif token in _WRITTEN:
            yield _WRITTEN[token]
        elif found.lastgroup == 'phone':
            yield token.replace('(', '-lrb-').replace(')', '-rrb-').replace(' ', '\u00a0')
        elif found.lastgroup == 'fraction':
            yield token.replace(' ', '\u00a0')
        elif found.lastgroup == 'face':
            yield token.replace('(', '-lrb-').replace(')', '-rrb-')
        elif found.lastgroup == 'dashes':
            yield '--'
        elif found.lastgroup == 'dots':
            yield '...'
        elif found.lastgroup != 'sign' or ord(token) < 0x10000:
            yield token
