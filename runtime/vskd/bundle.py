"""The bundle: a self-describing folder of models, contract, golden vectors, report, and a hash of each file.

``vskd.bundle_files`` names its files; ``schemas/`` holds the JSON Schema of manifest and contract. There is no date
inside: writing the same content twice gives the same bytes. What is used is checked first: opening checks the contract,
every file's presence and size, and that nothing else is there; taking a model checks that model and that the contract
inside it is the bundle's; ``check`` checks every hash.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path, PurePosixPath

from vskd.bundle_files import CONTRACT, MANIFEST, RUN_CARD, SIGNATURE
from vskd.closed import to_mapping
from vskd.contract import Contract
from vskd.engines import (
    ENGINES,
    OWN_ENGINE,
    Engine,
    engine_kind,
    installed_engines,
    is_installed,
    missing_engine,
    open_engine,
)
from vskd.errors import BundleError, ConfigError, ContractError, did_you_mean
from vskd.manifest import (
    RECIPE_ALIASES,
    SCHEMA_VERSION,
    FileEntry,
    GraphEntry,
    Manifest,
    ModelEntry,
    check_name,
    read_manifest,
)
from vskd.model_contract import contract_problem
from vskd.untrusted.text import shown
from vskd.writing import disk_errors, recover, refuse_replacing, write_folder

__all__ = ["Bundle", "FileEntry", "GraphEntry", "ModelEntry", "refuse_existing", "write_bundle"]

#: A device wants the small model; ``fp32`` is there to compare with.
RECIPE_PREFERENCE = ("w8a8-static-pc", "w8a8s-static-pc", "fp32")

#: The manifests and contracts that vskd writes have some kB.
LARGEST_MANIFEST_BYTES = 2**20


class Bundle:
    """An opened bundle.

    Attributes
    ----------
    path : the folder
    contract : what the models expect
    models : the model files
    files : every file but the manifest, with hash and size
    graphs : format's version and operators of the model files, where the exporter wrote them
    degraded : a sentence for every limit that the exporter broke knowingly; empty for a sound bundle
    """

    def __init__(self, path: Path, contract: Contract, manifest: Manifest) -> None:
        self.path = path
        self.contract = contract
        self.models = manifest.models
        self.files: Mapping[str, FileEntry] = manifest.files
        self.graphs: Mapping[str, GraphEntry] = manifest.graphs
        self.degraded = manifest.degraded

    def __repr__(self) -> str:
        models = ", ".join(model.file for model in self.models)
        return (
            f"<Bundle {self.path}: {len(self.contract.labels)} activities, {models}{' DEGRADED' * bool(self.degraded)}>"
        )

    @classmethod
    def open(cls, path: str | PathLike[str]) -> Bundle:
        """Open a bundle; checks the manifest, the contract, and that every file is there with its size.

        Parameters
        ----------
        path : of the folder, or of the manifest in it

        Raises
        ------
        BundleError : no bundle there, or not the one that was written
        """
        folder = Path(path)
        if folder.name == MANIFEST:  # as a file manager or a shell's completion gives it
            folder = folder.parent
        try:
            return cls._open(folder)
        except OSError as error:
            raise BundleError(
                f"cannot read {folder}: {error}", hint="Check its permissions, or copy it again"
            ) from error

    @classmethod
    def _open(cls, folder: Path) -> Bundle:
        manifest = _manifest_of(folder)
        files = manifest.files
        for needed in (CONTRACT, *(model.file for model in manifest.models), *manifest.graphs):
            if needed not in files:
                raise BundleError(f"{folder / MANIFEST} does not list {needed}", hint="Export the run again")
        _check_folder(folder, files)
        if (size := files[CONTRACT].size_bytes) > LARGEST_MANIFEST_BYTES:
            raise BundleError(
                f"{folder / CONTRACT} has {size} bytes, more than any contract", hint="Export the run again"
            )
        contract = _contract_of(folder / CONTRACT, _read_checked(folder / CONTRACT, files[CONTRACT]))
        return cls(folder, contract, manifest)

    @property
    def name(self) -> str:
        """Of the folder, as it may be shown and written anywhere."""
        return shown(self.path.resolve().name)

    @property
    def is_signed(self) -> bool:
        """Whether a signature lies there; ``vskd.transport.signature`` says whose, and whether it holds."""
        return (self.path / SIGNATURE).is_file()

    def refuse_within(self, place: Path) -> None:
        """Refuse a place to write to that lies in the bundle: with one more file it could not be opened any more.

        Raises
        ------
        BundleError
        """
        if Path(os.path.realpath(place)).is_relative_to(os.path.realpath(self.path)):
            raise BundleError(f"{place} lies in the bundle {self.path}", hint="Give a place outside of it")

    def check(self) -> None:
        """Check the hash of every file, and that nothing else is there.

        Raises
        ------
        BundleError : a changed, missing or additional file; names the first
        """
        _check_folder(self.path, self.files)
        for name, entry in self.files.items():
            _check_hash(self.path / name, entry)

    def read(self, name: str) -> bytes:
        """The content of a file of the bundle, whose hash is that of the manifest.

        Raises
        ------
        BundleError : not in the bundle, or changed
        """
        return _read_checked(self.path / name, self._entry(name))

    def read_text(self, name: str) -> str:
        """The same as text; errors as of ``read``, and for what is no UTF-8."""
        try:
            return self.read(name).decode("utf-8")
        except UnicodeDecodeError as error:
            raise BundleError(f"{self.path / name} is not text: {error}", hint="Export the run again") from error

    def checked_path(self, name: str) -> Path:
        """Path of a file of the bundle, after checking its hash; errors as of ``read``."""
        _check_hash(self.path / name, self._entry(name))
        return self.path / name

    def model_path(self, entry: ModelEntry) -> Path:
        """Path of a model file, after checking its hash, and that the contract inside it is the bundle's.

        Raises
        ------
        BundleError : the file was changed, takes values out of other files, or belongs to another contract
        """
        if problem := self.model_problem(entry):
            raise BundleError(problem, hint="The bundle was put together from several; export the run again")
        return self.path / entry.file

    def load(self, engine: str, entry: ModelEntry, *, threads: int = 1) -> Engine:
        """A model, ready to run; what would take the process down is found in a child process first.

        Parameters
        ----------
        engine : as in ``vskd.engines.ENGINE_NAMES``
        entry : of ``models``
        threads : computing threads

        Raises
        ------
        BundleError : as of ``model_path``
        MissingExtraError : the engine is not installed
        EngineError : the engine cannot load or run the file
        """
        path = self.model_path(entry)
        if is_installed(engine):
            from vskd.engines.trial import try_once  # numpy is slow to import

            try_once(
                engine, path, sha256=self.files[entry.file].sha256, window_shape=self.contract.window_shape,
                classes=len(self.contract.labels), features=entry.embedding_size,
            )  # fmt: skip
        return open_engine(engine, path, threads=threads)

    def model_problem(self, entry: ModelEntry) -> str:
        """One sentence if a model file, whose hash is checked first, does not belong to this contract; else empty."""
        return contract_problem(self.read(entry.file), entry.format, self.contract, name=entry.file)

    def _entry(self, name: str) -> FileEntry:
        if name not in self.files:
            raise BundleError(f"{self.path} holds no {name}", hint=did_you_mean(name, self.files))
        return self.files[name]

    def select(self, *, engine: str | None = None, recipe: str | None = None) -> tuple[str, ModelEntry]:
        """The engine and model to run: what the user names, else the first that bundle and installation allow.

        Parameters
        ----------
        engine : as in ``vskd.engines.ENGINE_NAMES``; None takes the first installed one that has a model here, and else
            vskd's own, which is slow, for the int8 model
        recipe : of the model, or ``int8`` for ``w8a8-static-pc``; None takes the most compact that the engine has here

        Returns
        -------
        (engine name, model)

        Raises
        ------
        ConfigError : the bundle has no such model
        MissingExtraError : no engine for the bundle's models is installed
        """
        recipe = recipe and RECIPE_ALIASES.get(recipe, recipe)
        engines = [engine] if engine else list(installed_engines())
        for name in engines:
            model_format = engine_kind(name).format
            offered = {entry.recipe: entry for entry in self.models if entry.format == model_format}
            for choice in [recipe] if recipe else [*RECIPE_PREFERENCE, *offered]:
                if choice in offered:
                    return name, offered[choice]
        if engine is None and recipe in (None, RECIPE_ALIASES["int8"]) and (own := self.integer_models()):
            return OWN_ENGINE, own[0]
        if not engines:
            raise missing_engine(None, purpose="running this bundle")
        raise ConfigError(
            f"{self.path.name} has no model of recipe {recipe or 'any'} for {' or '.join(engines)}",
            hint="It holds: " + ", ".join(f"{entry.file}" for entry in self.models),
        )

    def integer_models(self) -> list[ModelEntry]:
        """The models that vskd's own engine and the ports are made for: int8, for TensorFlow Lite."""
        return [one for one in self.models if (one.format, one.recipe) == ("tflite", RECIPE_ALIASES["int8"])]

    def runnable(self) -> tuple[tuple[str, ModelEntry], ...]:
        """Every pair of installed engine and model that it runs."""
        installed = set(installed_engines())
        return tuple(
            (name, entry)
            for name, kind in ENGINES.items()
            if name in installed
            for entry in self.models
            if entry.format == kind.format
        )

    def sha256(self) -> str:
        """The bundle's identity: the hash of its manifest, which holds the hash of everything else."""
        return hashlib.sha256((self.path / MANIFEST).read_bytes()).hexdigest()


