"""vskd on the wrist: a stream of acceleration in, activities out.

Imports numpy and the standard library only; an engine is loaded when a bundle is opened.
"""

from vskd.bundle import Bundle
from vskd.classifier import Classifier
from vskd.contract import Contract
from vskd.decide import Event
from vskd.errors import VskdError

__version__ = "0.1.0"

__all__ = ["Bundle", "Classifier", "Contract", "Event", "VskdError", "__version__"]
