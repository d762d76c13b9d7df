"""What is of the command line: arguments, launchers, and the programs that are more than a script.

==========================  ==================================================================
``arguments``               the command-line flags that several programs have
``benchmark_arguments``     those of ``tools/benchmark.py coco``
``installation``            what is installed, and what is missing for what
``own_data``                a config for a detector on one's own COCO files
``own_folds``               one COCO file as k pairs of files
``sweep_plan``              from the command line of ``mmext sweep`` to what it does
``terminal``                what a person at a terminal reads of a run
``launch``                  torchrun, SLURM and MPI, on GPUs and (gloo) on CPUs
``panoptic_evaluation``     PQ of result files, side by side
``video_evaluation``        VPQ of a folder of predictions
``training_progress_hook``  the bar of ``tools/demo.py``
``prepare``                 data sets checked, downloaded, cut down, converted (a package)
==========================  ==================================================================

What programs share with libraries lies below: ``mmext.inference``, ``mmext.benchmark``,
``mmext.errors``, ``mmext.configuration``, ``mmext.progress``.
"""

import os

# Before torch is imported. OpenMP threads spin while they wait, which beside other work costs more
# than it gains. A short spin: an iteration of the demo on two cores takes 1.14 of the time of full
# spinning when they are idle, 0.73 beside two busy processes. 1000 is what libgomp itself takes
# when a program has more threads than cores.
if 'OMP_WAIT_POLICY' not in os.environ:
    os.environ.setdefault('GOMP_SPINCOUNT', '1000')
