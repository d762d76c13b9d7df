"""Words: what region embeddings cost, ranks against a loop, beams against image by image.

The loop of ranks sorts all items for each query, as released code does. The loop of beams decodes
an image at a time and computes the features' part of the attention at every step, as the
well-known port does. Captions are 5 references an image of 12 words out of a few thousand.
"""

import copy
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from mmext.benchmark.rows import Row
from mmext.benchmark.timing import milliseconds_in_turn
from mmext.benchmark.untrained import untrained_detector
from mmext.configuration import load_config
from mmext.host import import_mmdet
from mmext.language.caption_decoding import beam_search
from mmext.language.caption_head import CaptionHead
from mmext.language.soft_attention import State
from mmext.language.vocabulary import END, START
from mmext.metrics.language.caption_scores import bleu, cider_d, rouge_l
from mmext.metrics.language.ptb_tokens import tokenize
from mmext.metrics.language.ranks import first_ranks

CONFIG = Path(__file__).parents[2] / 'configs/language_demo.py'
Floats = npt.NDArray[np.float32]


def run(quick: bool) -> list[Row]:
    """Measure all, in turn."""
    import_mmdet()
    init_default_scope('mmdet')
    MMLogger.get_instance('language', log_level='ERROR')
    torch.set_num_threads(1)
    with torch.no_grad():
        return [*_embeddings(quick), *_ranks(quick), *_beams(quick), *_captions(quick)]


def _embeddings(quick: bool) -> list[Row]:
    """UPSNet's prediction at 640 x 640 and 100 boxes, with and without embeddings."""
    config = load_config(str(CONFIG))
    config.model.test_cfg.rcnn.update(score_thr=0.0, max_per_img=100)
    detector = untrained_detector(config).eval()
    plain = copy.deepcopy(detector)
    head = type(plain.roi_head)
    plain.roi_head.__class__ = type('WithoutEmbeddings', (head.__mro__[2],), {})
    side = 320 if quick else 640
    images = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    meta = dict(
        img_shape=(side, side), ori_shape=(side, side), scale_factor=(1.0, 1.0),
        batch_input_shape=(side, side), pad_shape=(side, side),
    )  # fmt: skip

    def predict(model: Any) -> int:
        from mmdet.structures import DetDataSample

        return len(model.predict(images, [DetDataSample(metainfo=dict(meta))])[0].pred_instances)

    times = milliseconds_in_turn(
        {'with': lambda: predict(detector), 'without': lambda: predict(plain)}, 2 if quick else 7
    )
    took = {name: statistics.median(values) for name, values in times.items()}
    what = f'UPSNet (demo), {side} x {side}, {predict(detector)} boxes, with embeddings'
    return [Row(what, 'without', took['with'], took['without'], 'ms', 0.95)]


def _ranks(quick: bool) -> list[Row]:
    rng = np.random.default_rng(0)
    count = 500 if quick else 5000
    images = rng.standard_normal((count, 64)).astype(np.float32)
    texts = np.repeat(images, 5, 0) + 3 * rng.standard_normal((5 * count, 64)).astype(np.float32)
    image_ids = np.arange(count)
    text_ids = np.repeat(image_ids, 5)

    def at_once() -> None:
        first_ranks(images, texts, image_ids, text_ids)

    def loop() -> None:
        _rank_loop(images, texts, image_ids, text_ids)
        _rank_loop(texts, images, text_ids, image_ids)

    times = milliseconds_in_turn({'at once': at_once, 'loop': loop}, 1 if quick else 3)
    took = {name: statistics.median(values) for name, values in times.items()}
    what = f'ranks both ways, {count} images, {5 * count} texts'
    return [Row(what, 'a sort for each query', took['at once'], took['loop'], 'ms', 50.0)]


def _rank_loop(queries: Floats, gallery: Floats, ids: Any, gallery_ids: Any) -> list[int]:
    ranks = []
    for query, own in zip(queries, ids, strict=True):
        order = np.argsort(-(gallery @ query))
        ranks.append(
            min(int(np.where(order == item)[0][0]) for item in np.flatnonzero(gallery_ids == own))
        )
    return ranks


def _beams(quick: bool) -> list[Row]:
    torch.manual_seed(0)
    head = CaptionHead(256, [f'w{i}' for i in range(1000)], channels=256, beam=3, max_words=16)
    head.eval()
    features = torch.randn(4 if quick else 32, 256, 14, 14)

    def one_by_one() -> list[str]:
        return [_plain_decode(head, image[None]) for image in features]

    times = milliseconds_in_turn(
        {'batched': lambda: head.predict(features), 'loop': one_by_one}, 1 if quick else 3
    )
    took = {name: statistics.median(values) for name, values in times.items()}
    said = head.predict(features).captions
    if said != one_by_one():
        raise AssertionError('the two ways of decoding say different sentences')
    what = f'beam 3, {len(features)} images of 14 x 14, 16 words'
    return [
        Row(what, 'image by image, keys at each step', took['batched'], took['loop'], 'ms', 3.0)
    ]


def _plain_decode(head: CaptionHead, image: torch.Tensor) -> str:
    """One image; the features' part of the attention is computed at every step."""
    decoder = head.decoder
    places = image.flatten(2).transpose(1, 2).expand(head.beam, -1, -1)
    state = decoder.look(places)[1]

    def step(words: torch.Tensor, state: State) -> tuple[torch.Tensor, torch.Tensor, State]:
        looked, _ = decoder.look(places)
        state, weights = decoder.advance(looked, state, decoder.word_inputs(words))
        log_probs = decoder.words(state.hidden).log_softmax(1)
        log_probs[:, [0, START]] = -torch.inf
        return log_probs, weights, state

    found = beam_search(step, state, 1, head.beam, (START, END), head.max_words)
    return head.vocabulary.sentence(found.words[0])


def _captions(quick: bool) -> list[Row]:
    """A whole evaluation against the ten seconds that it may take."""
    count = 500 if quick else 5000
    rng = np.random.default_rng(0)
    numbers = np.minimum(rng.zipf(1.5, (count, 6, 12)), 5000)
    texts = [[' '.join(f'w{n}' for n in words) + '.' for words in image] for image in numbers]

    def score() -> None:
        words = [[tokenize(text) for text in image] for image in texts]
        said, references = [image[0] for image in words], [image[1:] for image in words]
        bleu(said, references)
        cider_d(said, references)
        rouge_l(said, references)

    took = statistics.median(milliseconds_in_turn({'score': score}, 1 if quick else 3)['score'])
    allowed = 10_000 * count / 5000
    return [Row(f'captions of {count} images scored', '10 s for 5000', took, allowed, 'ms', 1.0)]
