"""The log of a training for programs that show it: TensorBoard's event files, and MLflow.

``log.jsonl`` of the run is always written, and is what a resumed run goes by. These get the same rows as they come. A
resumed run continues the same curves: TensorBoard passes over what a kill left behind, and of MLflow's run, whose id is
kept in ``mlflow.json`` of the run folder, only epochs that it does not know are added.

The libraries are optional extras, named to importlib where they are opened.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from vskd.closed import to_mapping
from vskd.errors import DataError, MissingExtraError
from vskd.writing import write_file
from vskd_training.runs.run import CARD
from vskd_training.settings import Config

#: Where the id of MLflow's run is kept within the run folder.
MLFLOW = "mlflow.json"
#: Most characters of a parameter's value, and parameters in a call, that MLflow takes.
_LONGEST_VALUE, _MOST_PARAMETERS = 6000, 100


class Viewer(Protocol):
    """Gets the rows of a training's log as they come."""

    def start(self, folder: Path, config: Config, first_epoch: int) -> None:
        """Called once before the first epoch; ``first_epoch`` counts those that a resumed run has behind it."""
        ...

    def epoch(self, number: int, row: Mapping[str, float]) -> None:
        """Called after each epoch, 1 for the first."""
        ...

    def finish(self, folder: Path, card: Mapping[str, Any]) -> None:
        """Called when the run card is written."""
        ...


def viewers(*, tensorboard: bool, mlflow: str | None) -> tuple[Viewer, ...]:
    """What a command was asked for.

    Parameters
    ----------
    tensorboard : write event files into the run folder
    mlflow : address of an MLflow store: a folder, ``file:///...``, ``sqlite:///...`` or a server's

    Raises
    ------
    MissingExtraError : the library is not installed
    """
    made: list[Viewer] = []
    if tensorboard:
        _need("tensorboard", "--tensorboard")
        made.append(TensorBoard())
    if mlflow is not None:
        _need("mlflow", "--mlflow")
        made.append(Mlflow(mlflow))
    return tuple(made)


def _need(package: str, option: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise MissingExtraError(package, extra=package, purpose=option)


@dataclass
class TensorBoard:
    """Event files in the run folder: ``tensorboard --logdir runs`` shows every run below it."""

    _writer: Any = None

    def start(self, folder: Path, config: Config, first_epoch: int) -> None:
        library = importlib.import_module("torch.utils.tensorboard")
        purged = first_epoch + 1 if first_epoch else None
        self._writer = library.SummaryWriter(str(folder), purge_step=purged)

    def epoch(self, number: int, row: Mapping[str, float]) -> None:
        for name, value in row.items():
            self._writer.add_scalar(name, value, number)
        self._writer.flush()

    def finish(self, folder: Path, card: Mapping[str, Any]) -> None:
        self._writer.close()


@dataclass
class Mlflow:
    """A run in an MLflow store: the config as parameters, the rows as metrics, the run card as an artifact.

    Attributes
    ----------
    address : of the store
    """

    address: str
    _client: Any = None
    _run: str = ""
    _known: dict[str, int] = field(default_factory=dict)

    def start(self, folder: Path, config: Config, first_epoch: int) -> None:
        # MLflow sends usage data unless it is told not to, and opens a folder as a store only on request.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        library = importlib.import_module("mlflow.tracking")
        address = self.address if ":" in self.address else Path(self.address).resolve().as_uri()
        try:
            self._client = library.MlflowClient(tracking_uri=address)
            self._run = self._resumed(folder, address) if first_epoch else ""
            self._run = self._run or self._started(folder, address, config)
        except Exception as error:  # MLflow's stores raise errors of many libraries
            raise _failed(self.address, error) from error

    def _started(self, folder: Path, address: str, config: Config) -> str:
        entities = importlib.import_module("mlflow.entities")
        found = self._client.get_experiment_by_name("vskd")
        experiment = found.experiment_id if found else self._client.create_experiment("vskd")
        run = str(self._client.create_run(experiment, run_name=folder.name).info.run_id)
        parameters = [entities.Param(key, value[:_LONGEST_VALUE]) for key, value in flat_settings(config).items()]
        for start in range(0, len(parameters), _MOST_PARAMETERS):
            self._client.log_batch(run, params=parameters[start : start + _MOST_PARAMETERS])
        write_file(folder / MLFLOW, (json.dumps({"address": address, "run": run}) + "\n").encode())
        return run

    def _resumed(self, folder: Path, address: str) -> str:
        """The run that an interrupted training began in the same store; empty where there is none."""
        path = folder / MLFLOW
        known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if known.get("address") != address:
            return ""
        run = str(known["run"])
        for name in self._client.get_run(run).data.metrics:
            self._known[name] = max(metric.step for metric in self._client.get_metric_history(run, name))
        return run

    def epoch(self, number: int, row: Mapping[str, float]) -> None:
        try:
            for name, value in row.items():
                if number > self._known.get(name, 0):
                    self._client.log_metric(self._run, name, value, step=number)
        except Exception as error:
            raise _failed(self.address, error) from error

    def finish(self, folder: Path, card: Mapping[str, Any]) -> None:
        try:
            for name, value in _test_metrics(card).items():
                self._client.log_metric(self._run, name, value)
            self._client.set_tag(self._run, "role", card["role"])
            self._client.set_tag(self._run, "weights_sha256", card["weights_sha256"])
            self._client.log_artifact(self._run, str(folder / CARD))
            self._client.set_terminated(self._run)
        except Exception as error:
            raise _failed(self.address, error) from error


def flat_settings(config: Config) -> dict[str, str]:
    """A config as ``section.key`` -> value, as text."""
    return {key: str(value) for key, value in flat(to_mapping(config)).items()}


def flat(mapping: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as ``section.key`` -> value."""
    found: dict[str, Any] = {}
    for key, value in mapping.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found


def _test_metrics(card: Mapping[str, Any]) -> dict[str, float]:
    """Accuracy and macro-F1 on the test subjects; none of a network that was trained on everybody."""
    tested = card["metrics"].get("test", {})
    return {
        f"test_{per}_{score}": tested[per]["all"][score]
        for per in ("recording", "window")
        if per in tested
        for score in ("accuracy", "macro_f1")
    }


def _failed(address: str, error: Exception) -> DataError:
    first = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    return DataError(
        f"the MLflow store {address} takes no log: {first}",
        hint="Give --mlflow a folder or the address of a server that runs; --resume goes on with this run",
    )
