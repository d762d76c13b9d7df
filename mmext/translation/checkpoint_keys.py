r"""Keys of the released CycleGAN, pix2pix and SPADE networks and what they are here.

junyanz/pytorch-CycleGAN-and-pix2pix and NVlabs/SPADE (whose weights are for non-commercial use). A
file holds one network. Places in their lists of layers are counted from the keys: blocks, levels
and layers may be any number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from torch import Tensor

from mmext.errors import InputError
from mmext.formats.checkpoint_keys import Converted, Drop, Rename, rename_keys

_STATISTICS = r'(running_mean|running_var|num_batches_tracked)'
_NORM = rf'(weight|bias|{_STATISTICS[1:-1]})'
_OLD = 'statistics of an instance norm that tracked them; it has used none since'
_MATRIX = 4  # dimensions of the weight of a convolution
_SPADE_BLOCKS = ('head_0', 'G_middle_0', 'G_middle_1', 'up_0', 'up_1', 'up_2', 'up_3')
_SPADE_BRANCHES = (('0', '1', 'conv1'), ('1', '2', 'conv2'), ('s', '', 'direct_conv'))


def convert_residual(source: Mapping[str, Tensor]) -> Converted:
    """A residual generator (``latest_net_G_A.pth``, ``latest_net_G.pth``).

    Args:
        source: its state dict.

    Returns:
        The state of :class:`.residual_generator.ResidualGenerator` with ``upsample='deconv'``.

    Raises:
        InputError: there are no residual blocks, or a key that no line knows.
    """
    blocks = sorted({int(n) for n in _found(r'model\.(\d+)\.conv_block\..+', source)})
    if not blocks:
        raise InputError('no key is of a residual block: the weights are of another network')
    first, after = blocks[0], blocks[-1] + 1
    prefix = f'model.{first}.conv_block'
    second = 6 if _is_convolution(source, f'{prefix}.6.weight') else 5  # behind a dropout
    has_norms = _bare(source, 'model.2.weight') is not None
    table = [
        *_pair('model', 1, 'stem', 'stem_norm', has_norms),
        _layer(rf'model\.{after + 7}', 'head'),
    ]
    for number in range(2):
        for theirs, ours in ((4 + 3 * number, 'down'), (after + 3 * number, 'up')):
            names = f'{ours}s.{number}', f'{ours}_norms.{number}'
            table += _pair('model', theirs, *names, has_norms)
    for place, number in enumerate(blocks):
        for layer, theirs in ((1, 1), (2, second)):
            names = f'blocks.{place}.conv{layer}', f'blocks.{place}.norm{layer}'
            table += _pair(rf'model\.{number}\.conv_block', theirs, *names, has_norms)
    return rename_keys(source, table)


def convert_unet(source: Mapping[str, Tensor]) -> Converted:
    """A U-Net of pix2pix (``latest_net_G.pth``).

    Args:
        source: its state dict.

    Returns:
        The state of :class:`.unet_generator.UNetGenerator`.

    Raises:
        InputError: it is no U-Net, or a key that no line knows.
    """
    inner = [len(nest) // len('model.3.') for nest in _found(_NEST, source)]
    if not inner:
        raise InputError('no key is of a level of a U-Net: the weights are of another network')
    innermost = max(inner) + 1
    has_norms = any(_bare(source, f'{_level(1)}.{place}.weight') is not None for place in (2, 6))
    table: list[Rename | Drop] = [
        _layer(r'model\.model\.0', 'downs.0'),
        _layer(r'model\.model\.3', 'ups.0'),
    ]
    for level in range(1, innermost + 1):
        path = re.escape(_level(level))
        up = 5
        if level == innermost:  # no norm there
            up = 3
            table.append(_layer(rf'{path}\.1', f'downs.{level}'))
        else:
            table += _pair(path, 1, f'downs.{level}', f'down_norms.{level}', has_norms)
        table += _pair(path, up, f'ups.{level}', f'up_norms.{level}', has_norms)
    return rename_keys(source, table)


def convert_patches(source: Mapping[str, Tensor]) -> Converted:
    """A discriminator of both (``latest_net_D.pth``; ``latest_net_D_A.pth`` judges B).

    Args:
        source: its state dict.

    Returns:
        The state of :class:`.patch_discriminator.PatchDiscriminator`.

    Raises:
        InputError: a key that no line knows.
    """
    if pixels := _found(r'net\.(\d+)\..+', source):
        places, name = [int(n) for n in pixels], 'net'
    else:
        places, name = [int(n) for n in _found(r'model\.(\d+)\..+', source)], 'model'
    last = max(places, default=0)
    has_norms = _bare(source, f'{name}.3.weight') is not None
    layers = (last - 2) // 3
    table: list[Rename | Drop] = [
        _layer(rf'{name}\.0', 'convs.0'),
        _layer(rf'{name}\.{last}', 'head'),
    ]
    for layer in range(1, layers + 1):
        place = 3 * layer - 1
        table += _pair(name, place, f'convs.{layer}', f'norms.{layer}', has_norms)
    return rename_keys(source, table)


def convert_spade(source: Mapping[str, Tensor]) -> Converted:
    """A generator of SPADE that starts from the label map (``latest_net_G.pth``).

    Args:
        source: its state dict.

    Returns:
        The state of :class:`.spade.SPADEGenerator` with ``norm='batch'``.

    Raises:
        InputError: a key that no line knows.
    """
    return rename_keys(source, list(_spade()))


def convert_spade_discriminator(source: Mapping[str, Tensor]) -> Converted:
    """A discriminator of SPADE (``latest_net_D.pth``).

    Args:
        source: its state dict.

    Returns:
        The state of :class:`.patch_discriminator.MultiscaleDiscriminator`.

    Raises:
        InputError: a key that no line knows.
    """
    layers = [int(n) for n in _found(r'discriminator_0\.model(\d+)\..+', source)]
    last = max(layers, default=0)
    theirs = r'discriminator_(\d+)\.model'
    table: list[Rename | Drop] = [
        _layer(rf'{theirs}0\.0', r'scales.\1.convs.0'),
        _layer(rf'{theirs}{last}\.0', r'scales.\1.head'),
    ]
    for kind, ours in _SPECTRAL.items():
        table.append(Rename(rf'{theirs}(\d+)\.0\.0\.{kind}', rf'scales.\1.convs.\2.{ours}'))
    return rename_keys(source, table)


_SPECTRAL = {'weight_orig': 'weight', 'weight_u': 'u', 'weight_v': 'v', 'bias': 'bias'}
_NEST = r'model\.model\.1\.model\.((?:3\.model\.)*)\d+\.(?:weight|bias|running_mean)'


def _spade() -> Iterator[Rename]:
    yield _layer('fc', 'start')
    yield _layer('conv_img', 'last')
    for number, block in enumerate(_SPADE_BLOCKS):
        for branch, place, conv in _SPADE_BRANCHES:
            for kind, ours in _SPECTRAL.items():
                yield Rename(rf'{block}\.conv_{branch}\.{kind}', f'blocks.{number}.{conv}.{ours}')
            norm = f'blocks.{number}.norm{place}' if place else f'blocks.{number}.direct_norm'
            theirs = rf'{block}\.norm_{branch}'
            yield Rename(rf'{theirs}\.param_free_norm\.{_STATISTICS}', rf'{norm}.norm.\1')
            yield _layer(rf'{theirs}\.mlp_shared\.0', f'{norm}.shared')
            yield _layer(rf'{theirs}\.mlp_(gamma|beta)', rf'{norm}.\1')


def _level(level: int) -> str:
    """The list of layers of an inner level of the U-Net, which are nested."""
    return 'model.model.1.model' + '.3.model' * (level - 1)


def _layer(theirs: str, ours: str) -> Rename:
    """A line for weight and bias of a layer; groups of the pattern ``theirs`` may stand in ours."""
    return Rename(rf'{theirs}\.(?P<part>weight|bias)', rf'{ours}.\g<part>')


def _norm(theirs: str, ours: str, is_batch_norm: bool) -> Rename | Drop:
    """A line for a layer of norm: batch norms are kept, instance norms have nothing to keep."""
    if is_batch_norm:
        return Rename(rf'{theirs}\.{_NORM}', rf'{ours}.\1')
    return Drop(rf'{theirs}\.{_STATISTICS}', _OLD)


def _pair(
    theirs: str, place: int, layer: str, norm: str, is_batch_norm: bool
) -> list[Rename | Drop]:
    """The lines for a layer at a place of their list, and for the norm behind it."""
    return [
        _layer(rf'{theirs}\.{place}', layer),
        _norm(rf'{theirs}\.{place + 1}', norm, is_batch_norm),
    ]


def _found(pattern: str, source: Mapping[str, Tensor]) -> list[str]:
    """The first group of a pattern in all keys that it matches as a whole."""
    matches = (re.fullmatch(r'(?:module\.)*' + pattern, key) for key in source)
    return [found[1] for found in matches if found]


def _bare(source: Mapping[str, Tensor], name: str) -> Tensor | None:
    """A tensor by its name without the prefix of a data-parallel wrapper."""
    keys = (key for key in source if re.fullmatch(r'(?:module\.)*' + re.escape(name), key))
    return next((source[key] for key in keys), None)


def _is_convolution(source: Mapping[str, Tensor], name: str) -> bool:
    weight = _bare(source, name)
    return weight is not None and weight.dim() == _MATRIX
