"""Encoders: what stands between the window and the network, inside every exported graph.

``gaf`` draws images, ``raw`` rescales the window; which of them a model has is in its contract.
"""

from __future__ import annotations

from vskd.contract import Contract
from vskd.encoders.gaf import GafEncoder
from vskd.encoders.raw import RawEncoder


def encoder_for(contract: Contract) -> GafEncoder | RawEncoder:
    """The encoder of a contract, in numpy."""
    samples = contract.window.samples
    return RawEncoder(contract.raw, samples) if contract.raw is not None else GafEncoder(contract.image_spec, samples)
