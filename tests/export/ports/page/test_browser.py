"""The page in headless Chromium: sensor, recording, offline, clips and examples, as a person would use them."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.ports.page.node import EARLIER
from export.ports.page.playwright import MISSING, Chromium
from export.ports.page.serving import TOKEN, serving
from export.ports.profiles import profile_of
from vskd import Classifier, Contract
from vskd.bundle import Bundle
from vskd.closed import to_mapping
from vskd.contract import STANDARD_GRAVITY_M_S2, DecisionSpec, ExamplesSpec, ExampleWeights, ResamplingSpec
from vskd.engines.plan import PlanEngine
from vskd.plan.encode import encoded_shape
from vskd.plan.lower import plan_of
from vskd.plan.steps import Mean, Plan
from vskd.sources.csv import Chunk
from vskd.wearer.profile import Profile
from vskd_export.ports.page.broadcast import Broadcast
from vskd_export.ports.page.files import page_files
from vskd_export.ports.page.model import Model, core_rules, model_of, plan_file
from vskd_export.ports.planned import integer_model
from vskd_training.datasets.folder.reader import FolderSource

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

SERVED = {"clips": True, "live": {"unit": "g", "axes": "x,y,z", "timeUnit": "ns"}}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    browser = Chromium()
    yield browser
    browser.close()


def known() -> tuple[Contract, Plan, Model]:
    """An earlier bundle's network under a contract with today's rules, and a feature of it as embedding."""
    bundle = Bundle.open(EARLIER)
    entry = integer_model(bundle)
    plan = plan_of(bundle.read(entry.file), encoded_shape(bundle.contract), name=entry.file)
    plan = dataclasses.replace(plan, embedding=next(step.target for step in plan.steps if isinstance(step, Mean)))
    weights = (ExampleWeights(0.5, 20.0, 0.9),)
    contract = dataclasses.replace(
        bundle.contract,
        resampling=ResamplingSpec(reorder_s=0.2, batch_s=2.0),
        decision=DecisionSpec(smoothing=0.5, no_signal_after_s=2.0),
        examples=ExamplesSpec(score="nearest", weights=weights, spectrum=0.3),
    )
    header, arrays = plan_file(plan)
    page = {**model_of(bundle, served=SERVED).page, "contract": to_mapping(contract), "rules": core_rules(contract)}
    return contract, plan, Model(page, header, arrays)


@contextmanager
def page(**options: Any) -> Iterator[tuple[str, Contract, PlanEngine]]:
    """The page's address, and what decides alike in Python."""
    contract, plan, model = known()
    with serving(page_files(model), **options) as server:
        address = f"http://127.0.0.1:{server.server_address[1]}/#token={TOKEN}"
        yield address, contract, PlanEngine(contract, plan)


def recording(seconds: float = 20.0) -> tuple[np.ndarray, np.ndarray]:
    """A wrist that swings in one way and another; time, s, and readings, g, rounded as a file has them."""
    draw = np.random.default_rng(5)
    time = np.cumsum(draw.normal(0.02, 0.002, round(seconds * 50)))
    swing = np.sin(2 * np.pi * np.where(time < seconds / 2, 1.1, 2.3) * time)[:, None]
    xyz = np.array([0.3, -0.6, 0.7]) + swing * np.array([0.7, 0.2, 0.4]) + draw.normal(0, 0.03, (len(time), 3))
    return np.round(time, 6), np.round(xyz, 6)


def in_python(contract: Contract, engine: PlanEngine, time: np.ndarray, xyz: np.ndarray, **how: str) -> list[Any]:
    classifier = Classifier(contract, engine, **how)  # type: ignore[arg-type]
    events = [*classifier.push(time, xyz.astype(np.float32)), *classifier.finish()]
    return [{"label": one.label, "start": one.start_s, "end": one.end_s} for one in events]


def written(path: Path) -> tuple[np.ndarray, np.ndarray, str]:
    time, xyz = recording()
    lines = [f"{when:.6f},{x:.6f},{y:.6f},{z:.6f}" for when, (x, y, z) in zip(time, xyz, strict=True)]
    path.write_text("\n".join(["time_s,ax,ay,az", *lines, ""]))
    return time, xyz, str(path)


