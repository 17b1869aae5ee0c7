"""vskd on the wrist: a stream of acceleration in, activities out.

Imports numpy and the standard library only, and numpy when the first of the names below is used, so that the command
line answers at once; an engine is loaded when a bundle is opened. ``train``, ``evaluate`` and ``export`` are entry
points of the group ``vskd.python``, where the other packages register them: the runtime never imports upward. The stub
beside this file has their types.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from vskd.errors import VskdError

__version__ = "0.1.0"

__all__ = ["Bundle", "Classifier", "Contract", "Event", "VskdError", "__version__", "evaluate", "export", "train"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in ("evaluate", "export", "train"):
        globals()[name] = _entry_point(name)
        return globals()[name]
    from vskd import bundle, classifier, contract, decide

    globals().update(
        Bundle=bundle.Bundle, Classifier=classifier.Classifier, Contract=contract.Contract, Event=decide.Event
    )
    return globals()[name]


def _entry_point(name: str) -> Callable[..., Any]:
    """A function of another package, whose missing libraries are told with the extra that installs them."""
    from importlib.metadata import entry_points

    entry = next(iter(entry_points(group="vskd.python", name=name)), None)
    if entry is None:
        raise AttributeError(f"vskd.{name} is not installed with this runtime: pip install 'vskd[export]'")
    function: Callable[..., Any] = entry.load()

    @wraps(function)
    def call(*words: Any, **options: Any) -> Any:
        try:
            return function(*words, **options)
        except ModuleNotFoundError as error:
            from vskd.cli import missing_extra

            raise missing_extra(error, purpose=f"vskd.{name}") from error

    return call


def __dir__() -> list[str]:
    return list(__all__)
