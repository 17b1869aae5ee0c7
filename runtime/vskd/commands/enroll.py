"""``vskd enroll``: the wearer's own examples, from recordings to a profile."""

from __future__ import annotations

import dataclasses
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vskd.commands.input_option import LAYOUT, InputOption, trained_layout
from vskd.commands.terminal import JSON, say, tell
from vskd.engines import ENGINE_NAMES
from vskd.errors import ProfileError, nearest
from vskd.sources.i2c_sensors import PREFIX

if TYPE_CHECKING:  # numpy is slow to import, and `--help` needs none
    from vskd.bundle import Bundle
    from vskd.contract import Contract
    from vskd.engines import Engine
    from vskd.wearer.profile import Example, Profile
    from vskd.wearer.recording import Samples


@click.command(
    epilog="Examples: vskd enroll wrist.bundle --input clip.csv --label wave --profile ann.profile; "
    "vskd enroll wrist.bundle --profile ann.profile --check; vskd run wrist.bundle --input - --profile ann.profile"
)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--profile", "place", type=click.Path(path_type=Path), required=True, help="The file of the examples.")
@click.option(
    "--input",
    "sources",
    multiple=True,
    help=f"A recording of one performance, as of vskd run: CSV, NPZ, '-' or {PREFIX}SENSOR; several are several.",
)
@click.option("--label", default=None, help="What is performed; an activity that the model does not know is added.")
@click.option("--seconds", type=click.FloatRange(0, 600, min_open=True), default=None, help="Stop after so long.")
@click.option("--sure", is_flag=True, help="Take an example that contradicts those of its own label.")
@click.option("--keep-recordings", "keeps", is_flag=True, help="Keep the recordings in PROFILE.recordings.")
@click.option(
    "--again",
    type=click.Path(path_type=Path),
    default=None,
    help="Enrol the kept recordings of this profile, of another bundle, again.",
)
@click.option("--list", "lists", is_flag=True, help="A line per example.")
@click.option("--remove", "numbers", type=click.IntRange(1), multiple=True, help="Take out an example by its number.")
@click.option("--check", "checks", is_flag=True, help="How many examples the others would have recognised.")
@click.option("--engine", type=click.Choice(ENGINE_NAMES), default=None, help="What runs the model.")
@click.option("--recipe", default=None, help="Which model: int8, fp32, ...  [default: the most compact]")
@click.option("--unit", type=click.Choice(["g", "m/s^2"]), default=None, help="Unit of the readings.")
@click.option("--axes", default=None, help="The sensor's axis for each of the contract's, with signs: '-y,x,z'.")
@LAYOUT
@JSON
def enroll(
    bundle: Path,
    place: Path,
    sources: tuple[str, ...],
    label: str | None,
    seconds: float | None,
    sure: bool,
    keeps: bool,
    again: Path | None,
    lists: bool,
    numbers: tuple[int, ...],
    checks: bool,
    engine: str | None,
    recipe: str | None,
    unit: str | None,
    axes: str | None,
    layouts: tuple[str, ...],
    as_json: bool,
) -> None:
    """Take a wearer's own recordings as examples.

    They decide along with the model from then on. Nothing is trained.

    A profile belongs to one bundle. Nothing is written unless all that was asked for is possible.
    """
    from vskd.bundle import Bundle
    from vskd.wearer.profile import Profile

    if sum(map(bool, (sources, again, lists, numbers, checks))) != 1:
        raise click.UsageError("give one of --input, --again, --list, --remove and --check")
    if bool(sources) != (label is not None):
        raise click.UsageError("--input and --label belong together: what is performed in the recording?")
    options = [InputOption(source, unit=unit, axes=axes, layouts=layouts) for source in sources]
    for option in options:
        option.check_options()
        if option.is_endless and seconds is None:
            raise click.UsageError(f"{option.source} has no end; give --seconds")
        option.check_file()
    opened = Bundle.open(bundle)
    if sources or again:
        profile = Profile.open(place).check_for(opened) if place.exists() else Profile.of(opened)
        work = _Enrolment.of(opened, place, profile, engine=engine, recipe=recipe)
        if again:
            work.enrol_again(again)
        for option in options:
            work.enrol(str(label), _recorded(option, opened, seconds), sure=sure)
        work.finish(keeps=keeps or again is not None, as_json=as_json)
        return
    profile = Profile.open(place).check_for(opened)
    if numbers:
        _remove(place, profile, numbers, as_json=as_json)
    elif lists:
        _list(profile, as_json=as_json)
    else:
        _check(opened.contract, profile, as_json=as_json)


def _recorded(option: InputOption, bundle: Bundle, seconds: float | None) -> Samples:
    """The samples of a source, until its end or for so long."""
    import numpy as np

    from vskd.stream import per_second
    from vskd.wearer.recording import LONGEST_S, Samples

    chunks, lasts_s = [], 0.0
    with ExitStack() as resources:
        found = option.open(
            bundle.contract, waiting=lambda _: None, note=_note, resources=resources, trained_on=trained_layout(bundle)
        )
        source = found.samples
        for chunk in option.chunks(source):
            chunks.append(chunk)
            lasts_s = float(chunk.time[-1] - chunks[0].time[0]) / per_second(source.time_unit)
            if lasts_s > LONGEST_S or (seconds is not None and lasts_s >= seconds):
                break
    times, xyz = np.concatenate([one.time for one in chunks]), np.concatenate([one.xyz for one in chunks])
    return Samples(times, xyz, found.unit, found.axes, source.time_unit)


def _note(text: str) -> None:
    say(text, err=True)


