"""The commands ``vskd data ...``: look at a data set, take recordings out of it, write synthetic ones.

Only click and the list of data sets are imported here; everything else loads inside the commands.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vskd.commands.progress import progress_bar
from vskd.commands.terminal import say
from vskd.pages import number_of
from vskd_training.commands.options import CACHE, CONFIG, PAUSE, ROOT, SEED, SET
from vskd_training.commands.terminal import open_experiment
from vskd_training.data.sources import open_source
from vskd_training.datasets.registry import DATA_SETS, NAMES, VIEWS, data_set

if TYPE_CHECKING:
    from vskd_training.datasets.check import DatasetReport

_FILE = click.Path(path_type=Path, dir_okay=False)
_VIEWS_OF_EACH = "; ".join(f"{one.name}: {', '.join(one.views)}" for one in DATA_SETS)


@click.group(epilog="Example: vskd data check --dataset folder --root ~/my-recordings")
def data() -> None:
    """Look at data sets, and take recordings out of them."""


@data.command("check", epilog="Example: vskd data check --dataset folder --root ~/my-recordings --list")
@click.option("--dataset", type=click.Choice(NAMES), required=True)
@ROOT
@click.option(
    "--view",
    type=click.Choice(VIEWS),
    default=None,
    help=f"What the teacher sees. {_VIEWS_OF_EACH}.  [default: the first]",
)
@click.option("--list", "list_defects", is_flag=True, help="Name every defect instead of the first of each kind.")
@click.option("--strict", is_flag=True, help="Exit with 1 if a recording is left out or doubtful.")
def check(dataset: str, root: Path | None, view: str | None, list_defects: bool, strict: bool) -> None:
    """Read a whole data set, and print counts and defects."""
    from vskd.errors import DataError
    from vskd_training.datasets.check import check
    from vskd_training.settings import DataConfig

    config = DataConfig(dataset=dataset, view=view or data_set(dataset).views[0])
    with progress_bar("read recordings") as progress:
        report = check(open_source(config, root), progress=progress)
    _show_counts(report)
    _show_defects(report, every=list_defects)
    if not report.recordings:
        raise DataError(f"{report.name} holds no recording that can be read", hint="The defects above say why")
    if strict and report.left_out + report.doubtful:
        raise DataError(
            f"{report.left_out} recordings were left out, {report.doubtful} things are doubtful",
            hint="Mend what is listed above",
        )


#: Subjects, activities and trials that are shown; of more, as many.
_SHOWN = 40
#: Values of a further column, which may be notes.
_SHOWN_VALUES = 10
_LONGEST = 40


def _listed(counts: dict[str, int], most: int = _SHOWN) -> str:
    """Each value with its count, or of too many the first ones."""
    shown = [f"{_cut(name)}: {count}" for name, count in list(counts.items())[:most]]
    more = [f"and {len(counts) - most} other values"] if len(counts) > most else []
    return ", ".join([*shown, *more])


def _cut(value: str) -> str:
    return value if len(value) <= _LONGEST else f"{value[: _LONGEST - 3]}..."


@data.command("init", epilog="Example: vskd data init ~/my-recordings && vskd data check --dataset folder --root ...")
@click.argument("folder", type=click.Path(path_type=Path))
def init(folder: Path) -> None:
    """Write dataset.toml and clips.csv of a folder.

    They hold guesses from the files that are there, to be looked over.

    The layout of the text, unit and gravity are guessed from the samples; subjects and labels from the names of files,
    or from columns that hold them.
    """
    from vskd_training.datasets.folder.table import DESCRIPTION, TABLE
    from vskd_training.datasets.guess.files import description_text
    from vskd_training.datasets.guess.files import init as write

    found = write(folder)
    say(description_text(folder, found), nl=False, lines=True)
    subjects = sorted({clip.subject for clip in found.clips})
    labels = sorted({clip.label or "(no label)" for clip in found.clips})
    clips = number_of(len(found.clips), "clip")
    say(f"{clips}; subjects: {', '.join(subjects)}; labels: {', '.join(labels)}", err=True)
    for name, why in found.others:
        say(f"passed over: {name}: {why}", err=True)
    say(f"wrote {folder / DESCRIPTION} and {folder / TABLE}: look them over, all of it is guessed", err=True)


@data.command("croissant", epilog="Example: vskd data croissant ~/my-recordings")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--out", type=_FILE, default=None, help="File to write.  [default: croissant.json in the folder]")
def croissant(folder: Path, out: Path | None) -> None:
    """Describe a folder of recordings in Croissant 1.1.

    Programs read it: every file with its hash, every clip.

    Title, description, licence, url, citation, version and published come from [about] of dataset.toml.
    """
    from vskd.errors import DataError
    from vskd.writing import disk_errors, write_file
    from vskd_training.datasets.folder.croissant import croissant

    content, place = croissant(folder), out or folder / "croissant.json"
    with disk_errors(place, DataError, hint="Give another --out"):
        write_file(place, content)
    say(f"{place}: {len(content)} bytes", err=True)


def _show_counts(report: DatasetReport) -> None:
    say(f"{report.name}, view {report.view}: {number_of(report.recordings, 'recording')}")
    say("files       " + ", ".join(f"{name} {count}" for name, count in report.by_stream.items()))
    labels = {name or "(no label)": count for name, count in report.by_label.items()}
    for title, counts in {"subjects": report.by_subject, "activities": labels}.items():
        say(f"{title:11} {_listed(counts)}")
    for column, values in report.groups.items():
        counts = {value or "(empty)": count for value, count in values.items()}
        say(f"{_cut(column):11} {_listed(counts, _SHOWN_VALUES)}")
    lengths = (
        ("samples", report.samples),
        ("frames", report.frames),
        ("duration, s", report.duration_s),
        ("rate, Hz", report.rate_hz),
    )
    for title, length in lengths:
        if length is not None:
            say(f"{title:11} {length.shortest:g} / {length.median:g} / {length.longest:g}  (min/median/max)")
    say(f"largest |reading| {report.largest_acceleration_g:.2f} g")
    missing = report.missing_trials
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    say(f"missing     {len(missing)}: {', '.join(missing[:_SHOWN]) or 'none'}{more}")
    _show_classes(report)
    _show_gravity(report)


def _show_classes(report: DatasetReport) -> None:
    say("each activity: recordings, subjects, shortest / median / longest recording")
    for label, one in report.by_class.items():
        length = one.duration_s
        lengths = f"{length.shortest:.2f} / {length.median:.2f} / {length.longest:.2f} s" if length else "none"
        say(f"  {label:20} {one.recordings:5} {one.subjects:5}   {lengths}")
    for remark in report.remarks():
        say(f"  note: {remark}")


def _show_gravity(report: DatasetReport) -> None:
    if not report.gravity:
        return
    say("gravity's mean direction of each subject: x, y, z, and its angle from the others' in the same activity")
    for subject, one in list(report.gravity.items())[:_SHOWN]:
        direction = "none        " if one.direction is None else " ".join(f"{part:5.2f}" for part in one.direction)
        angle = "n/a" if one.from_others_deg is None else f"{one.from_others_deg:.0f} degrees"
        say(f"  {subject:20} {direction}   {angle}{'  OPPOSITE' if one.opposite else ''}")
    if len(report.gravity) > _SHOWN:
        say(f"  and {len(report.gravity) - _SHOWN} more")


def _show_defects(report: DatasetReport, *, every: bool) -> None:
    from vskd_training.datasets.recording import defects_in_words

    say(f"defects     {len(report.defects)}: {defects_in_words(report.defects)}")
    for kind, count in report.defects_by_kind.items():
        say(f"  {count} x {kind}")
        of_kind = [defect for defect in report.defects if defect.kind == kind]
        for defect in of_kind if every else of_kind[:1]:
            say(f"    {'' if every or count == 1 else 'e.g. '}{defect.where}: {defect.what}")
        if way_out := report.way_out(kind):
            say(f"    -> {way_out}")


@data.command(
    "recording", epilog="Example: vskd data recording --config utd-mhad-whole --id a1_s2_t1 --out a1_s2_t1.csv"
)
@CONFIG
@SET
@ROOT
@CACHE
@click.option("--id", "name", required=True, help="Of the recording, e.g. a1_s2_t1.")
@click.option("--out", type=_FILE, required=True, help="CSV to write.")
def recording(config_file: str, changes: tuple[str, ...], root: Path | None, cache: Path, name: str, out: Path) -> None:
    """Write one recording as a CSV that `vskd run` reads."""
    from vskd_training.data.stream_files import write_samples
    from vskd_training.runs.run import root_of
    from vskd_training.settings import load_config

    place = root or root_of(config_file)
    prepared = open_experiment(load_config(config_file, changes=changes), place, cache).prepared
    index = prepared.index(name)
    write_samples(out, *prepared.sensor(index))
    say(f"{out}: {name}, {prepared.infos[index].label or '(no label)'}", err=True)


@data.command("virtual", epilog="Example: vskd data virtual --root ~/data/utd-mhad --out virtual-wrists")
@click.option("--root", type=click.Path(path_type=Path), required=True, help="Folder of UTD-MHAD.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write, for --dataset folder.")
def virtual(root: Path, out: Path) -> None:
    """Make recordings of a virtual watch from skeletons.

    The skeletons are UTD-MHAD's; what is written is a folder as of one's own recordings.
    """
    from vskd_training.data.virtual_recordings import write_virtual
    from vskd_training.datasets.utd_mhad.reader import UtdMhadSource

    with progress_bar("differentiate skeletons") as progress:
        count, left_out = write_virtual(UtdMhadSource.open(root, view="joints"), out, progress=progress)
    say(f"{out}: {count} virtual recordings, {len(left_out)} left out", err=True)
    for defect in left_out:
        say(f"  {defect.where}: {defect.what}", err=True)


@data.command("stream", epilog="Example: vskd data stream --run runs/student --root ~/data/utd-mhad --out streams")
@click.option("--run", "run", type=click.Path(path_type=Path), default=None, help="Join its test subjects' recordings.")
@click.option("--config", "config_file", default=None, help="Synthetic data: generate one stream.")
@SET
@ROOT
@CACHE
@click.option("--subject", default=None, help="Of the test subjects this one only; of synthetic ones whom.")
@SEED
@PAUSE
@click.option(
    "--longest",
    "longest_s",
    type=click.FloatRange(1),
    default=None,
    help="With --run: of each recording its first so many seconds.  [default: all]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="With --run the folder for SUBJECT.csv and SUBJECT.truth.csv; else the CSV of samples to write.",
)
@click.option("--truth", type=_FILE, default=None, help="With --config: CSV start_s,end_s,label to write.")
def stream(
    run: Path | None,
    config_file: str | None,
    changes: tuple[str, ...],
    root: Path | None,
    cache: Path,
    subject: str | None,
    seed: int,
    pause: tuple[float, float],
    longest_s: float | None,
    out: Path,
    truth: Path | None,
) -> None:
    """Write continuous streams with their truth.

    They are for `vskd run`, `timeline` and `evaluate --stream`.

    With --run: one of each test subject of a run, whose recordings are joined by still pauses, in any data set; the
    activities of data.unknown_labels are among them. With --config: a synthetic subject who goes through all activities
    without a pause.
    """
    if (run is None) == (config_file is None):
        raise click.UsageError("give --run RUN, whose test recordings are joined, or --config of synthetic data")
    if run is not None:
        if changes or truth:
            raise click.UsageError(
                "--set and --truth go with --config; with --run the run says all, and --out is a folder"
            )
        _write_joined(run, root, cache, subject, (seed, *pause), out, longest_s=longest_s)
    elif config_file is not None:
        if longest_s is not None:
            raise click.UsageError("--longest goes with --run; a synthetic stream is as long as its config says")
        if subject is None or truth is None:
            raise click.UsageError("--config needs --subject and --truth, and writes --out as a CSV")
        _write_synthetic(config_file, changes, subject, out, truth)


def _write_joined(
    run: Path,
    root: Path | None,
    cache: Path,
    subject: str | None,
    joining: tuple[int, float, float],
    out: Path,
    *,
    longest_s: float | None,
) -> None:
    from vskd_training.data.stream_files import write_samples, write_truth
    from vskd_training.evaluation.evaluate import refuse_trained_on
    from vskd_training.runs.run import Run
    from vskd_training.streams.joining import StreamSettings, subject_streams

    settings = StreamSettings(*joining)
    opened = Run.open(run, role=None)
    experiment = open_experiment(opened.config, root or opened.root(), cache)
    refuse_trained_on(opened, experiment)
    subjects = () if subject is None else (subject,)
    for joined in subject_streams(experiment, settings, subjects=subjects, longest_s=longest_s or math.inf):
        path = out / f"{joined.subject}.csv"
        write_samples(path, joined.time_s, joined.acceleration_g)
        write_truth(out / f"{joined.subject}.truth.csv", joined.spans)
        minutes = joined.time_s[-1] / 60
        say(f"{path}: {len(joined.spans)} recordings, {minutes:.1f} min; {joined.subject}.truth.csv", err=True)


def _write_synthetic(config_file: str, changes: tuple[str, ...], subject: str, out: Path, truth: Path) -> None:
    from vskd.errors import ConfigError
    from vskd_training.data.stream_files import write_samples, write_truth
    from vskd_training.datasets.synthetic.generator import continuous
    from vskd_training.settings import load_config

    data = load_config(config_file, changes=changes).data
    if data.dataset != "synthetic":
        raise ConfigError(
            f"a stream is generated, and {config_file} has the data set {data.dataset}",
            hint="--run RUN joins the recordings of a run's test subjects; `vskd data recording` writes one",
        )
    recording, spans = continuous(data.synthetic, subject=subject)
    write_samples(out, recording.time_s, recording.acceleration_g)
    write_truth(truth, spans)
    say(f"{out}: subject {subject}, {len(spans)} activities, {recording.time_s[-1]:.0f} s (synthetic)", err=True)