def write_bundle(
    out: str | Path,
    *,
    contract: Contract,
    models: Sequence[ModelEntry],
    files: Mapping[str, bytes],
    graphs: Mapping[str, GraphEntry] | None = None,
    degraded: Sequence[str] = (),
    overwrite: bool = False,
) -> Path:
    """Write a bundle, whole or not at all.

    Parameters
    ----------
    out : the folder to make, e.g. ``wrist.bundle``
    contract : goes into ``contract.json``
    models : which of ``files`` are models
    files : name within the bundle (with ``/``) -> content
    graphs : model file -> what it needs of an engine
    degraded : a sentence for every limit that is knowingly broken
    overwrite : replace a bundle that is there

    Returns
    -------
    the folder

    Raises
    ------
    BundleError : the folder exists, or cannot be written
    """
    folder = Path(out)
    refuse_existing(folder, overwrite=overwrite)
    content = _content(files, models, contract)
    entries = {name: FileEntry.of(data) for name, data in content.items()}
    manifest = Manifest(SCHEMA_VERSION, tuple(models), entries, dict(graphs or {}), tuple(degraded))
    content[MANIFEST] = (json.dumps(to_mapping(manifest), indent=2, sort_keys=True) + "\n").encode()
    with disk_errors(folder, BundleError, hint="Nothing was left behind"):
        write_folder(folder, content, replace=overwrite)
    return folder


