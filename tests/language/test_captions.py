"""Captions: words as numbers, attention, the recurrence, beams, losses, released names."""

import itertools

import pytest
import torch
from torch import nn

from mmext.errors import InputError
from mmext.language.caption_decoding import beam_search
from mmext.language.caption_head import CaptionHead
from mmext.language.checkpoint_keys import convert, reorder_words
from mmext.language.soft_attention import SoftAttentionDecoder, caption_loss
from mmext.language.vocabulary import END, PAD, START, UNKNOWN, Vocabulary, words_of_captions

WORDS = ('a', 'red', 'ball', 'on', 'sand', 'tree')
SENTENCES = ['a red ball on sand', 'a tree', 'A red tree, on a ball!']


def head(**options: object) -> CaptionHead:
    torch.manual_seed(0)
    made = CaptionHead(
        5, WORDS, channels=8, **{'dropout': 0.0, 'beam': 2, 'max_words': 6, **options}
    )
    for parameter in made.parameters():  # sentences that differ, with random weights
        nn.init.normal_(parameter, std=0.7)
    return made.eval()


def maps(count: int = 3, seed: int = 1) -> torch.Tensor:
    return torch.randn(count, 5, 2, 3, generator=torch.Generator().manual_seed(seed))


def test_sentences_as_numbers() -> None:
    words = Vocabulary(WORDS)
    numbers = words.encode([*SENTENCES[:2], 'a car'])
    assert numbers.shape == (3, 7)
    assert numbers[1].tolist() == [START, 4, 9, END, PAD, PAD, PAD]
    assert numbers[2].tolist() == [START, 4, UNKNOWN, END, PAD, PAD, PAD]
    assert [words.sentence(row.tolist()) for row in numbers] == [*SENTENCES[:2], 'a <unk>']
    assert words.encode([]).shape == (0, 2)
    assert words_of_captions(['a b b', 'a, b c', 'B'], 1) == ['b', 'a']
    for wrong in (['a', 'a'], ['<end>'], []):
        with pytest.raises(InputError, match='words'):
            Vocabulary(wrong)
    for word, remedy in (
        ('Ball', "'ball'"),
        ('hot dog', "'hot', 'dog'"),
        ('', 'another'),
        (3, "'3'"),
    ):
        with pytest.raises(InputError, match=f'no single word in lower case; write {remedy}'):
            Vocabulary(['a', word])
    for no_list in ('ball', {'a': 1}):
        with pytest.raises(InputError, match='expected a list of words'):
            Vocabulary(no_list)


