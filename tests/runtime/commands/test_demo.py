"""`vskd demo`, and the bundles that come with vskd."""

from __future__ import annotations

import json

import pytest

from vskd.bundle import Bundle
from vskd.bundle_files import CARD, DATA_LICENCE
from vskd.checks.selftest import selftest
from vskd.commands.demo import MODELS, NAMES

EACH = pytest.mark.parametrize("name", NAMES)
#: What a stranger downloads to try it, bytes.
LARGEST = 500_000


@EACH
def test_a_bundle_is_small_sound_and_says_on_which_terms_it_comes(name):
    bundle = Bundle.open(MODELS / f"{name}.bundle")
    assert sum(path.stat().st_size for path in bundle.path.rglob("*") if path.is_file()) < LARGEST
    assert bundle.degraded == ()
    assert [check.problem for check in selftest(bundle, engine="vskd") if check.problem] == []
    card = bundle.read_text(CARD)
    assert 'license: "apache-2.0"' in card
    assert "| their licence | " in card
    assert (DATA_LICENCE in bundle.files) == (name == "shoulder")


@EACH
def test_a_recording_is_told_in_json_to_programs(command, name):
    done = command("demo", name, "--engine", "vskd")
    assert done.code == 0
    assert f"{name}.bundle" in done.err
    assert "vskd runs it" in done.err
    assert "windows right; those between two activities are left out" in done.err
    events = [json.loads(line) for line in done.out.splitlines()]
    assert len(events) > 30
    assert {event["label"] for event in events} <= set(Bundle.open(MODELS / f"{name}.bundle").contract.labels) | {
        "still"
    }


def test_people_read_what_was_right(command, monkeypatch):
    """A line of each stretch of one activity; what it counts is what the events say."""
    events = [json.loads(line) for line in command("demo", "--engine", "vskd").out.splitlines()]
    monkeypatch.setattr("vskd.commands.demo.for_people", lambda as_json: not as_json)
    *lines, total, _, run = command("demo", "--engine", "vskd").out.splitlines()
    assert len(lines) == 14
    assert max(map(len, (*lines, total))) <= 80
    judged = right = 0
    for start, _, end, _, label, counted, _, of, *_ in map(str.split, lines):
        told = [one["label"] for one in events if float(start) <= one["start_s"] and one["end_s"] <= float(end) + 0.05]
        assert (int(counted), int(of)) == (told.count(label), len(told))
        judged, right = judged + len(told), right + told.count(label)
    assert total.startswith(f"{right} of {judged} windows right")
    assert right > 0.8 * judged
    assert "shoulder.csv.gz --view" in run


def test_without_an_engine_vskds_own_runs_a_bundle_and_says_that_it_is_slow(command, monkeypatch):
    by_name = command("demo", "--engine", "vskd")
    monkeypatch.setattr("vskd.bundle.installed_engines", lambda: ())
    assert command("demo") == by_name
    done = command("run", MODELS / "shoulder.bundle", "--input", MODELS / "shoulder.csv.gz", "--json")
    assert "vskd's own is slow: pip install 'vskd[litert]'" in done.err
    assert [json.loads(line) for line in done.out.splitlines()] == [json.loads(one) for one in by_name.out.splitlines()]
