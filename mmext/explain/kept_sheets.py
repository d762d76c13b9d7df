"""Sheets of an evaluation, where people find them: beside the log, and on a slider of the run."""

from pathlib import Path

from mmengine.runner import Runner

from mmext.drawing.colors import Picture


def keep_sheet(runner: Runner, folder: str, name: str, key: str, sheet: Picture) -> None:
    """Write a sheet as a JPEG, and show it in the run that is being logged, if there is one.

    Args:
        runner: of the training; its step is part of the file's name.
        folder: below ``<work_dir>/<time>``.
        name: of the file, without the step and the suffix.
        key: of the slider.
        sheet: RGB ``[H, W, 3]``.
    """
    from mmext.explain.sheets import jpeg
    from mmext.hooks.mlflow_logging.pictures import show_picture

    step = int(runner.iter)
    place = Path(runner.log_dir, folder)
    place.mkdir(parents=True, exist_ok=True)
    (place / f'val_{step:06d}_{name}.jpg').write_bytes(jpeg(sheet))
    show_picture(runner, key, sheet, step)
