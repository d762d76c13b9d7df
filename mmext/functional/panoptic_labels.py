"""The id of a segment in a panoptic map.

``label + INSTANCE_OFFSET * instance number``; stuff has number 0, things count from 1, and void
is the number of classes, as in mmdetection.
"""

INSTANCE_OFFSET = 1000
