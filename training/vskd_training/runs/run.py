"""A run: the folder that training leaves behind.

::

    RUN/
      run.json            the run card: config, versions, data hash, split, contract, metrics, and the folder of the
                          recordings (`root`), which no bundle gets; written last
      model.safetensors   weights; of a forest its trees
      log.jsonl           one line per epoch
      confusion.png       of the test recordings; drawn by `vskd train`
      resume.pt           only while the run is not finished: weights, optimiser, schedule

A folder without ``run.json`` is a run that never finished.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from vskd.bundle import is_bundle
from vskd.bundle_files import RUN_CARD
from vskd.closed import from_mapping, to_mapping
from vskd.contract import Contract
from vskd.errors import DataError
from vskd.untrusted.documents import read_json
from vskd.writing import disk_errors, refuse_unwritable, remove_folder, write_file
from vskd_training.runs.versions import versions
from vskd_training.settings import Config
from vskd_training.settings.presets import RUN_CONFIG as CONFIG
from vskd_training.settings.presets import config_file

CARD = RUN_CARD
WEIGHTS = "model.safetensors"
LOG = "log.jsonl"
RESUME = "resume.pt"

_HINTS = {"forest": "A forest shows whether a network is needed; it is neither exported nor a teacher"}


@dataclass(frozen=True)
class Run:
    """A finished run. It stands for its folder wherever a path is taken.

    Attributes
    ----------
    path : the folder
    card : as written
    config, contract : out of the card
    """

    path: Path
    card: dict[str, Any]
    config: Config
    contract: Contract

    @classmethod
    def open(cls, path: Path, *, role: str | None) -> Run:
        """Open a finished run.

        Parameters
        ----------
        path : the folder
        role : ``teacher``, ``student`` or ``forest``, which it must be; None takes any

        Raises
        ------
        DataError : no run there, not finished, or of the other role
        """
        if not (path / CARD).is_file():
            if (path / CONFIG).is_file():
                finishes = "The command that began it finishes it, with --resume"
                raise DataError(f"{path} never finished: it has no {CARD}", hint=finishes)
            if is_bundle(path):
                raise DataError(
                    f"{path} is a bundle already, and a run is needed",
                    hint="Give the folder of the run that it was exported from",
                )
            made_by = f"`vskd train {role or 'student'} ... --out {path}`"
            raise DataError(f"{path} holds no run: it has no {CARD}", hint=f"{made_by} makes one")
        try:
            card = read_json((path / CARD).read_text(encoding="utf-8"))
            found, config, contract = card["role"], card["config"], card["contract"]
        except (ValueError, KeyError) as error:
            raise DataError(f"{path / CARD} was changed or cut short: {error!r}", hint="Train again") from error
        if role is not None and found != role:
            raise DataError(f"{path} holds a {found}, and a {role} is needed", hint=_HINTS.get(found, ""))
        return cls(path, card, from_mapping(Config, config, where=CARD), Contract.from_mapping(contract))

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        test = self.card.get("metrics", {}).get("test")
        scores = "not tested"
        if test is not None:
            of_all = test["recording"]["all"]
            leaky = " LEAKY" if self.card["data"]["split"]["leaky"] else ""
            scores = f"test accuracy {of_all['accuracy']:.3f} of {of_all['count']} recordings{leaky}"
        return f"<Run {self.path}: {self.card['role']}, {scores}>"

    def root(self) -> Path | None:
        """The folder of the recordings that it was trained on; None where it needed none, or does not remember it.

        Raises
        ------
        DataError : that folder is gone
        """
        root = Path(self.card["root"]) if "root" in self.card else None
        if root and not root.is_dir():
            raise DataError(f"{root}, where the recordings of {self.path} were, is gone", hint="Give --root DIR")
        return root

    def load_weights(self, model: nn.Module) -> None:
        """Load the run's weights into a model built from its config; leaves it in evaluation mode.

        Raises
        ------
        DataError : the file is missing or changed, or does not fit the model
        """
        path, weights = self.path / WEIGHTS, self.weights()
        try:
            model.load_state_dict(weights)
        except RuntimeError as error:
            # torch lists every tensor that does not fit, over many lines; the first one tells enough.
            first = [line.strip() for line in str(error).splitlines() if line.strip()][:2]
            raise DataError(
                f"{path} does not fit the model of its own config: {' '.join(first).rstrip('.')}", hint="Train again"
            ) from error
        model.eval()

    def weights(self) -> dict[str, Tensor]:
        """The run's weights, by name.

        Raises
        ------
        DataError : the file is missing or changed
        """
        path = self.path / WEIGHTS
        if not path.is_file() or file_sha256(path) != self.card["weights_sha256"]:
            raise DataError(f"{path} is missing or was changed since the run finished", hint="Train again")
        try:
            return load_file(path)
        except SafetensorError as error:
            raise DataError(f"{path} holds no weights: {error}", hint="Train again") from error


def root_of(config: str | Path, teachers: Sequence[Run] = ()) -> Path | None:
    """The folder of recordings that a config remembers which is a run's own, or else the first teacher that does.

    Raises
    ------
    ConfigError : there is no such config
    DataError : the folder is gone
    """
    path = config_file(config)
    is_run = path.name == CONFIG and path.with_name(CARD).is_file()
    runs = [Run.open(path.parent, role=None)] if is_run else []
    return next((root for run in (*runs, *teachers) if (root := run.root())), None)


def finish_run(path: Path, *, weights: Mapping[str, Tensor], card: dict[str, Any]) -> None:
    """Write weights and card, the card last, and drop what was kept for resuming."""
    content = save({name: value.contiguous().cpu() for name, value in weights.items()})
    write_file(path / WEIGHTS, content)
    full = {**card, "weights_sha256": hashlib.sha256(content).hexdigest(), "versions": versions()}
    write_file(path / CARD, (json.dumps(full, indent=2, sort_keys=True) + "\n").encode())
    (path / RESUME).unlink(missing_ok=True)


def check_place(path: Path, *, overwrite: bool, resume: bool) -> None:
    """Refuse a place where no run can be started, before anything else is done.

    Raises
    ------
    DataError : a file or another folder is there, or a run and neither ``overwrite`` nor ``resume`` was asked for; the
        place cannot be written to
    """
    if path.exists() and not path.is_dir():
        raise DataError(f"{path} is a file, and a run is a folder", hint="Give another --out")
    # A kill may leave a hidden file of something half written.
    if path.exists() and any(not child.name.startswith(".") for child in path.iterdir()):
        if not (path / CONFIG).is_file():
            raise DataError(f"{path} exists and is no run; it is not touched", hint="Give another --out")
        if not (overwrite or resume):
            raise DataError(f"{path} exists", hint="Give another --out, or --overwrite, or --resume")
    refuse_unwritable(path / CONFIG, DataError)


def start_run(path: Path, *, config: Config, overwrite: bool, resume: bool) -> None:
    """Make the run's folder, or take up the one that is there.

    Raises
    ------
    DataError : as ``check_place``; it was made with another config
    """
    check_place(path, overwrite=overwrite, resume=resume)
    settings = json.dumps(to_mapping(config), indent=2, sort_keys=True) + "\n"
    if overwrite and not resume and path.exists():
        remove_folder(path)
    if resume and (path / CONFIG).is_file() and (path / CONFIG).read_text(encoding="utf-8") != settings:
        hint = "Give its config, or remove that folder to start again (vskd train: --overwrite)"
        raise DataError(f"{path} was started with another config", hint=hint)
    with disk_errors(path, DataError, hint="Give another --out, or make room"):
        path.mkdir(parents=True, exist_ok=True)
        write_file(path / CONFIG, settings.encode())


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
