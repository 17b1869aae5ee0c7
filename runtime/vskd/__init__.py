"""vskd on the wrist: a stream of acceleration in, activities out.

Imports numpy and the standard library only, and numpy when the first of the names below is used, so that the command
line answers at once; an engine is loaded when a bundle is opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vskd.errors import VskdError

if TYPE_CHECKING:
    from vskd.bundle import Bundle
    from vskd.classifier import Classifier
    from vskd.contract import Contract
    from vskd.decide import Event

__version__ = "0.1.0"

__all__ = ["Bundle", "Classifier", "Contract", "Event", "VskdError", "__version__"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from vskd import bundle, classifier, contract, decide

    globals().update(
        Bundle=bundle.Bundle, Classifier=classifier.Classifier, Contract=contract.Contract, Event=decide.Event
    )
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
