"""A page about a model: what it finds, how well, how to use it, and what it is not good for."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmext.hooks.mlflow_logging.content.run_note import cell, facts_table, number

_LISTED = 100


def model_card(
    config: Mapping[str, Any], classes: Sequence[str], step: int, results: Mapping[str, float]
) -> str:
    """The page, in Markdown.

    Args:
        config: of the training, free of credentials.
        classes: in the order of the labels.
        step: training iterations of the weights.
        results: of the evaluation of these weights; empty where there was none.
    """
    kind = str(config['model']['type']).rpartition('.')[2]
    listed = ', '.join(f'`{name}`' for name in classes[:_LISTED])
    more = f' and {len(classes) - _LISTED} more' if len(classes) > _LISTED else ''
    if results:
        table = ['| on the validation data | |', '|---|---:|']
        table += [f'| {cell(name)} | {number(value)} |' for name, value in results.items()]
    else:
        table = ['These weights were not evaluated in the training that they come from.']
    return '\n'.join(
        [
            f'# {kind}',
            '',
            f'A detector with {len(classes)} classes, after {step:,} training iterations: '
            f'{listed}{more}.',
            '',
            '## How well',
            '',
            *table,
            '',
            '## Made from',
            '',
            *facts_table(config),
            '',
            '## How to use it',
            '',
            'URI is `models:/...`, as the page of the model says:',
            '',
            '```python',
            'import mmext',
            "result = mmext.load('URI')('photo.jpg')   # a table, a drawing, arrays, COCO records",
            '```',
            '```bash',
            'mlflow models serve --env-manager local -m URI',
            '```',
            '',
            '## What it is not good for',
            '',
            'Nothing is known of photos that differ from the training data in camera, place, '
            'light or size of the objects: measure before relying on it. Scores are no '
            'probabilities unless they were calibrated.',
            '',
        ]
    )
