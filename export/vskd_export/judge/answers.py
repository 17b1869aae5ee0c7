"""What every engine of this machine says of every exported model.

All engines run, under the session options that ship, each in a process of its own. Whether the answers are right is the
gate's matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from vskd.bundle import ModelEntry
from vskd.checks.golden import infer_in_subprocess
from vskd.engines import ENGINES, installed_engines
from vskd.errors import EngineError, GateError, MissingExtraError
from vskd_export.quantize.recipes import models_for


class Answers:
    """Logits by engine and model.

    Parameters
    ----------
    models : which were run
    versions : engine -> its version, the most preferred engine first
    logits : (engine, file) -> (n, classes)
    """

    def __init__(
        self,
        models: Sequence[ModelEntry],
        versions: Mapping[str, str],
        logits: Mapping[tuple[str, str], NDArray[np.float32]],
    ) -> None:
        self.models = tuple(models)
        self.versions = versions
        self.logits = logits

    def recorded(self) -> dict[str, NDArray[np.float32]]:
        """File -> logits of the most preferred engine: what a bundle remembers."""
        found: dict[str, NDArray[np.float32]] = {}
        for engine in self.versions:
            for model in models_for(engine, self.models):
                found.setdefault(model.file, self.logits[engine, model.file])
        return found


def run_engines(models: Sequence[ModelEntry], files: Mapping[str, bytes], windows: NDArray[np.float32]) -> Answers:
    """Run windows through every model in every installed engine.

    Parameters
    ----------
    models : which to run
    files : model file -> content
    windows : (n, channels, samples), g

    Raises
    ------
    MissingExtraError : a format has no engine here, so its models could not be checked
    GateError : an engine cannot run a model
    """
    engines = installed_engines()
    for model in models:
        _refuse_unchecked(model, engines)
    versions: dict[str, str] = {}
    logits: dict[tuple[str, str], NDArray[np.float32]] = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        for model in models:
            (folder / model.file).write_bytes(files[model.file])
        for engine in engines:
            chosen = [model.file for model in models_for(engine, models)]
            try:
                answer = infer_in_subprocess(engine, [folder / file for file in chosen], windows)
            except EngineError as error:
                raise GateError(
                    f"an exported model does not run: {error.message}",
                    hint="Nothing was written. Mend or remove that engine, or report this with its version",
                ) from error
            versions[engine] = answer.version
            logits |= {(engine, file): found for file, found in zip(chosen, answer.logits, strict=True)}
    return Answers(models, versions, logits)


def _refuse_unchecked(model: ModelEntry, engines: tuple[str, ...]) -> None:
    able = [kind for kind in ENGINES.values() if kind.format == model.format]
    if not any(ENGINES[name] in able for name in engines):
        raise MissingExtraError(able[0].package, extra=able[0].extra, purpose=f"checking {model.file}")
