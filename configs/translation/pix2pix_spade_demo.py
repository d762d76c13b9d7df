"""As `pix2pix_demo.py`, by a generator whose norms are shifted and scaled by the map: SPADE.

Losses, discriminator and steps stay, so that the generators can be compared.
"""

_base_ = '../pix2pix_demo.py'

model = dict(
    generator=dict(
        _delete_=True, type='mmext.SPADEGenerator', in_channels=_base_.channels, width=8, hidden=32
    )
)
