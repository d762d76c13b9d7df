import numpy as np
import pytest
import torch

from mmext.hooks.mlflow_logging.content.evaluation import (
    ClasswiseTable,
    draw_confusion,
    draw_pr_curves,
    plot_records,
    scalars,
    split_by_class,
)

CLASSES = ['car', 'wine glass', 'glass']


def test_scalars_are_numbers_of_any_kind() -> None:
    results = {
        'a': 1, 'b': 0.5, 'c': np.float32(2), 'd': torch.tensor(3.0), 'e': 'text', 'f': [1, 2],
        'g': {'x': 1}, 'h': None, 'i': np.zeros(3),
    }  # fmt: skip
    assert scalars(results) == {'a': 1.0, 'b': 0.5, 'c': 2.0, 'd': 3.0}


@pytest.mark.parametrize(
    'results',
    [
        {'coco/car_precision': 0.1, 'coco/wine glass_precision': 0.2, 'coco/mAP': 0.5},
        {'classwise': {'wine glass': {'coco/precision': 0.2}, 'car': {'coco/precision': 0.1}}},
        {'classwise': {'coco/precision': {'car': 0.1, 'wine glass': 0.2}}},
        {'coco/precision': {'car': 0.1, 'wine glass': 0.2, 'all': 0.15}},
        {'coco/precision/car': 0.1, 'coco/precision/wine glass': 0.2},
    ],
)
def test_every_form_of_classwise_results_is_one_table(results: dict) -> None:
    expected = {'car': {'coco/precision': 0.1}, 'wine glass': {'coco/precision': 0.2}}
    assert split_by_class(results, CLASSES) == expected


def test_similar_words_are_no_classes() -> None:
    assert split_by_class({'coco/carpet_precision': 0.1, 'scar': 1.0}, CLASSES) == {}


def test_table_grows_with_every_evaluation() -> None:
    table = ClasswiseTable('t.json')
    assert table.add({}, 1) is None
    table.add({'car': {'AP': 0.5}}, 5)
    record = table.add({'car': {'AP': float('nan'), 'AR': 0.25}}, 10)
    assert record is not None
    assert record['columns'] == ['step', 'class', 'AP', 'AR']
    assert record['rows'] == [[5, 'car', 0.5, None], [10, 'car', None, 0.25]]


def test_plots_are_made_from_what_is_offered() -> None:
    class Metric:
        confusion_matrix = np.array([[3, 1], [0, 0]])

    curves = {'pr_curves': {'car': ([0, 1], [1, 0.5])}}
    made = [r['artifact'] for r in plot_records([Metric(), curves, object()], CLASSES, 'val', 7)
            if r['kind'] == 'blob' and r['artifact'].endswith('.png')]  # fmt: skip
    assert [name.split('+')[:3] for name in made] == [
        ['images/val~confusion', 'step', '7'],
        ['images/val~precision_recall', 'step', '7'],
    ]


def test_two_metrics_have_a_slider_each() -> None:
    class Metric:
        classes = ('car',)
        confusion_matrix = np.eye(2)

        def __init__(self, prefix: str) -> None:
            self.prefix = prefix
            self.pr_curves = {'all': ([0, 1], [1, 0])}

    class Empty:
        confusion_matrix = None
        pr_curves: dict = {}

    sources = [Metric('boxes'), Metric('points'), Empty()]
    made = {r['artifact'].partition('+')[0] for r in plot_records(sources, CLASSES, 'val', 7)
            if r['kind'] == 'blob'}  # fmt: skip
    assert made == {
        f'images/val~{prefix}~{name}'
        for prefix in ('boxes', 'points')
        for name in ('confusion', 'precision_recall')
    }


def test_plots_have_content() -> None:
    for image in (draw_confusion(np.eye(3) * 4, CLASSES), draw_pr_curves({'a': ([0, 1], [1, 0])})):
        assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
        assert len(np.unique(image.reshape(-1, 3), axis=0)) > 10
