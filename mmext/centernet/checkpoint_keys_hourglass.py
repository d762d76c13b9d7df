"""Names of a stacked hourglass in the checkpoints of CornerNet and both CenterNets, and ours.

All three projects share the class, and mmdet's HourglassNet computes the same function: names
differ, shapes do not.
"""

from mmext.formats.checkpoint_keys import Rename

HOURGLASS_KEYS = (
    Rename(r'pre\.0\.(.+)', r'backbone.stem.0.\1'),
    Rename(r'pre\.1\.skip\.(.+)', r'backbone.stem.1.0.downsample.\1'),
    Rename(r'pre\.1\.(.+)', r'backbone.stem.1.0.\1'),
    Rename(r'kps\.(.+)\.skip\.(.+)', r'backbone.hourglass_modules.\1.downsample.\2'),
    Rename(r'kps\.(.+)', r'backbone.hourglass_modules.\1'),
    Rename(r'cnvs\.(.+)', r'backbone.out_convs.\1'),
    # between the stacks: input and output of a hourglass, added, and a residual
    Rename(r'inters_\.(\d+)\.0\.(.+)', r'backbone.conv1x1s.\1.conv.\2'),
    Rename(r'inters_\.(\d+)\.1\.(.+)', r'backbone.conv1x1s.\1.bn.\2'),
    Rename(r'cnvs_\.(\d+)\.0\.(.+)', r'backbone.remap_convs.\1.conv.\2'),
    Rename(r'cnvs_\.(\d+)\.1\.(.+)', r'backbone.remap_convs.\1.bn.\2'),
    Rename(r'inters\.(.+)', r'backbone.inters.\1'),
)
