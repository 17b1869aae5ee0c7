"""``vskd inspect``: what a bundle holds and what its model expects."""

from __future__ import annotations

from pathlib import Path

import click

from vskd.bundle import Bundle


@click.command(epilog="Example: vskd inspect wrist.bundle")
@click.argument("bundle", type=click.Path(path_type=Path))
def inspect(bundle: Path) -> None:
    """Print a bundle's contract, models and files."""
    opened = Bundle.open(bundle)
    click.echo(f"{opened.path}  (sha256 {opened.sha256()[:16]})\n")
    for model in opened.models:
        click.echo(f"{model.file:36} {opened.files[model.file].size_bytes / 1e6:8.2f} MB  {model.recipe}")
    click.echo(f"\ninput   window  (1, {', '.join(map(str, opened.contract.window_shape))})  float32, g")
    click.echo(f"output  logits  (1, {len(opened.contract.labels)})  float32\n")
    click.echo(opened.contract.to_json(), nl=False)