class _Enrolment:
    """Examples on their way into a profile, which is written when all of them are found good."""

    def __init__(self, contract: Contract, loaded: Engine, place: Path, profile: Profile) -> None:
        self._contract, self._engine, self._place, self._profile = contract, loaded, place, profile
        self._added: list[tuple[Example, Samples]] = []

    @classmethod
    def of(cls, bundle: Bundle, place: Path, profile: Profile, *, engine: str | None, recipe: str | None) -> _Enrolment:
        """Refuses a model that can take no example, before one is recorded."""
        from vskd.engines import no_embedding
        from vskd.wearer.rule import spec_of
        from vskd.writing import refuse_unwritable

        refuse_unwritable(place, ProfileError)
        spec_of(bundle.contract)
        name, entry = bundle.select(engine=engine, recipe=recipe)
        if not entry.embedding_size:
            raise no_embedding(entry.file)
        return cls(bundle.contract, bundle.load(name, entry), place, profile)

    def enrol(self, label: str, samples: Samples, *, sure: bool, when_s: int | None = None) -> None:
        """Take one example; ``when_s`` where it was enrolled before."""
        from vskd.classifier import Classifier

        classifier = Classifier(
            self._contract, self._engine, unit=samples.unit, axes=samples.axes, time_unit=samples.time_unit,
            profile=self._profile,
        )  # fmt: skip
        example = classifier.enroll(label, samples.time, samples.xyz, sure=sure)
        known = (*self._contract.labels, *self._profile.labels)
        if label not in known:
            near = nearest(label, known)
            guess = f"; did you mean {near!r}?" if near else ""
            say(f"{label!r} is new: the model does not know it, and its examples alone decide on it{guess}", err=True)
        if when_s is not None:
            example = dataclasses.replace(example, when_s=when_s)
        self._profile = self._profile.with_example(example)
        self._added.append((example, samples))

    def enrol_again(self, earlier: Path) -> None:
        """Take the recordings that were kept beside a profile."""
        from vskd.wearer.profile import Profile
        from vskd.wearer.recording import kept

        examples = Profile.open(earlier).examples
        without = sum(not example.recording for example in examples)
        if without == len(examples):
            raise ProfileError(
                f"no recording was kept beside {earlier}, so none can be enrolled again",
                hint="Record the activities again; --keep-recordings keeps them",
            )
        if without:
            _note(f"warning: {without} of {len(examples)} examples are left out: their recordings were not kept")
        for example in examples:
            if example.recording:
                self.enrol(example.label, kept(earlier, example.recording), sure=True, when_s=example.when_s)

    def finish(self, *, keeps: bool, as_json: bool) -> None:
        """Write the profile, after the recordings that it names; and say what was added."""
        from vskd.wearer.recording import keep

        if keeps:
            names = {example: keep(self._place, samples) for example, samples in self._added}
            named = (
                dataclasses.replace(example, recording=names[example]) if example in names else example
                for example in self._profile.examples
            )
            self._profile = dataclasses.replace(self._profile, examples=tuple(named))
        self._profile.save(self._place)
        first = len(self._profile.examples) - len(self._added) + 1
        rows = [_row(number, example) for number, (example, _) in enumerate(self._added, start=first)]
        size = len(self._profile.to_bytes())
        count = len(self._profile.examples)
        added = ", ".join(f"{row['label']} as number {row['number']}" for row in rows)
        words = f"added {added}; {self._place} holds {_counted(count)} in {size} bytes"
        tell({"added": rows, "examples": count, "bytes": size}, words, as_json=as_json)


def _counted(examples: int) -> str:
    return "1 example" if examples == 1 else f"{examples} examples"


def _row(number: int, example: Example) -> dict[str, Any]:
    from datetime import UTC, datetime

    when = datetime.fromtimestamp(example.when_s, UTC).isoformat()
    return {"number": number, "label": example.label, "when": when, "recording": example.recording}


def _list(profile: Profile, *, as_json: bool) -> None:
    for number, example in enumerate(profile.examples, start=1):
        row = _row(number, example)
        tell(row, f"{number:3}  {row['when']}  {row['label']}  {row['recording']}".rstrip(), as_json=as_json)


def _remove(place: Path, profile: Profile, numbers: tuple[int, ...], *, as_json: bool) -> None:
    from vskd.wearer.recording import forget

    left = profile.without(numbers)
    left.save(place)
    still_named = {example.recording for example in left.examples}
    for number in numbers:
        recording = profile.examples[number - 1].recording
        if recording and recording not in still_named:
            forget(place, recording)
    removed = sorted(set(numbers))
    words = f"removed {', '.join(map(str, removed))}; {_counted(len(left.examples))} left"
    tell({"removed": removed, "examples": len(left.examples)}, words, as_json=as_json)


def _check(contract: Contract, profile: Profile, *, as_json: bool) -> None:
    from vskd.wearer.rule import left_out

    if not profile.examples:
        raise ProfileError("the profile is empty", hint="Enrol an example first")
    found = left_out(contract, profile.labels, profile.embeddings)
    judged = [
        (number, *pair) for number, pair in enumerate(zip(profile.labels, found, strict=True), start=1) if pair[1]
    ]
    wrong = [
        {"number": number, "label": label, "taken_for": other} for number, label, other in judged if label != other
    ]
    right = len(judged) - len(wrong)
    alone = [label for label, other in zip(profile.labels, found, strict=True) if other is None]
    say(f"{right} of {len(judged)} examples are recognised by the others alone", err=True)
    if alone:
        say(f"{len(alone)} activities have one example, which nothing can check: {', '.join(alone)}", err=True)
    share = right / len(judged) if judged else None
    document = {"checked": len(judged), "right": right, "accuracy": share, "wrong": wrong, "single": alone}
    taken = (f"number {one['number']}, {one['label']}, is taken for {one['taken_for']}" for one in wrong)
    tell(document, "; ".join(taken) or "none is taken for another activity", as_json=as_json)
