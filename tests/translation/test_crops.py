"""Crops of objects: cut out, kept in a file, pasted back; a generator and a judge by class."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from torch.nn import functional

from mmext.demo.panoptic import write_panoptic_dataset
from mmext.errors import InputError, MissingFileError
from mmext.registry import DATASETS, MODELS, TRANSFORMS
from mmext.translation.crop_bank import CropBank, cut_out, pasted, read_crops, write_crops
from mmext.translation.crop_gan import augmented, latent_vectors
from mmext.translation.crop_networks import CropGenerator, ProjectionDiscriminator
from mmext.translation.latent_directions import fit_direction, measured

CLASSES = ('ball', 'crate', 'tree', 'mushroom', 'fish')


def disc(size: int = 16, radius: float = 5.0) -> Any:
    ys, xs = np.mgrid[:size, :size] + 0.5
    return ((xs - size / 2) ** 2 + (ys - size / 2) ** 2 < radius**2).astype(np.uint8)


def test_what_is_cut_out_and_pasted_back_is_the_picture() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    mask = np.zeros((40, 50), np.uint8)
    mask[10:26, 20:36] = disc()
    crop = cut_out(image, mask, (23, 13, 33, 23), size=16, margin=0.3)
    assert crop.shape == (16, 16, 4)
    assert set(np.unique(crop[..., 3])) == {0, 255}
    assert (crop[crop[..., 3] == 0][:, :3] == 128).all()  # gray around it
    other = np.zeros_like(image)
    result, covered = pasted(other, crop, 20, 10)
    assert np.array_equal(covered, mask == 1)
    assert np.array_equal(result[covered], image[covered])
    assert (result[~covered] == 0).all() and (other == 0).all()


def test_a_crop_beyond_the_border_is_cut_off() -> None:
    crop = np.full((8, 8, 4), 255, np.uint8)
    image = np.zeros((10, 10, 3), np.uint8)
    result, covered = pasted(image, crop, -4, 7)
    assert covered.sum() == 4 * 3 and covered[7:, :4].all()
    assert (result[7:, :4] == 255).all()
    assert not pasted(image, crop, 10, 0)[1].any()


def bank() -> CropBank:
    crops = np.zeros((3, 16, 16, 4), np.uint8)
    crops[..., :3] = 127
    for number, crop in enumerate(crops):
        crop[disc() == 1] = (250, 10 * number, 30, 255)
    return CropBank(crops, np.array([4, 4, 0]), CLASSES)


def test_a_file_of_crops(tmp_path: Path) -> None:
    write_crops(tmp_path / 'crops.npz', bank())
    again = read_crops(tmp_path / 'crops.npz')
    assert np.array_equal(again.crops, bank().crops) and again.classes == CLASSES
    assert again.of_classes(['fish']).labels.tolist() == [4, 4]


def test_files_that_hold_no_crops(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match='no crops at'):
        read_crops(tmp_path / 'none.npz')
    (tmp_path / 'text.npz').write_text('no archive')
    with pytest.raises(InputError, match='holds no crops'):
        read_crops(tmp_path / 'text.npz')
    wrong = CropBank(np.zeros((2, 8, 8, 3), np.uint8), np.zeros(2, np.int64), CLASSES)
    write_crops(tmp_path / 'wrong.npz', wrong)
    with pytest.raises(InputError, match=r'expected uint8 \[n, S, S, 4\] and n labels'):
        read_crops(tmp_path / 'wrong.npz')
    with pytest.raises(InputError, match="no crop of 'tree'"):
        bank().of_classes(['tree'])


def sample(with_masks: bool = True) -> dict[str, Any]:
    mask = np.zeros((1, 60, 60), np.uint8)
    mask[0, 20:40, 20:40] = 1
    results = dict(
        img=np.zeros((60, 60, 3), np.uint8),
        gt_bboxes=HorizontalBoxes(np.array([[20, 20, 40, 40]], np.float32)),
        gt_bboxes_labels=np.array([1]),
        gt_ignore_flags=np.array([False]),
        gt_seg_map=np.full((60, 60), 7, np.uint8),
    )
    if with_masks:
        results['gt_masks'] = BitmapMasks(mask, 60, 60)
    return results


def paster(tmp_path: Path, **more: Any) -> Any:
    write_crops(tmp_path / 'crops.npz', bank())
    settings = dict(crops=str(tmp_path / 'crops.npz'), only=['fish'], prob=1.0, size=(16, 24))
    return TRANSFORMS.build({'type': 'mmext.PasteCrops', **settings, **more})


def test_pasted_objects_are_annotated(tmp_path: Path) -> None:
    np.random.seed(0)
    paste = paster(tmp_path, count=(3, 3))
    for _ in range(10):
        found = paste(sample())
        masks = found['gt_masks'].masks
        count = len(masks)
        assert 2 <= count <= 4
        assert found['gt_bboxes_labels'].tolist() == [1] + [4] * (count - 1)
        assert len(found['gt_ignore_flags']) == count
        assert masks.sum(0).max() == 1  # nothing belongs to two
        assert masks[0].sum() >= (1 - 0.4) ** 3 * 400
        boxes = BitmapMasks(masks, 60, 60).get_bboxes('hbox').tensor
        torch.testing.assert_close(found['gt_bboxes'].tensor, boxes)
        things = masks[1:].any(0)
        assert (found['gt_seg_map'][things] == 4).all()
        assert (found['gt_seg_map'][~things] == 7).all()
        red = found['img'][..., 2]
        assert red[things].min() >= 120 and found['img'][masks[0] == 1].max() < 130


def test_pasting_without_masks_and_by_chance(tmp_path: Path) -> None:
    np.random.seed(0)
    found = paster(tmp_path)(sample(with_masks=False))
    assert 'gt_masks' not in found and len(found['gt_bboxes']) >= 2
    assert len(paster(tmp_path, prob=0.0)(sample())['gt_bboxes']) == 1


def test_labels_go_by_the_names_of_the_data_set(tmp_path: Path) -> None:
    found = paster(tmp_path, classes=['fish', 'other'])(sample())
    assert found['gt_bboxes_labels'].tolist()[1:] == [0] * (len(found['gt_bboxes']) - 1)
    with pytest.raises(InputError, match="crops of 'fish'; the data set has"):
        paster(tmp_path, classes=['ball'])
    with pytest.raises(InputError, match="no class 'whale'"):
        paster(tmp_path, only=['whale'])


@pytest.fixture(scope='module')
def crops(tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp('crops') / 'data'
    write_panoptic_dataset(root, num_train=24, num_val=1, image_size=(96, 96))
    return DATASETS.build(
        dict(
            type='mmext.ObjectCrops',
            flip=0.0,
            size=16,
            dataset=dict(
                type='mmext.CocoDataset',
                data_root=str(root),
                ann_file='annotations/instances_train2017.json',
                data_prefix=dict(img='train2017/'),
                metainfo=dict(classes=CLASSES),
            ),
        )
    )


def test_objects_of_a_data_set(crops: Any) -> None:
    labels = [crops[index]['data_samples'].label for index in range(10)]
    assert labels == [0, 1, 2, 3, 4] * 2  # rare ones as often as others
    assert crops[0]['inputs'].shape == (4, 16, 16) and crops[0]['inputs'].dtype == torch.uint8
    every = crops.bank()
    assert len(every.labels) == sum(map(len, crops.objects.values()))
    solid = every.crops[..., 3] >= 128
    assert (solid.mean((1, 2)) > 0.1).all() and not solid[:, 0, 0].any()
    for index, number in crops.objects[2]:
        box = crops.dataset.get_data_info(index)['instances'][number]['bbox']
        assert min(box[:2]) >= 1


def test_a_class_without_objects(crops: Any) -> None:
    config = dict(crops.dataset._config) if hasattr(crops.dataset, '_config') else None
    assert config is None
    with pytest.raises(InputError, match="no whole object of 'ball' with at least 500 px"):
        kept, crops.min_side = crops.min_side, 500
        try:
            crops._find()
        finally:
            crops.min_side = kept


def drawn(network: Any, scale: float = 0.2) -> Any:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in network.parameters():
            value.copy_(scale * torch.randn(value.shape, generator=generator))
    return network.eval()


def test_the_generator_equals_a_restatement() -> None:
    net = drawn(CropGenerator(3, latent_dim=5, class_dim=2, widths=(6, 4, 3)))
    w = net.state_dict()
    latent, labels = torch.randn(2, 5), torch.tensor([2, 0])
    style = torch.cat([latent, w['class_vectors.weight'][labels]], 1)
    x = (style @ w['start.weight'].T + w['start.bias']).view(2, 6, 4, 4)
    for name in ('convs.0', 'convs.1'):
        x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
        x = functional.conv2d(x, w[f'{name}.conv.weight'], w[f'{name}.conv.bias'], padding=1)
        x = (x - x.mean((2, 3), True)) / (x.var((2, 3), False, True)[:, :] + 1e-5).sqrt()
        both = style @ w[f'{name}.style.weight'].T + w[f'{name}.style.bias']
        half = x.shape[1]
        x = x * (1 + both[:, :half, None, None]) + both[:, half:, None, None]
        x = torch.where(x > 0, x, 0.2 * x)
    expected = functional.conv2d(x, w['last.weight'], w['last.bias'], padding=1).tanh()
    made = net(latent, labels)
    assert made.shape == (2, 4, 16, 16)
    torch.testing.assert_close(made, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(net(latent[:1], labels[:1]), made[:1], rtol=1e-4, atol=1e-5)


def test_the_judge_is_a_projection() -> None:
    net = drawn(ProjectionDiscriminator(3, size=16, width=4))
    crops = torch.randn(2, 4, 16, 16)
    x = crops
    for conv in net.downs:
        x = functional.leaky_relu(
            functional.conv2d(x, conv.normalized_weight(), conv.bias, stride=2, padding=1), 0.2
        )
    x = functional.conv2d(x, net.mix.normalized_weight(), net.mix.bias, padding=1)
    seen = functional.leaky_relu(x, 0.2).sum((2, 3))
    labels = torch.tensor([0, 2])
    vectors = net.class_vectors.normalized_weight()[:, :, 0, 0].T[labels]
    said = net.verdict.normalized_weight()[0, :, 0, 0]
    expected = seen @ said + net.verdict.bias + (seen * vectors).sum(1)
    torch.testing.assert_close(net(crops, labels), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('size', [4, 20])
def test_sizes_that_no_judge_has(size: int) -> None:
    with pytest.raises(InputError, match=f'size {size}; it can be 8, 16, 32'):
        ProjectionDiscriminator(3, size=size)


def test_augmented_crops_are_shifted_as_a_whole() -> None:
    torch.manual_seed(0)
    crops = torch.zeros(8, 4, 16, 16)
    crops[:, 3] = -1
    crops[:, :, 6:9, 6:9] = torch.tensor([0.1, 0.2, 0.3, 1.0]).view(4, 1, 1)
    crops.requires_grad_()
    found = augmented(crops)
    solid = found[:, 3] > 0
    assert (solid.sum((1, 2)) == 9).all()
    for crop, mask in zip(found, solid, strict=True):
        light = crop[0][mask] - 0.1
        assert light.max() - light.min() < 1e-6 and light.abs().max() <= 0.2
        torch.testing.assert_close(crop[2][mask] - crop[0][mask], torch.full((9,), 0.2))
        assert (crop[:3, ~mask] == 0).all()
    found.sum().backward()
    assert crops.grad.abs().sum() > 0


def gan() -> Any:
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='mmext.CropGAN',
            generator=dict(
                type='mmext.CropGenerator', num_classes=5, latent_dim=4, widths=(8, 8, 4)
            ),
            discriminator=dict(
                type='mmext.ProjectionDiscriminator', num_classes=5, size=16, width=4
            ),
        )
    )


def test_a_step_learns_both_networks(crops: Any) -> None:
    from mmext.translation.network_optim_wrappers import NetworkOptimWrapperConstructor

    model = gan()
    adam = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3))
    wrappers = NetworkOptimWrapperConstructor(
        dict(
            generators=dict(networks=('generator',), **adam),
            discriminators=dict(networks=('discriminator',), **adam),
        )
    )(model)
    items = [crops[index] for index in range(5)]
    batch = {key: [item[key] for item in items] for key in ('inputs', 'data_samples')}
    before = {name: value.clone() for name, value in model.named_parameters()}
    logged = model.train_step(batch, wrappers)
    assert {'generators/loss_gan', 'discriminators/loss_gan', 'discriminators/right'} <= set(logged)
    moved = {name for name, value in model.named_parameters() if not value.equal(before[name])}
    assert moved == set(before)
    found = model.test_step(batch)
    assert found[3].crop.shape == (16, 16, 4) and found[3].crop.dtype == torch.uint8


def test_made_crops_go_by_label_and_seed() -> None:
    model = gan().eval()
    labels = torch.tensor([0, 1, 2])
    made = model.make(labels, seed=3)
    assert made.equal(model.make(labels, seed=3)) and not made.equal(model.make(labels, seed=4))
    assert made[:2].equal(model.make(labels[:2], seed=3))
    assert latent_vectors(2, 4, 0).equal(latent_vectors(5, 4, 0)[:2])


def test_networks_for_different_classes_are_refused() -> None:
    with pytest.raises(InputError, match='a generator of 5 and a discriminator of 4 classes'):
        MODELS.build(
            dict(
                type='mmext.CropGAN',
                generator=dict(type='mmext.CropGenerator', num_classes=5),
                discriminator=dict(type='mmext.ProjectionDiscriminator', num_classes=4),
            )
        )


def test_properties_of_crops_by_hand() -> None:
    crops = bank().crops
    assert measured(crops, 'light')[1] == pytest.approx((250 + 10 + 30) / 3)
    assert measured(crops, 'warmth').tolist() == [220, 220, 220]
    assert measured(crops, 'size')[0] == pytest.approx(disc().mean())
    assert np.isnan(measured(np.zeros((1, 4, 4, 4), np.uint8), 'light')).all()
    with pytest.raises(InputError, match="property 'beauty'"):
        measured(crops, 'beauty')


def test_the_direction_of_a_linear_property_is_found() -> None:
    rng = np.random.default_rng(0)
    latents = rng.standard_normal((500, 6))
    way, other = np.eye(6)[2], np.array([0, 0, 0.6, 0.8, 0, 0])
    values = 5 * latents @ way + 3 + 0.1 * rng.standard_normal(500)
    values[7] = np.nan
    found = fit_direction(latents, values)
    assert abs(found.vector @ way) > 0.999 and found.slope == pytest.approx(5, abs=0.05)
    assert found.explained > 0.99
    kept = fit_direction(latents, values, keep=other[None])
    assert abs(kept.vector @ other) < 1e-9 and kept.slope == pytest.approx(5 * 0.8, abs=0.1)


def test_directions_that_cannot_be_found() -> None:
    latents = np.random.default_rng(0).standard_normal((5, 6))
    with pytest.raises(InputError, match='5 crops for 6 latent values'):
        fit_direction(latents, np.arange(5.0))
    with pytest.raises(InputError, match='the same in all crops'):
        fit_direction(np.eye(9)[:, :3], np.ones(9))


def test_the_tool_writes_real_and_made_crops(
    crops: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from mmext.cli.crops import main

    config = Path(__file__).parents[2] / 'configs/translation/crops_demo.py'
    root = Path(crops.dataset.data_root)
    options = ['--cfg-options', f'data_root={root}/', 'train_dataloader.dataset.size=16']
    main([str(config), '--out', str(tmp_path / 'real.npz'), '--only', 'tree', *options])
    real = read_crops(tmp_path / 'real.npz')
    assert real.labels.tolist() == [2] * len(crops.objects[2])
    torch.save(dict(state_dict=gan().state_dict()), tmp_path / 'gan.pth')
    options += [
        'model.generator.latent_dim=4', 'model.generator.widths=[8,8,4]',
        'model.discriminator.size=16', 'model.discriminator.width=4',
    ]  # fmt: skip
    made = ['--checkpoint', str(tmp_path / 'gan.pth'), '--count', '3', '--only', 'fish', 'ball']
    out = ['--out', str(tmp_path / 'made.npz')]
    main([str(config), *out, *made, '--vary', 'warmth', *options])
    found = read_crops(tmp_path / 'made.npz')
    assert found.labels.tolist() == [0, 0, 0, 4, 4, 4] and found.classes == CLASSES
    assert 'fish: warmth changes by' in capsys.readouterr().out
    with pytest.raises(InputError, match='--vary: crops of a data set are what they are'):
        main([str(config), *out, '--vary', 'light'])
    with pytest.raises(InputError, match='expected a config of mmext'):
        main([str(config.with_name('stylist_demo.py')), *out])
