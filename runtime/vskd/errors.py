"""The errors that vskd raises on purpose.

::

    VskdError                 anything a user can fix; printed with its hint, exit code 1
    ├── ConfigError           an unknown key, value, data set, protocol, recipe
    ├── DataError             a file or folder of recordings is missing or broken
    ├── SignalError           a window cannot be encoded: shape, NaN, infinity
    ├── StreamError           samples contradict the contract: unit, order, shape
    ├── ContractError         the contract does not fit this use
    ├── UseError              two callers in one object at the same time, or a call after it was closed
    ├── BundleError           a bundle is missing, incomplete or was changed
    ├── ProfileError          a wearer's profile is damaged, full or of another bundle; a recording is no example
    ├── EngineError           an engine cannot load or run a model
    │   └── MissingExtraError something is not installed; names the extra that holds it
    └── GateError             an exported model does not do what the trained one does

This module knows nothing of the rest of the package.
"""

from __future__ import annotations

from collections.abc import Iterable


class VskdError(Exception):
    """Something that the user can fix.

    Parameters
    ----------
    message : what happened, with the value and the limit
    hint : the way out, a sentence of its own; empty when the message contains it
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}" if self.hint else self.message


class ConfigError(VskdError):
    """A setting that does not exist or cannot have this value."""


class DataError(VskdError):
    """A recording, or a folder of them, is missing or broken."""


class SignalError(VskdError):
    """A window that cannot be encoded."""


class StreamError(VskdError):
    """Samples that contradict the contract."""


class ContractError(VskdError):
    """A contract that does not fit this use."""


class UseError(VskdError):
    """An object that two callers use at the same time, or that was closed."""


class BundleError(VskdError):
    """A bundle that is missing, incomplete or was changed."""


class ProfileError(VskdError):
    """A wearer's profile that is damaged, full or of another bundle, or a recording that cannot be an example."""


class EngineError(VskdError):
    """An engine that cannot load or run a model."""


class MissingExtraError(EngineError):
    """Something needed is not installed.

    Parameters
    ----------
    package : the import name that failed
    extra : the extra of vskd that installs it
    purpose : what it was needed for
    """

    def __init__(self, package: str, *, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package}, which is not installed", hint=f"pip install 'vskd[{extra}]'")
        self.package = package
        self.extra = extra


class GateError(VskdError):
    """An exported model that does not do what the trained one does."""


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """A hint for a name that does not exist: the nearest one and all of them.

    Parameters
    ----------
    wrong : the name as given
    known : the names that exist
    """
    names = sorted(known)
    near = nearest(wrong, names)
    guess = f"Did you mean {near!r}? " if near else ""
    return f"{guess}Known: {', '.join(names)}"


def nearest(wrong: str, known: Iterable[str], *, likeness: float = 0.6) -> str:
    """The known name that a wrong one is most like; empty where none is so much like it.

    Parameters
    ----------
    wrong : the name as given
    known : the names that exist
    likeness : the least, from 0 to 1, as of ``difflib``
    """
    import difflib  # slow to import, and needed only to complain

    return next(iter(difflib.get_close_matches(wrong, known, n=1, cutoff=likeness)), "")
