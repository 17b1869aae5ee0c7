"""The command ``vskd bench``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(epilog="Example: vskd bench wrist.bundle --quick --out bench.json")
@click.argument("bundle", type=click.Path(path_type=Path))
def bench(bundle: Path) -> None:
    """Measure a bundle's latency, cold start and memory on this machine."""
    raise click.ClickException(f"vskd bench is being written; {bundle} was not measured")