def test_a_file_gives_the_events_of_python_and_a_wrong_unit_is_said(chromium, tmp_path):
    time, xyz, file = written(tmp_path / "recording.csv")
    with page() as (url, contract, engine):
        answer = chromium("file", url=url, file=file)
        assert answer["events"] == in_python(contract, engine, time, xyz)
        assert len({one["label"] for one in answer["events"]}) > 1
        assert answer["trouble"] == ""
        assert answer["said"] == []
        assert "Sensor's rate" in answer["facts"]
        commas = tmp_path / "commas.csv"
        commas.write_text(Path(file).read_text().replace(",", ";").replace(".", ",").replace("time_s", "Zeit"))
        described = 'separator = ";"\ndecimal = ","\ntime = "Zeit"\ntime_unit = "s"\n'
        assert chromium("file", url=url, file=str(commas), layout=described)["events"] == answer["events"]
        assert 'write separator = ";"' in chromium("file", url=url, file=str(commas))["trouble"]
        wrong = chromium("file", url=url, file=file, unit="m/s^2")
        assert wrong["events"] == []
        assert "It looks like g" in wrong["trouble"]


def test_the_sensor_gives_the_events_of_python_on_the_same_readings(chromium):
    """Chromium rounds what its sensors read; Python gets what the page got."""
    _, xyz = recording()
    with page() as (url, contract, engine):
        answer = chromium("sensor", url=url, readings=(xyz * STANDARD_GRAVITY_M_S2).tolist(), everyMs=12)
    heard = np.array(answer["heard"])
    assert len(heard) > 100
    assert answer["events"] == in_python(contract, engine, heard[:, 0], heard[:, 1:], unit="m/s^2", time_unit="ms")
    assert answer["events"]
    assert answer["said"] == []


def test_after_the_first_visit_it_works_without_a_network(chromium, tmp_path):
    time, xyz, file = written(tmp_path / "recording.csv")
    with page() as (url, contract, engine):
        answer = chromium("offline", url=url, file=file)
    assert answer["note"].startswith("This page works without a network")
    assert answer["events"] == in_python(contract, engine, time, xyz)


def test_a_clip_and_an_example_are_recorded_kept_and_given_away(chromium, tmp_path):
    _, xyz = recording()
    readings = (xyz * STANDARD_GRAVITY_M_S2).tolist() * 2
    enrolled, place = profile_of(Bundle.open(EARLIER), "wave", 85), tmp_path / "enrolled.profile"
    enrolled.save(place)
    with page(clips=tmp_path / "clips") as (url, _, _):
        answer = chromium("record", url=url, readings=readings, everyMs=12, out=str(tmp_path), profile=str(place))
    assert answer["state"] == "1 clips were saved"
    assert answer["said"] == []
    assert [row for row in answer["kept"] if "hop" in row]
    assert [label for label in enrolled.labels if any(label in row for row in answer["added"])] == list(enrolled.labels)
    (clip,) = FolderSource.open(tmp_path / "clips", view="none").recordings()
    assert (clip.info.label, clip.info.subject) == ("swing, slow", "ann")
    assert np.linalg.norm(clip.acceleration_g.mean(axis=0)) == pytest.approx(1.0, abs=0.3)
    profile = Profile.open(tmp_path / "wearer.profile")
    assert profile.labels == ("hop",)
    assert profile.check_for(Bundle.open(EARLIER)) is profile
    assert answer["example"] == "kept as an example of hop"


def test_the_servers_source_is_shown(chromium):
    time, xyz = recording(8.0)
    live = Broadcast(unit="g", axes="x,y,z", time_unit="ns", waits=True)
    ticks = np.round(time * 1e9).astype(np.int64) + 1_764_000_000_000_000_007
    chunks = [Chunk(ticks[at : at + 20], xyz[at : at + 20]) for at in range(0, len(time), 20)]
    source = threading.Thread(target=live.run, args=[chunks])
    source.start()
    with page(live=live) as (url, contract, engine):
        answer = chromium("live", url=url)
        source.join()
        due = in_python(contract, engine, ticks, xyz, time_unit="ns")
    assert answer["events"] == due
    assert len(due) > 3


def test_a_page_over_plain_http_from_elsewhere_says_what_to_do(chromium):
    with page() as (url, _, _):
        answer = chromium("insecure", url=url)
    assert "vskd serve BUNDLE --host 0.0.0.0 --https" in answer["trouble"]


@pytest.mark.slow
def test_nothing_is_wider_than_the_screen(chromium, tmp_path):
    _, _, file = written(tmp_path / "recording.csv")
    with page() as (url, _, _):
        chromium("screens", url=url, file=file, out=str(tmp_path))
    assert len(list(tmp_path.glob("*.png"))) == 16
