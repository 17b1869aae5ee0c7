"""The command ``vskd``: finds the sub-commands that the installed packages register, and prints errors.

Each sub-command is an entry point of the group ``vskd.commands``, loaded only when it is called: ``vskd --help`` loads
neither torch nor an engine, and the runtime never imports upward.
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import click

from vskd import __version__
from vskd.commands.terminal import STOPPED, say
from vskd.engines import ENGINES
from vskd.errors import MissingExtraError, VskdError, did_you_mean
from vskd.untrusted.text import shown

#: A disk that is full, over its quota, read-only or broken, and a file as large as files may be.
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG)

#: Third-party packages of the training environment, and the extra that installs each; the engines name their own.
_EXTRA_OF_PACKAGE = {
    "torch": "training",
    "torchvision": "training",
    "scipy": "training",
    "av": "training",
    "safetensors": "training",
    "jinja2": "training",
    "matplotlib": "training",
    "litert_torch": "export",
    "ai_edge_quantizer": "export",
    "onnx": "export",
    "onnxscript": "export",
    "flatbuffers": "export",
    "tflite_micro": "micro",
    "optuna": "search",
    "pyts": "bench",
    "jsonschema": "bench",
}


class Commands(click.Group):
    """A group whose commands are entry points."""

    def __init__(self, **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]
        self._found: dict[str, EntryPoint] | None = None

    @property
    def _entry_points(self) -> dict[str, EntryPoint]:
        if self._found is None:
            self._found = {entry.name: entry for entry in entry_points(group="vskd.commands")}
        return self._found

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._entry_points)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        entry = self._entry_points.get(name)
        if entry is None:
            return None
        command: click.Command = entry.load()
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self._entry_points:
            raise click.UsageError(f"there is no command {args[0]!r}. {did_you_mean(args[0], self._entry_points)}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # The reader of the output has closed the pipe (`vskd run ... | head`). Python would raise again when it
            # flushes at exit, so the rest is written to nowhere.
            _to_nowhere()
            ctx.exit(0)
        except KeyboardInterrupt as stop:
            say("; ".join(["stopped", *getattr(stop, "__notes__", [])]), err=True)
            ctx.exit(STOPPED)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
    epilog="Example: vskd run wrist.bundle --input recording.csv",
)
@click.version_option(__version__, prog_name="vskd")
def vskd() -> None:
    """Human-activity models from training to the wrist."""


def main() -> None:
    """Entry point: exit code 0 done, 1 an error that the user can fix, 2 misuse, 130 Ctrl-C."""
    try:
        vskd(prog_name="vskd")
    except VskdError as error:
        _fail(error)
    except ModuleNotFoundError as error:
        command = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
        _fail(missing_extra(error, purpose=f"vskd {command}".rstrip()))
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        _fail(_full_disk(error))


def missing_extra(error: ModuleNotFoundError, *, purpose: str) -> MissingExtraError:
    """The error that names the extra; of a module that none installs ``error`` is raised again."""
    package = (error.name or "").partition(".")[0]
    extras = _EXTRA_OF_PACKAGE | {kind.package: kind.extra for kind in ENGINES.values()}
    if package not in extras:
        raise error
    return MissingExtraError(package, extra=extras[package], purpose=purpose)


def _full_disk(error: OSError) -> VskdError:
    """The sentence for a disk that takes no more, wherever that came up."""
    if error.filename is None and sys.stdout is not None:
        with suppress(OSError):  # where it has no file
            _to_nowhere()  # it may have been standard output, which Python flushes again at exit
    place = error.filename or "the output"
    hint = "Make room, or name a place on another disk"
    return VskdError(f"cannot write {place}: {error.strerror}", hint=hint)


def _to_nowhere() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(error: VskdError) -> None:
    # A converter's last words have several lines.
    click.echo(f"error: {shown(error.message, lines=True)}", err=True)
    if error.hint:
        click.echo(f"       {shown(error.hint, lines=True)}", err=True)
    sys.exit(1)
