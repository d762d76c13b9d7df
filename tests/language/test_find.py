"""Search by words and by likeness: the vectors, the command, phrases scored by mmdet's metric."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmdet.evaluation.metrics import RefExpMetric
from tiny_words import tiny_detector

from mmext.cli.find import main, place_of
from mmext.demo.panoptic import draw_scene, photograph
from mmext.errors import InputError
from mmext.explain.object_index import IndexWriter, ObjectIndex
from mmext.language.search import Question, phrase_scores, query_vector
from mmext.language.table import TextTable

TABLE = TextTable(('ball', 'tree', 'red', 'green'), np.eye(5, dtype=np.float32)[:4], 'the words')
KINDS = [('ball', 'red'), ('ball', 'green'), ('tree', 'green'), ('ball', 'red'), ('tree', 'red')]


def vectors() -> np.ndarray:
    rng = np.random.default_rng(0)
    noise = 0.05 * rng.standard_normal((len(KINDS), 5))
    made = np.stack([TABLE.phrase(' '.join(kind)) for kind in KINDS]) + noise
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def write_index(folder: Path, with_words: bool = True) -> Path:
    writer = IndexWriter(folder, dict(source='test', detector='x', classes=['ball', 'tree']))
    for image in range(2):
        cv2.imwrite(str(folder.parent / f'{image}.png'), np.full((40, 40, 3), 90 * image, np.uint8))
        rows = range(3) if image == 0 else range(3, 5)
        records = [
            dict(
                image=str(folder.parent / f'{image}.png'), box=[0, 0, 10 + row, 20], of='truth',
                truth=KINDS[row][0], predicted=None, score=None, iou=0.0, error='missed',
            )
            for row in rows
        ]  # fmt: skip
        writer.add(vectors()[list(rows)], records)
    if with_words:
        TABLE.save(folder / 'words.npz')
    return folder


def found(folder: Path) -> list[int]:
    return [record['row'] for record in json.loads((folder / 'found.json').read_text())]


def test_words_and_arithmetic_by_hand() -> None:
    like = np.array([0.6, 0, 0.8, 0, 0], np.float32)
    assert np.allclose(
        query_vector(Question('red ball'), TABLE, None), np.array([1, 0, 1, 0, 0]) / 2**0.5
    )
    turned = query_vector(Question(minus='red', plus='green'), TABLE, like)
    expected = np.array([0.6, 0, -0.2, 1, 0])
    assert np.allclose(turned, expected / np.linalg.norm(expected))
    assert np.allclose(query_vector(Question(), None, like), like)


def test_questions_without_an_answer() -> None:
    with pytest.raises(InputError, match='nothing to look for'):
        query_vector(Question(), TABLE, None)
    with pytest.raises(InputError, match='no words for these vectors'):
        query_vector(Question('ball'), None, None)
    with pytest.raises(InputError, match='no vector for car'):
        query_vector(Question('car'), TABLE, None)
    with pytest.raises(InputError, match='have 5 numbers, those of the objects 3'):
        query_vector(Question(plus='red'), TABLE, np.ones(3))
    with pytest.raises(InputError, match='nothing is left'):
        query_vector(Question('red', minus='red'), TABLE, None)


def test_the_command_on_an_index(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index, out = str(write_index(tmp_path / 'objects.index')), tmp_path / 'out'
    main([index, '--text', 'a red ball', '--top', '2', '--out', str(out)])
    assert sorted(found(out)) == [0, 3]
    assert cv2.imread(str(out / 'found.jpg')) is not None
    main(
        [
            index,
            '--like',
            '0.png:0',
            '--minus',
            'red',
            '--plus',
            'green',
            '--top',
            '1',
            '--out',
            str(out),
        ]
    )
    assert found(out) == [1]
    main([index, '--like', '4', '--top', '9', '--out', str(out)])
    assert len(found(out)) == 4 and 4 not in found(out)
    assert capsys.readouterr().out.count('.png') >= 7


def test_words_that_can_be_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = write_index(tmp_path / 'objects.index'), tmp_path / 'out'
    TextTable(TABLE.names, TABLE.vectors, 'judged', (20.0, -8.0)).save(folder / 'words.npz')
    main([str(folder), '--text', 'green ball', '--top', '9', '--out', str(out)])
    records = json.loads((out / 'found.json').read_text())
    assert records[0]['row'] == 1 and len(records) == 5
    probabilities = [record['probability'] for record in records]
    assert probabilities == sorted(probabilities, reverse=True)
    assert probabilities[0] > 0.9 > 0.1 > probabilities[1]
    odds = 20 * vectors()[1].astype(np.float16).astype(float) @ TABLE.vectors[[0, 3]].T - 8
    assert probabilities[0] == pytest.approx(float((1 / (1 + np.exp(-odds))).prod()), abs=1e-3)
    main([str(folder), '--text', 'ball', '--objects', 'truth', '--top', '1', '--out', str(out)])
    assert '  ball  ' in capsys.readouterr().out
    other = TextTable(('ball',), np.ones((1, 7), np.float32), '', (20.0, -8.0))
    other.save(tmp_path / 'other.npz')
    with pytest.raises(InputError, match='have 5 numbers, those of the words 7'):
        main([str(folder), '--text', 'ball', '--words', str(tmp_path / 'other.npz')])


def test_a_question_about_each_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = str(write_index(tmp_path / 'objects.index'))
    main([index, '--ask', 'how many red balls?', '--out', str(tmp_path / 'out')])
    answers = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert answers == ['1', '1']
    with pytest.raises(InputError, match="'cars' is no class"):
        main([index, '--ask', 'how many cars?', '--out', str(tmp_path / 'out')])


def test_what_cannot_be_found(tmp_path: Path) -> None:
    folder = write_index(tmp_path / 'objects.index', with_words=False)
    index, out = str(folder), str(tmp_path / 'out')
    for arguments, message in {
        (index, '--text', 'ball'): 'no words for these vectors',
        (index,): 'nothing to look for',
        (index, '--like', '9'): 'has 5 objects',
        (index, '--like', '0.png:x'): 'expected IMAGE:N',
        (index, '--like', '1.png:2'): r'1\.png has 2 objects',
        (index, '--like', '0', '--objects', 'predicted'): 'no such object',
        (str(tmp_path), '--text', 'ball'): 'is no index; for pictures name a --checkpoint',
    }.items():
        with pytest.raises(InputError, match=message):
            main([*arguments, '--out', out])
    other = TextTable(('ball',), np.ones((1, 7), np.float32))
    other.save(tmp_path / 'other.npz')
    with pytest.raises(InputError, match='have 5 numbers, those of the words 7'):
        main([index, '--text', 'ball', '--words', str(tmp_path / 'other.npz'), '--out', out])


def test_an_object_by_its_image(tmp_path: Path) -> None:
    index = ObjectIndex(write_index(tmp_path / 'objects.index'))
    assert [place_of('1.png:1', index), place_of('2', index)] == [4, 2]


def test_pictures_that_are_not_indexed_yet(tmp_path: Path) -> None:
    photos, out = tmp_path / 'photos', tmp_path / 'out'
    photos.mkdir()
    for number in range(2):
        image = photograph(draw_scene(0, 'val', number, (64, 64)))
        cv2.imwrite(str(photos / f'{number}.jpg'), image[..., ::-1])
    checkpoint = str(tiny_detector(tmp_path))
    arguments = ['--checkpoint', checkpoint, '--text', 'ball', '--score-thr', '0', '--top', '5']
    main([str(photos), *arguments, '--out', str(out)])
    records = json.loads((out / 'found.json').read_text())
    assert len(records) == 5
    assert [r['cosine'] for r in records] == sorted((r['cosine'] for r in records), reverse=True)
    index = ObjectIndex(out / 'objects.index')
    assert index.width == 8 and index.meta['pictures'] == 2
    again = index.vectors[:].copy()
    main([str(photos), *arguments, '--out', str(out)])  # goes on with the index that is there
    assert np.array_equal(ObjectIndex(out / 'objects.index').vectors[:], again)


def test_phrases_are_scored_by_the_host(tmp_path: Path) -> None:
    """The best box of a phrase, by mmdet's metric of referring expressions."""
    annotations, images, samples = [], [], []
    boxes = np.array([[10.0 * row, 0, 10 * row + 8, 8] for row in range(len(KINDS))])
    wrong = 0
    for number, phrase in enumerate(('green ball', 'green tree', 'red tree')):
        true = [' '.join(kind[::-1]) for kind in KINDS].index(phrase)
        order = np.argsort(-phrase_scores(vectors(), TABLE, phrase))
        wrong += order[0] != true
        images.append(dict(id=number, dataset_name='refcoco', width=60, height=10))
        x, y = boxes[true, :2].tolist()
        annotations.append(dict(id=number, image_id=number, category_id=1, bbox=[x, y, 8.0, 8.0]))
        samples.append((number, boxes[order]))
    path = tmp_path / 'phrases.json'
    path.write_text(
        json.dumps(dict(images=images, annotations=annotations, categories=[dict(id=1)]))
    )
    metric = RefExpMetric(str(path))
    import torch

    for number, ranked in samples:
        scores = torch.linspace(1, 0, len(ranked))
        predicted = dict(bboxes=torch.from_numpy(ranked), scores=scores)
        metric.process({}, [dict(img_id=number, pred_instances=predicted)])
    values = metric.compute_metrics(metric.results)
    assert wrong == 0 and values['refcoco_precision@1'] == 1