def _content(files: Mapping[str, bytes], models: Sequence[ModelEntry], contract: Contract) -> dict[str, bytes]:
    """Every file but the manifest, after checking the names."""
    for name in map(check_name, files):
        if name in (MANIFEST, CONTRACT, SIGNATURE):
            raise BundleError(f"{name} is written by vskd itself", hint="Give the file another name")
    for entry in models:
        if entry.file not in files:
            raise BundleError(f"the model {entry.file} is not among the files", hint=did_you_mean(entry.file, files))
    return {**files, CONTRACT: contract.to_json().encode()}


def is_bundle(folder: Path) -> bool:
    """Whether a folder looks like a bundle, whole or not."""
    return all((folder / name).is_file() for name in (MANIFEST, CONTRACT))


def refuse_existing(folder: Path, *, overwrite: bool) -> None:
    """Refuse a place where a bundle cannot be written: what is there without ``overwrite``, and no bundle even with it.

    Raises
    ------
    BundleError
    """
    refuse_replacing(folder, mark=MANIFEST, what="bundle", kind=BundleError, overwrite=overwrite)


def _manifest_of(folder: Path) -> Manifest:
    path = folder / MANIFEST
    recover(folder)
    if folder.is_file():
        raise BundleError(
            f"{folder} is a file; a bundle is a folder",
            hint=f"Give the folder that holds {MANIFEST}; `vskd bundle unpack` makes one of a packed bundle",
        )
    if not folder.is_dir():
        raise BundleError(f"there is no bundle at {folder}", hint="`vskd export RUN --out NAME.bundle` writes one")
    if not path.is_file():
        is_run = (folder / RUN_CARD).is_file()
        what, run = ("is a run, and no bundle", folder) if is_run else (f"is no bundle: it has no {MANIFEST}", "RUN")
        raise BundleError(f"{folder} {what}", hint=f"`vskd export {run} --out NAME.bundle` makes one")
    if (size := path.stat().st_size) > LARGEST_MANIFEST_BYTES:
        raise BundleError(f"{path} has {size} bytes, more than any manifest", hint="Copy or export it again")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BundleError(f"{path} was changed or cut short: {error!r}", hint="Copy or export it again") from error
    return read_manifest(text, where=str(path))


