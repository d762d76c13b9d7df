"""What the programs in ``tools/`` share: configs, early checks, inference, drawing, progress.

======================  ==================================================================
``errors``              :class:`UserError`, and :func:`run_tool`: one clear line, exit code 2
``arguments``           the command-line flags that several programs have
``configuration``       a config file plus the flags: what the runner is built from
``launch``              torchrun, SLURM and MPI, on GPUs and (gloo) on CPUs
``data_checks``         are the files of the data sets there?
``checkpoints``         do the weights exist, load, and belong to the model?
``host``                mmdet, imported quietly
``prediction``          a trained model applied to images
``media``               image files, folders, videos and cameras as one stream of frames
``drawing``             panoptic maps, boxes and masks on pictures (numpy and cv2 only)
``drawing_points``      keypoints, meshes and attributes on pictures
``drawing_hook``        pictures of a test run
``coco_results``        predictions in COCO's file formats
``video_evaluation``    VPQ of a folder of predictions
``progress``            a bar with speed and time left
``memory``              what the process holds, for the benchmarks
``benchmark``           detectors side by side, and the speed claims of the house (a package)
``prepare``             data sets checked, downloaded, cut down, converted (a package)
======================  ==================================================================
"""

import os

# Before torch is imported. OpenMP threads spin while they wait, which beside other work costs more
# than it gains. A short spin: an iteration of the demo on two cores takes 1.14 of the time of full
# spinning when they are idle, 0.73 beside two busy processes. 1000 is what libgomp itself takes
# when a program has more threads than cores.
if 'OMP_WAIT_POLICY' not in os.environ:
    os.environ.setdefault('GOMP_SPINCOUNT', '1000')
