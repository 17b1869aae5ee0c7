"""Types of the public names; what runs is in the module beside it."""

from vskd.bundle import Bundle as Bundle
from vskd.classifier import Classifier as Classifier
from vskd.contract import Contract as Contract
from vskd.decide import Event as Event
from vskd.errors import VskdError as VskdError
from vskd_export.python import export as export
from vskd_training.commands.python import evaluate as evaluate
from vskd_training.commands.python import train as train

__version__: str
__all__ = ["Bundle", "Classifier", "Contract", "Event", "VskdError", "__version__", "evaluate", "export", "train"]