def _contract_of(path: Path, content: bytes) -> Contract:
    try:
        return Contract.from_json(content.decode("utf-8"), where=str(path))
    except UnicodeDecodeError as error:
        raise ContractError(f"{path} is not text: {error}", hint="Export the run again") from error
    except ContractError as error:
        raise ContractError(error.message, hint=error.hint or "Export the run again") from error


def _check_folder(folder: Path, files: Mapping[str, FileEntry]) -> None:
    """Refuse anything in a folder but these files, each with its size, the manifest and a signature.

    An engine opens what a model names, so nothing may lie there that no hash covers; a link leads out of the folder,
    and a named pipe never ends.
    """
    folders = {parent.as_posix() for name in files for parent in PurePosixPath(name).parents}
    for path in sorted(folder.rglob("*")):
        name, mode = path.relative_to(folder).as_posix(), path.lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            kind = "a link" if stat.S_ISLNK(mode) else "no regular file"
            raise BundleError(f"{path} is {kind}; a bundle holds files", hint="Copy or export the bundle again")
        if name not in (files if stat.S_ISREG(mode) else folders) and name not in (MANIFEST, SIGNATURE):
            raise BundleError(f"{path} is not part of the bundle", hint="Remove it, or export again")
    for name, entry in files.items():
        _check_size(folder / name, entry)


def _check_size(path: Path, entry: FileEntry) -> None:
    if not path.is_file():
        raise BundleError(f"{path} is missing", hint="Copy or export the bundle again")
    _refuse_size(path, path.stat().st_size, entry)


def _refuse_size(path: Path, size: int, entry: FileEntry) -> None:
    if size != entry.size_bytes:
        raise BundleError(
            f"{path} was changed: it has {size} bytes, the manifest says {entry.size_bytes}",
            hint="Copy or export the bundle again",
        )


def _read_checked(path: Path, entry: FileEntry) -> bytes:
    """A file's bytes, hashed as they are read: what is checked is what is used."""
    try:
        with path.open("rb") as stream:
            content = stream.read(entry.size_bytes + 1)
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}", hint="Copy or export the bundle again") from error
    _refuse_size(path, len(content), entry)
    _refuse_hash(path, hashlib.sha256(content).hexdigest(), entry)
    return content


def _check_hash(path: Path, entry: FileEntry) -> None:
    try:
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}", hint="Copy or export the bundle again") from error
    _refuse_hash(path, found, entry)


def _refuse_hash(path: Path, found: str, entry: FileEntry) -> None:
    if found != entry.sha256:
        raise BundleError(
            f"{path} was changed: its SHA-256 is {found[:12]}..., the manifest says {entry.sha256[:12]}...",
            hint="Copy or export the bundle again",
        )
