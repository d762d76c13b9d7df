"""The methods by name: which question each answers, and which maps to distrust."""

import difflib
from typing import NamedTuple

from mmext.errors import InputError


class Method(NamedTuple):
    """One way to explain a detection.

    Attributes:
        kind: 'layer' (gradient and activation), 'input' (gradient at the pixels), 'path' and
            'noise' (many gradients), 'channels' (a prediction for each of a layer), 'masks' (many
            predictions), 'segments', 'readout' (what the network holds already), 'summary' (of the
            layer, the same for every detection).
        answers: the question, in words.
        distrust: why not to believe it; '' if nothing is known against it.
    """

    kind: str
    answers: str
    distrust: str = ''

    @property
    def needs_gradient(self) -> bool:
        """Whether the detector has to be differentiable."""
        return self.kind in ('layer', 'input', 'path', 'noise')


METHODS = {
    'odam': Method('layer', 'which places of the features carry the score (HiResCAM, ODAM)'),
    'layercam': Method('layer', 'the same by positive gradients alone'),
    'gradcam': Method(
        'layer',
        'which channels carry the score, and where these are active',
        'averages gradients over the image: near random on detectors',
    ),
    'gradcam++': Method('layer', 'as gradcam', 'as gradcam; only behind a ReLU: --layer backbone'),
    'xgradcam': Method('layer', 'as gradcam', 'as gradcam; only behind a ReLU: --layer backbone'),
    'eigencam': Method(
        'summary',
        'what the layer mostly holds',
        'the same map for every detection: no explanation of any',
    ),
    'ablationcam': Method('channels', 'which channels the score needs, and where these are active'),
    'scorecam': Method(
        'channels',
        'which channels show the detector what it scores',
        'scores of 0 to 1 weigh channels by a factor of e at most: near their sum',
    ),
    'cam': Method('readout', 'where a dense head sees the class (its map of probabilities)'),
    'attention': Method(
        'readout', 'where the query of a decoder looks', 'an activation, not an attribution'
    ),
    'saliency': Method('input', 'which pixels the score is most sensitive to', 'noisy'),
    'inputxgrad': Method(
        'input', 'what each pixel adds, to first order', 'blind for pixels of mean color'
    ),
    'smoothgrad': Method('noise', 'saliency, averaged over noise'),
    'ig': Method('path', 'what each pixel adds on the way from the mean color to the picture'),
    'removal': Method('path', 'in which order to cover the picture so that the score goes soonest'),
    'gradientshap': Method('noise', 'as ig, averaged over noise'),
    'occlusion': Method('masks', 'what the score loses where a patch lies'),
    'rise': Method('masks', 'what each place does to the score (D-RISE, as covariance)'),
    'rise-features': Method(
        'masks',
        'the same for what the heads see, many times faster',
        'the features have mixed the surroundings already',
    ),
    'segments': Method('segments', 'which segments of the panoptic map the score hangs on'),
    'shapley': Method('segments', 'the same, shared out fairly: adds up to the score'),
}
FALLBACK = 'rise'


def find_method(name: str) -> Method:
    """The method of a name.

    Raises:
        InputError: there is none; the message has those that are like it.
    """
    if name not in METHODS:
        near = difflib.get_close_matches(name, METHODS, n=3) or list(METHODS)
        raise InputError(f'there is no method {name!r}; there is {", ".join(near)}')
    return METHODS[name]
