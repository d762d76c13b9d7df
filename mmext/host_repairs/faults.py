"""The faults of the host's code that are mended when our programs import it.

A repair stays for the life of the process: nothing of the host works better without it. Each
one first asks whether the fault is there, so a host that has mended it is left alone.
"""

from functools import cache

from mmext.host_repairs import (
    checkpoint_reading,
    checkpoint_writing,
    config_text,
    mask_pasting,
    proposal_recalls,
    ssd_head,
)

_PARTS = (
    checkpoint_reading,
    checkpoint_writing,
    config_text,
    mask_pasting,
    proposal_recalls,
    ssd_head,
)


@cache
def repair_host() -> None:
    """Mend what is broken in the installed mmdet; call it after the import of mmdet."""
    for part in _PARTS:
        part.repair()
