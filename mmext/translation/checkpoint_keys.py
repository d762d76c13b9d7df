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
    table: list[Rename | Drop] = [
        Rename(r'model\.1\.(weight|bias)', r'stem.\1'),
        Rename(rf'model\.{after + 7}\.(weight|bias)', r'head.\1'),
    ]
    norms = {2: 'stem_norm'}
    for number in range(2):
        table.append(Rename(rf'model\.{4 + 3 * number}\.(weight|bias)', rf'downs.{number}.\1'))
        table.append(Rename(rf'model\.{after + 3 * number}\.(weight|bias)', rf'ups.{number}.\1'))
        norms[5 + 3 * number] = f'down_norms.{number}'
        norms[after + 1 + 3 * number] = f'up_norms.{number}'
    for place, number in enumerate(blocks):
        for theirs, ours in ((1, 'conv1'), (second, 'conv2')):
            key = rf'model\.{number}\.conv_block\.{theirs}\.(weight|bias)'
            table.append(Rename(key, rf'blocks.{place}.{ours}.\1'))
        for theirs, ours in ((2, 'norm1'), (second + 1, 'norm2')):
            key = rf'model\.{number}\.conv_block\.{theirs}\.'
            table.append(_norm(key, f'blocks.{place}.{ours}', has_norms))
    table += [_norm(rf'model\.{n}\.', ours, has_norms) for n, ours in norms.items()]
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
        Rename(r'model\.model\.0\.(weight|bias)', r'downs.0.\1'),
        Rename(r'model\.model\.3\.(weight|bias)', r'ups.0.\1'),
    ]
    for level in range(1, innermost + 1):
        path = re.escape(_level(level))
        up = 3 if level == innermost else 5
        table += [
            Rename(rf'{path}\.1\.(weight|bias)', rf'downs.{level}.\1'),
            Rename(rf'{path}\.{up}\.(weight|bias)', rf'ups.{level}.\1'),
            _norm(rf'{path}\.{up + 1}\.', f'up_norms.{level}', has_norms),
        ]
        if level < innermost:
            table.append(_norm(rf'{path}\.2\.', f'down_norms.{level}', has_norms))
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
        Rename(rf'{name}\.0\.(weight|bias)', r'convs.0.\1'),
        Rename(rf'{name}\.{last}\.(weight|bias)', r'head.\1'),
    ]
    for layer in range(1, layers + 1):
        place = 3 * layer - 1
        table.append(Rename(rf'{name}\.{place}\.(weight|bias)', rf'convs.{layer}.\1'))
        table.append(_norm(rf'{name}\.{place + 1}\.', f'norms.{layer}', has_norms))
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
        Rename(rf'{theirs}0\.0\.(weight|bias)', r'scales.\1.convs.0.\2'),
        Rename(rf'{theirs}{last}\.0\.(weight|bias)', r'scales.\1.head.\2'),
    ]
    for kind, ours in _SPECTRAL.items():
        table.append(Rename(rf'{theirs}(\d+)\.0\.0\.{kind}', rf'scales.\1.convs.\2.{ours}'))
    return rename_keys(source, table)


_SPECTRAL = {'weight_orig': 'weight', 'weight_u': 'u', 'weight_v': 'v', 'bias': 'bias'}
_NEST = r'model\.model\.1\.model\.((?:3\.model\.)*)\d+\.(?:weight|bias|running_mean)'


def _spade() -> Iterator[Rename]:
    yield Rename(r'fc\.(weight|bias)', r'start.\1')
    yield Rename(r'conv_img\.(weight|bias)', r'last.\1')
    for number, block in enumerate(_SPADE_BLOCKS):
        for branch, place, conv in _SPADE_BRANCHES:
            for kind, ours in _SPECTRAL.items():
                yield Rename(rf'{block}\.conv_{branch}\.{kind}', f'blocks.{number}.{conv}.{ours}')
            norm = f'blocks.{number}.norm{place}' if place else f'blocks.{number}.direct_norm'
            theirs = rf'{block}\.norm_{branch}'
            yield Rename(rf'{theirs}\.param_free_norm\.{_STATISTICS}', rf'{norm}.norm.\1')
            yield Rename(rf'{theirs}\.mlp_shared\.0\.(weight|bias)', rf'{norm}.shared.\1')
            yield Rename(rf'{theirs}\.mlp_(gamma|beta)\.(weight|bias)', rf'{norm}.\1.\2')


def _level(level: int) -> str:
    """The list of layers of an inner level of the U-Net, which are nested."""
    return 'model.model.1.model' + '.3.model' * (level - 1)


def _norm(pattern: str, ours: str, is_batch_norm: bool) -> Rename | Drop:
    """A line for a layer of norm: batch norms are kept, instance norms have nothing to keep."""
    if is_batch_norm:
        return Rename(pattern + _NORM, rf'{ours}.\1')
    return Drop(pattern + _STATISTICS, _OLD)


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
