"""Every exported model in every engine of this machine that runs its format.

Engines run under the session options that ship, each in a process of its own. Whether logits and embeddings are right
is the gate's matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from vskd.bundle import ModelEntry
from vskd.engines import ENGINES, installed_engines
from vskd.engines.process import Answer, infer_in_subprocess
from vskd.errors import EngineError, GateError, MissingExtraError

#: Values for a window: a variant gives an image, of six channels and 1,024 pixels at most.
_MOST_VALUES = 6 * 2**20


@dataclass(frozen=True)
class EngineRun:
    """One model in one engine.

    Attributes
    ----------
    engine : with its version
    model : which was run
    logits, embeddings : (n, classes) and (n, features), of the windows
    example_embeddings : (k, features), of the examples
    """

    engine: str
    version: str
    model: ModelEntry
    logits: NDArray[np.float32]
    embeddings: NDArray[np.float32]
    example_embeddings: NDArray[np.float32]

    @property
    def where(self) -> str:
        """The engine with its version, for a message."""
        return f"{self.engine} {self.version}"


def run_engines(
    models: Sequence[ModelEntry],
    files: Mapping[str, bytes],
    windows: NDArray[np.float32],
    examples: NDArray[np.float32],
) -> tuple[EngineRun, ...]:
    """Run windows through every model in every installed engine, the most preferred engine first.

    Parameters
    ----------
    models : which to run
    files : model file -> content
    windows, examples : (n, channels, samples) and (k, channels, samples), g

    Raises
    ------
    MissingExtraError : a format has no engine here, so its models could not be checked
    GateError : an engine cannot run a model
    """
    engines = installed_engines()
    for model in models:
        _refuse_unchecked(model, engines)
    runs: list[EngineRun] = []
    count, everything = len(windows), np.concatenate([windows, examples])
    for engine in engines:
        chosen = [model for model in models if model.format == ENGINES[engine].format]
        try:
            answer = infer_files(
                engine, {model.file: files[model.file] for model in chosen}, everything, embeddings=True
            )
        except EngineError as error:
            raise GateError(
                f"an exported model does not run: {error.message}",
                hint="Nothing was written. Repair or remove that engine, or report this with its version",
            ) from error
        runs += [
            EngineRun(engine, answer.version, model, logits[:count], embeddings[:count], embeddings[count:])
            for model, logits, embeddings in zip(chosen, answer.logits, answer.embeddings, strict=True)
        ]
    return tuple(runs)


def infer_files(
    engine: str, files: Mapping[str, bytes], windows: NDArray[np.float32], *, embeddings: bool = False
) -> Answer:
    """Run model files (name -> content) that are not written yet in an engine, in a process of its own."""
    with TemporaryDirectory() as folder:
        paths = [Path(folder, Path(file).name) for file in files]
        for path, content in zip(paths, files.values(), strict=True):
            path.write_bytes(content)
        return infer_in_subprocess(engine, paths, windows, most_values=_MOST_VALUES, embeddings=embeddings)


def recorded_runs(runs: Sequence[EngineRun]) -> dict[str, EngineRun]:
    """File -> the run in the most preferred engine that ran it, whose answers the bundle keeps."""
    return {run.model.file: run for run in reversed(runs)}


def _refuse_unchecked(model: ModelEntry, engines: tuple[str, ...]) -> None:
    able = [kind for kind in ENGINES.values() if kind.format == model.format]
    if not any(ENGINES[name] in able for name in engines):
        raise MissingExtraError(able[0].package, extra=able[0].extra, purpose=f"checking {model.file}")
