"""``vskd inspect``: what a bundle holds and what its model expects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from vskd.commands.input_option import trained_layout
from vskd.commands.terminal import say


@click.command(epilog="Example: vskd inspect wrist.bundle, or vskd inspect wrist.bundle --json")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON document for machines.")
def inspect(bundle: Path, as_json: bool) -> None:
    """Print a bundle's contract, models and files in words."""
    from vskd.bundle import Bundle
    from vskd.description import contract_in_words, describe

    opened = Bundle.open(bundle)
    content = describe(opened)
    if as_json:
        say(json.dumps(content, indent=2), lines=True)
        return
    say(f"{opened.path}  (sha256 {content['sha256'][:16]})")
    say()
    for sentence in content["degraded"]:
        say(f"{'DEGRADED':12} {sentence}")
    if content["signed"]:
        say(f"{'signed':12} vskd verify --key PUBLIC.pem checks by whom")
    for subject, sentence in contract_in_words(opened.contract):
        say(f"{subject:12} {sentence}")
    if known := trained_layout(opened):
        say(f"{'files':12} {known.words}, where neither an option nor their header says otherwise (layout.toml)")
    for model in content["models"]:
        say("")
        _show_model(model)
    for file, variant in content["variants"].items():
        say()
        say(file)
        for name, ports in variant.get("signatures", {"": variant}).items():
            ends = [", ".join(map(_port, ports.get(side, ()))) for side in ("inputs", "outputs")]
            _line(name or "variant", " -> ".join(ends))
    say("")
    for name, entry in sorted(content["files"].items()):
        say(f"{name:36} {entry['size_bytes']:12,} bytes  {entry['sha256'][:16]}")


def _show_model(model: Mapping[str, Any]) -> None:
    say(f"{model['file']}  {model['size_bytes'] / 1e6:.2f} MB, {model['recipe']}")
    _line("contract", model["contract_problem"] or "the same inside the file")
    features = model["embedding_size"]
    _line("embedding", f"{features} features" if features else "none: an older export, which takes no examples")
    if "operators" not in model:
        _line("operators", "unknown: another exporter wrote this bundle")
        return
    _line("version", model["version"])
    _line("operators", ", ".join(f"{count} {name}" for name, count in model["operators"].items()))
    if model.get("macs") is None:
        return
    for kind in ("inputs", "outputs"):
        for port in model.get(kind, ()):
            _line(kind.removesuffix("s"), f"{_port(port)}  {port.get('type', '')}".rstrip())
    for place, values in model.get("quantization", {}).items():
        _line(f"{place}", f"8-bit steps of {values['scale']:.6g}, zero at {values['zero_point']}")
    parameters = model.get("parameters")
    size = "" if parameters is None else f", {parameters / 1e6:.2f} million parameters"
    _line("cost", f"{model['macs'] / 1e6:.1f} million MACs a window{size}")


def _port(port: Mapping[str, Any]) -> str:
    return f"{port['name']} {tuple(port.get('shape', ()))}"


def _line(subject: str, text: str) -> None:
    say(f"  {subject:10} {text}")
