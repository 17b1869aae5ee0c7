"""Read a config file, with changes from the command line or a study."""

from __future__ import annotations

import json
import re
import shlex
from copy import deepcopy
from pathlib import Path
from typing import Any

from vskd.closed import from_mapping, to_mapping
from vskd.errors import ConfigError, DataError
from vskd.untrusted.documents import read_json, read_toml
from vskd_training.settings.config import Config
from vskd_training.settings.presets import config_file
from vskd_training.settings.students import with_student

_HINT = "`vskd presets` lists those that come with vskd"

#: Sections that a message names at most.
_NAMED = 3

#: Keys that hold names of subjects and groups. These often are numbers, and a shell takes quotes away.
_NAMES = (
    "data.fold",
    "data.subjects",
    "data.train_subjects",
    "data.test_subjects",
    "data.validation_subjects",
    "data.unknown_labels",
    "labels.subjects",
    "virtual.without_sensor",
)


def load_config(config: str | Path, *, changes: tuple[str, ...] = ()) -> Config:
    """Read a config.

    Parameters
    ----------
    config : a preset's name, a TOML file, or a run's folder
    changes : ``"section.key=value"`` overrides, the value in TOML; ``"student=watch"`` names one of ``STUDENTS``

    Raises
    ------
    DataError : the file cannot be read
    ConfigError : no such preset, file or run; not TOML (of a run: JSON); a key or value that does not exist, with the
        change that brought it in
    """
    path = config_file(config)
    kind, read = ("JSON", read_json) if path.suffix == ".json" else ("TOML", read_toml)
    try:
        mapping = read(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot read the config {path}: {error.strerror}", hint=_HINT) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8, at byte {error.start}", hint="Save it as UTF-8") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not {kind}: {error}", hint=_HINT) from error
    try:
        return _changed(mapping, changes, where=path.name)
    except ConfigError:
        _changed(mapping, (), where=path.name)  # the file's own mistake is told as such
        raise _blamed(mapping, changes) from None


def _changed(mapping: dict[str, Any], changes: tuple[str, ...], *, where: str) -> Config:
    mapping = with_student(deepcopy(mapping))
    for change in changes:
        _apply(mapping, change)
        mapping = with_student(mapping)
    return from_mapping(Config, mapping, where=where)


def _blamed(mapping: dict[str, Any], changes: tuple[str, ...]) -> ConfigError:
    """The error of these changes, with the one that raises it alone; where it takes several, without a name."""
    found: dict[str, ConfigError] = {}
    for change in (*changes, ""):
        try:
            _changed(mapping, (change,) if change else changes, where="")
        except ConfigError as error:
            found[change] = error
    whole = found.pop("")
    culprit = next((change for change, error in found.items() if str(error) == str(whole)), "")
    message = f"{culprit}: {whole.message}" if culprit else whole.message
    return ConfigError(message, hint=_way_out(to_mapping(_changed(mapping, (), where="")), culprit, whole))


def _way_out(values: dict[str, Any], change: str, error: ConfigError) -> str:
    """Which sections have the key, if it was given without one; the error's hint; or the value without the change."""
    key = change.partition("=")[0].strip()
    sections = [name for name, keys in values.items() if isinstance(keys, dict) and key in keys]
    if sections and key not in values:
        return f"Did you mean {' or '.join(f'{name}.{key}' for name in sections[:_NAMED])}?"
    if error.hint or not re.match(rf"{re.escape(key)}[ \[]", error.message):
        return error.hint
    value: Any = values
    for name in key.split("."):
        value = value[name]
    value = [change.partition("=")[2].strip()] if value == [] else value
    setting = shlex.quote(f"{key}={json.dumps(value, ensure_ascii=False)}")
    return "" if isinstance(value, dict) else f"For example --set {setting}"


def _apply(mapping: dict[str, Any], change: str) -> None:
    """Override one key; its meaning is checked with the rest."""
    key, equals, value = change.partition("=")
    if not equals:
        raise ConfigError(f"--set takes section.key=value, got {change!r}", hint="For example --set gaf.size=96")
    *sections, name = key.strip().split(".")
    for section in sections:
        mapping = mapping.setdefault(section, {})
        if not isinstance(mapping, dict):
            raise ConfigError(f"--set {change}: {section!r} is no section")
    try:
        given = read_toml(f"value = {value}")["value"]
    except ValueError:
        given = value.strip()  # a bare word is a string, as on any command line
    mapping[name] = _as_names(given) if key.strip() in _NAMES else given


def _as_names(given: Any) -> Any:
    if isinstance(given, list):
        return [_as_names(one) for one in given]
    return str(given) if isinstance(given, int) and not isinstance(given, bool) else given
