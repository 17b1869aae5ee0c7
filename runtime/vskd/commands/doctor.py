"""``vskd doctor``: what this machine has, what it lacks, and the remedies."""

from __future__ import annotations

from pathlib import Path

import click

from vskd.commands.terminal import say
from vskd.errors import EngineError


@click.command(epilog="Example: vskd doctor wrist.bundle")
@click.argument("bundle", type=click.Path(path_type=Path), required=False)
def doctor(bundle: Path | None) -> None:
    """Show what is installed and what runs here.

    With BUNDLE each of its models is run. Exit code 1 if nothing runs.
    """
    from vskd.checks.doctor import examine

    findings = examine(bundle)
    width = max(len(finding.topic) for finding in findings)
    for finding in findings:
        say(f"{finding.state:5} {finding.topic:{width}}  {finding.text}")
        if finding.remedy:
            say(f"{'':5} {'':{width}}  -> {finding.remedy}")
    lacks = [finding for finding in findings if finding.state == "lack"]
    if lacks:
        raise EngineError(f"this machine cannot run it: {lacks[-1].text}", hint=lacks[-1].remedy)
