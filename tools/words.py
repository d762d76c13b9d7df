"""Make a table of text vectors: by an encoder you have, from tags alone, or of a trained detector.

mmext words --names ball crate --encoder sentence_transformers:models/minilm --out words.npz
mmext words --captions annotations/captions_train2017.json --dim 64 --out words.npz
mmext words --checkpoint language.pth --merge "toy=ball,crate" --out merged.npz

Nothing is downloaded. The table is for cls_predictor_cfg.table and for mmext find --words.
"""

import sys

import mmext  # noqa: F401 - makes `_base_ = 'mmext::...'` known
from mmext.cli.words import main
from mmext.errors import run_tool

if __name__ == '__main__':
    sys.exit(run_tool(main))
