"""Packages that mmdet wants for a few parts: not loaded by its import, there when one is used."""

import json
import subprocess
import sys

import pytest

from mmext.host_repairs.late_packages import LateName, late_packages

PARTS = """
import json, sys
import numpy as np
from mmext.host import import_mmdet
import_mmdet()
heavy = ('imagecorruptions', 'imgaug', 'numba', 'scipy.interpolate', 'scipy.stats', 'sklearn')
early = [name for name in heavy if name in sys.modules]

from mmdet.models.task_modules.tracking import interpolation
frames = np.arange(8.0)
track = np.column_stack([frames, frames * 0 + 1, *(frames**2 + side for side in range(4)), frames])
smoothed = interpolation.InterpolateTracklets().gaussian_smoothed_interpolation(track)
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF
length = np.clip(10 * np.log(10**3 / 8), 10**-1, 10**2)
process = GaussianProcessRegressor(RBF(length, 'fixed')).fit(frames[:, None], track[:, 2:3])
same_track = bool(np.allclose(smoothed[:, 2], process.predict(frames[:, None])))

from mmdet.datasets.transforms import generate_line
lanes = generate_line.LinesToArray()
found = np.hstack(lanes.sample_lane(((400, 310), (380, 200), (370, 90)), lanes.offsets_ys))
from scipy.interpolate import InterpolatedUnivariateSpline
between = lanes.offsets_ys[(lanes.offsets_ys >= 90) & (lanes.offsets_ys <= 310)]
spline = InterpolatedUnivariateSpline([90, 200, 310], [370, 380, 400], k=2)(between)
same_lane = bool(np.allclose(found[-len(between):], spline))
pictures = generate_line.ImageAug([
    dict(name='Resize', p=1, parameters=dict(size=dict(height=16, width=24))),
    dict(name='OneOf', p=1, transforms=[dict(name='Fliplr', parameters=dict(p=1.0))]),
])
picture = np.arange(16 * 24 * 3, dtype=np.uint8).reshape(16, 24, 3)
flipped = pictures(dict(img=picture))['img']
print(json.dumps(dict(
    early=early, same_track=same_track, same_lane=same_lane,
    flipped=bool((flipped == picture[:, ::-1]).all()), late='imgaug' in sys.modules,
)))
"""


def test_parts_that_need_them_do_as_ever() -> None:
    done = subprocess.run(
        [sys.executable, '-c', PARTS], capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stderr
    wanted = dict(early=[], same_track=True, same_lane=True, flipped=True, late=True)
    assert json.loads(done.stdout.splitlines()[-1]) == wanted


def statements(importer: str, text: str) -> dict[str, object]:
    """The names of a module of that name after its import statements."""
    names: dict[str, object] = {'__name__': importer}
    with late_packages('host'):
        exec(text, names)
    return names


def test_only_the_importer_gets_late_names() -> None:
    text = 'import sklearn.mixture as skm; from scipy.optimize import brentq; import scipy.linalg'
    names = statements('host.part', text)
    assert isinstance(names['skm'], LateName) and isinstance(names['brentq'], LateName)
    assert not isinstance(names['scipy'], LateName)  # of which only modules named are late
    assert 'sklearn.mixture,' in repr(names['skm'])
    names = statements('hostile', 'from scipy.optimize import brentq')
    assert not isinstance(names['brentq'], LateName)


def test_a_name_is_called_with_what_it_is_given() -> None:
    brentq = LateName('scipy.optimize').brentq
    assert brentq(lambda x: x - 3, 0, b=5) == pytest.approx(3)
    with pytest.raises(AttributeError, match='nonsense'):
        LateName('scipy').optimize.nonsense()


def test_what_is_not_installed_is_missed_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('mmext.host_repairs.late_packages.LATE', ('no_such_package',))
    with pytest.raises(ModuleNotFoundError, match='no_such_package'):
        statements('host.part', 'from no_such_package import anything')
    statements('host.part', 'import json')  # and imports are as they were
    assert __import__('builtins').__import__.__name__ == '__import__'