def plain_decoder(
    decoder: SoftAttentionDecoder, features: torch.Tensor, words: list[int]
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """One sentence, step by step, with torch's own LSTM cell: features ``[L, E]``."""
    mean = features.mean(0)
    hidden, cell = decoder.start_hidden(mean), decoder.start_cell(mean)
    logits, attention = [], []
    for word in words:
        scores = [
            decoder.place_score((decoder.feature_keys(f) + decoder.state_query(hidden)).relu())
            for f in features
        ]
        weights = torch.cat(scores).softmax(0)
        seen = sum(w * f for w, f in zip(weights, features, strict=True))
        seen = decoder.gate(hidden).sigmoid() * seen
        step = torch.cat([decoder.embedding(torch.tensor(word)), seen])[None]
        hidden, cell = (v[0] for v in decoder.cell(step, (hidden[None], cell[None])))
        logits.append(decoder.words(hidden))
        attention.append(weights)
    return logits, attention


@torch.no_grad()
def test_the_decoder_equals_plain_steps() -> None:
    model = head()
    words = model.vocabulary.encode(SENTENCES)
    kept = maps()
    logits, attention = model(maps(), words)
    for n, features in enumerate(maps()):
        wanted = plain_decoder(model.decoder, features.flatten(1).T, words[n].tolist())
        assert torch.allclose(logits[n], torch.stack(wanted[0]), atol=1e-5)
        assert torch.allclose(attention[n], torch.stack(wanted[1]), atol=1e-6)
    assert torch.equal(maps(), kept)


@torch.no_grad()
def test_attention() -> None:
    decoder = head().decoder
    features, words = torch.randn(2, 6, 5), torch.tensor([[START, 4, 5], [START, 9, 6]])
    logits, attention = decoder(features, words)
    assert torch.allclose(attention.sum(2), torch.ones(2, 3))
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    turned = decoder(features[:, order], words)
    assert torch.allclose(turned[1], attention[:, :, order], atol=1e-6)
    assert torch.allclose(turned[0], logits, atol=1e-5)
    assert torch.allclose(decoder(features[:, :1], words)[1], torch.ones(2, 3, 1))
    alone = decoder(features[1:], words[1:, :2])
    assert torch.allclose(alone[0], logits[1:, :2], atol=1e-5)


def test_losses_by_hand() -> None:
    logits, attention = torch.randn(2, 3, 5), torch.rand(2, 3, 4)
    targets = torch.tensor([[1, 2, 3], [4, PAD, PAD]])
    told, uneven = caption_loss(logits, attention, targets, PAD, 0.5)
    log_probs = logits.log_softmax(2)
    real = [(0, 0, 1), (0, 1, 2), (0, 2, 3), (1, 0, 4)]
    assert float(told) == pytest.approx(-sum(float(log_probs[n, t, w]) for n, t, w in real) / 4)
    looked = [attention[0].sum(0), attention[1, 0]]
    by_hand = 0.5 * sum(float((1 - a).square().sum()) for a in looked) / 8
    assert float(uneven) == pytest.approx(by_hand, rel=1e-5)
    assert [float(v) for v in caption_loss(logits[:0], attention[:0], targets[:0], PAD)] == [0, 0]


def test_learning_reaches_everything_and_padding_nothing() -> None:
    model = head().train()
    losses = model.loss(maps(), SENTENCES)
    (losses['loss_caption'] + losses['loss_attention']).backward()
    assert all(p.grad.abs().sum() > 0 for p in model.parameters())
    assert (model.decoder.embedding.weight.grad[[PAD, UNKNOWN]] == 0).all()
    longer = model.loss(torch.cat([maps(), maps(1, 5)]), [*SENTENCES, 'a'])
    assert all(torch.isfinite(value) for value in longer.values())
    model.zero_grad()
    nothing = model.loss(maps(0), [])
    (nothing['loss_caption'] + nothing['loss_attention']).backward()
    assert all(p.grad is not None for p in model.parameters())  # as other ranks expect
    assert float(nothing['loss_caption']) == 0 == float(nothing['loss_attention'])


def test_low_precision() -> None:
    model = head()
    plain = model.loss(maps(), SENTENCES)
    with torch.autocast('cpu', torch.bfloat16):
        low = model.loss(maps(), SENTENCES)
        said = model.predict(maps())
    assert float(low['loss_caption']) == pytest.approx(float(plain['loss_caption']), rel=0.05)
    assert len(said.captions) == 3


class Chain:
    """A state without anything in it, for a decoder that is a table of probabilities."""

    def __init__(self, last: torch.Tensor) -> None:
        self.last = last

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.last

    def rows(self, index: torch.Tensor) -> 'Chain':
        return Chain(self.last[index])


def search(tables: torch.Tensor, beam: int, max_words: int) -> list[tuple[list[int], float]]:
    """Tables ``[B, V, V]``: log probabilities of the next word after each word."""
    image = torch.arange(len(tables)).repeat_interleave(beam)

    def step(words: torch.Tensor, state: Chain) -> tuple[torch.Tensor, torch.Tensor, Chain]:
        return tables[image, words], torch.ones(len(words), 1), Chain(words)

    found = beam_search(step, Chain(image), len(tables), beam, (0, 1), max_words)
    return list(zip(found.words, found.scores.tolist(), strict=True))


def slow_search(table: torch.Tensor, beam: int, max_words: int) -> tuple[list[int], float]:
    """One image, lists of sentences: the rules of the module, word by word."""
    live, ended = [([0], 0.0)], []
    for _ in range(max_words + 1):
        grown = [
            ([*words, nxt], score + float(table[words[-1], nxt]))
            for words, score in live
            for nxt in range(len(table))
        ]
        grown.sort(key=lambda sentence: -sentence[1])
        kept = grown[: beam - len(ended)]
        ended += [sentence for sentence in kept if sentence[0][-1] == 1]
        live = [sentence for sentence in kept if sentence[0][-1] != 1]
        if not live:
            break
    words, score = max(ended or live, key=lambda sentence: sentence[1])
    return words[1:-1] if ended else words[1:], score


@pytest.mark.parametrize('beam', [1, 2, 3, 5])
def test_beams_equal_lists_of_sentences(beam: int) -> None:
    tables = (2 * torch.randn(12, 6, 6, generator=torch.Generator().manual_seed(beam))).log_softmax(
        2
    )
    for (words, score), table in zip(search(tables, beam, 5), tables, strict=True):
        wanted = slow_search(table, beam, 5)
        assert words == wanted[0]
        assert score == pytest.approx(wanted[1], abs=1e-4)


def test_one_beam_is_greedy_and_many_are_exhaustive() -> None:
    tables = torch.randn(4, 3, 3, generator=torch.Generator().manual_seed(0)).log_softmax(2)
    for (words, _), table in zip(search(tables, 1, 4), tables, strict=True):
        greedy, last = [], 0
        for _ in range(5):
            last = int(table[last].argmax())
            if last == 1:
                break
            greedy.append(last)
        assert words == greedy
    for (_, score), table in zip(search(tables, 3**4, 3), tables, strict=True):
        every = [
            sum(float(table[a, b]) for a, b in itertools.pairwise([0, *words, 1]))
            for length in range(4)
            for words in itertools.product((0, 2), repeat=length)
        ]
        assert score == pytest.approx(max(every), abs=1e-5)


def test_sentences_that_never_end_are_cut() -> None:
    table = torch.full((1, 3, 3), -20.0)
    table[0, :, 2] = 0
    assert search(table, 1, 4)[0][0] == [2, 2, 2, 2, 2]


def test_predictions() -> None:
    model = head()
    said = model.predict(maps())
    assert len(said.captions) == 3 and said.scores.shape == (3,)
    for caption, weights in zip(said.captions, said.attention, strict=True):
        assert len(caption.split()) == len(weights) <= 7
        assert torch.allclose(weights.float().sum((1, 2)), torch.ones(len(weights)), atol=1e-2)
    alone = model.predict(maps()[1:2])
    assert alone.captions == said.captions[1:2]
    assert model.predict(maps(0)).captions == []
    with torch.no_grad():  # its score is that of the sentence, teacher-forced
        words = model.vocabulary.encode(said.captions[:1])
        log_probs = model(maps()[:1], words[:, :-1])[0].log_softmax(2)
        counted = int(model.decode(maps()[:1]).counts[0])  # without the end, if it was not said
        told = log_probs.gather(2, words[:, 1:, None])[:, :counted].mean()
    assert float(said.scores[0]) == pytest.approx(float(told), abs=1e-4)
    with pytest.raises(InputError, match='beam 0'):
        head(beam=0)


def test_names_of_the_port() -> None:
    """A rebuild of its decoder by the names and shapes of its checkpoint."""
    v, e, h = 9490, 2048, 512
    shapes = {
        'attention.encoder_att': (h, e), 'attention.decoder_att': (h, h),
        'attention.full_att': (1, h), 'init_h': (h, e), 'init_c': (h, e), 'f_beta': (e, h),
        'fc': (v, h),
    }  # fmt: skip
    state = {f'{key}.weight': torch.empty(shape) for key, shape in shapes.items()}
    state |= {f'{key}.bias': torch.empty(shape[0]) for key, shape in shapes.items()}
    state['embedding.weight'] = torch.empty(v, h)
    state |= {
        f'decode_step.weight_{k}': torch.empty(4 * h, w) for k, w in (('ih', h + e), ('hh', h))
    }
    state |= {f'decode_step.bias_{k}': torch.empty(4 * h) for k in ('ih', 'hh')}
    assert sum(tensor.numel() for tensor in state.values()) == 20_483_859
    converted = convert(state).state
    with torch.device('meta'):
        model = CaptionHead(e, [f'w{i}' for i in range(v - 4)], h)
    wanted = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    assert {key: tuple(value.shape) for key, value in converted.items()} == wanted
    with pytest.raises(InputError, match='attention'):
        convert({'attention.unknown.weight': torch.zeros(1)})


def test_words_of_the_port() -> None:
    word_map = {'a': 1, 'ball': 2, '<unk>': 3, '<start>': 4, '<end>': 5, '<pad>': 0}
    rows = torch.arange(6.0)
    state = {
        'decoder.words.weight': rows[:, None], 'decoder.words.bias': rows,
        'decoder.embedding.weight': rows[:, None], 'decoder.gate.bias': rows,
    }  # fmt: skip
    reordered, words = reorder_words(state, word_map)
    assert words == ['a', 'ball']
    assert reordered['decoder.words.bias'].tolist() == [0, 4, 5, 3, 1, 2]
    assert reordered['decoder.gate.bias'].tolist() == rows.tolist()
    with pytest.raises(InputError, match='<start> missing'):
        reorder_words(state, {'<pad>': 0, '<end>': 1, '<unk>': 2})
    with pytest.raises(InputError, match='numbers are not those of the 6 words'):
        reorder_words(state, {**word_map, 'tree': 9})
