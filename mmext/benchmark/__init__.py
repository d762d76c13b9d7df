"""Detectors measured side by side, and the speed claims of the house in one form.

One run of ``tools/benchmark.py coco``:

=====================  ===================================================================
``candidates``         what the command line names: configs, checkpoints, built models
``pictures``           the images all models see, and objects on them to train with
``timing``             calls that take turns, on devices that are waited for
``stages``             preprocessing, net and post-processing of one prediction
``inference``          a model in one precision: pictures in, predictions out
``training``           a model in one precision: one optimiser step
``memory``             peak memory, each in a process of its own
``complexity``         parameters and multiply-adds
``accuracy``           what the config's own evaluator says
``machine``            where all this was measured
``measuring``          the run: all of the above for every model, device and precision
``report``             the result as data; never of two runs
``tables``, ``plot``   the result to look at
``mlflow_runs``        the result in MLflow: a run for each model under one parent
``arguments``          the command line
=====================  ===================================================================

The benchmarks of single components (``tools/benchmarks/*.py``) return ``rows``, are run by
``components`` and shown by ``publication``.
"""