def photos_of(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        image = photograph(draw_scene(0, 'val', number, (64, 64)))
        cv2.imwrite(str(folder / name), image[..., ::-1])
    return folder


def test_a_folder_that_has_changed_is_indexed_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, checkpoint = photos_of(tmp_path / 'photos', '1.jpg', '2.jpg'), tiny_detector(tmp_path)
    arguments = ['--checkpoint', str(checkpoint), '--text', 'ball', '--score-thr', '0']

    def indexed(out: str) -> list[str]:
        main([str(photos), *arguments, '--out', str(tmp_path / out)])
        index = ObjectIndex(tmp_path / out / 'objects.index')
        return [Path(record['image']).name for record in index.records]

    assert set(indexed('first')) == {'1.jpg', '2.jpg'}
    photos_of(photos, '0.jpg')  # comes before the others
    (photos / '9.jpg').write_bytes(b'none')
    assert indexed('first') == indexed('second')
    assert set(indexed('first')) == {'0.jpg', '1.jpg', '2.jpg'}
    said = capsys.readouterr().err
    assert '1 of 4 pictures were left out' in said and '9.jpg: cannot be read' in said


def test_what_cannot_be_searched_or_written(tmp_path: Path) -> None:
    clip = cv2.VideoWriter(
        str(tmp_path / 'clip.mp4'), cv2.VideoWriter.fourcc(*'mp4v'), 10, (64, 64)
    )
    clip.write(np.zeros((64, 64, 3), np.uint8))
    clip.release()
    with pytest.raises(InputError, match=r'clip\.mp4: a video; name an image or a folder'):
        main([str(tmp_path / 'clip.mp4'), '--checkpoint', 'x.pth', '--text', 'ball'])
    index = str(write_index(tmp_path / 'objects.index'))
    (tmp_path / 'file').touch()
    with pytest.raises(InputError, match=r'--out .*file: .*file is no folder'):
        main([index, '--text', 'ball', '--out', str(tmp_path / 'file')])
    main([index, '--ask', 'how many balls?', '--out', str(tmp_path / 'file')])  # writes nothing


def test_objects_are_no_ground(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What an object stands on is a word of its vector, too, and perhaps the nearest one."""
    names = ('ball', 'grass', 'red')
    table = TextTable(names, np.eye(3, dtype=np.float32), 'words')
    facts = dict(source='test', detector='x', classes=['ball', 'grass'], things=['ball'])
    writer = IndexWriter(tmp_path / 'objects.index', facts)
    record = dict(image='a.png', box=[0, 0, 9, 9], of='predicted', predicted='ball', score=0.9)
    writer.add(np.array([[0.4, 0.8, 0.4]], np.float32), [record])
    writer.add(np.zeros((0, 3), np.float32), [])
    table.save(tmp_path / 'objects.index' / 'words.npz')
    main([str(tmp_path / 'objects.index'), '--ask', 'how many balls?'])
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert lines == [['1', 'a.png'], ['0', '1 images without objects in the index']]


def test_the_host_says_nothing_of_packages_that_nobody_asked_for(tmp_path: Path) -> None:
    index, out = write_index(tmp_path / 'objects.index'), tmp_path / 'out'
    arguments = [str(index), '--text', 'ball', '--top', '1', '--out', str(out)]
    code = f'from mmext.cli.find import main; main({arguments!r})'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert 'OneDL' not in done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == str(out / 'found.jpg')
