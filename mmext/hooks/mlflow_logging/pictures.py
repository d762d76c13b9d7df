"""A picture of another hook, shown in the run that is being logged."""

from mmengine.runner import Runner

from mmext.drawing.colors import Picture
from mmext.hooks.mlflow_logging.content.images import image_records
from mmext.hooks.mlflow_logging.hook import MLflowHook


def show_picture(runner: Runner, key: str, picture: Picture, step: int) -> bool:
    """Put a picture on a slider of the run, if there is one that is logged.

    Args:
        runner: whose hooks are looked through.
        key: name of the slider; ``/`` groups.
        picture: RGB ``[H, W, 3]``.
        step: global training iterations done.

    Returns:
        Whether there is such a run.
    """
    for hook in runner.hooks:
        if isinstance(hook, MLflowHook) and hook._writer is not None:
            for record in image_records(key, picture, step):
                hook._writer.put(record)
            return True
    return False
