"""Data sets got ready: checked, downloaded, cut down, converted.

``data_sets`` is the table of what ``tools/prepare_data.py`` knows: a new data set adds a line
there and a module with ``add_arguments(parser)`` and ``run(arguments)``.
"""
