"""A run under a profile: its processes are held to it, the document shows it, what finds no room is skipped."""

from __future__ import annotations

import dataclasses
import json
import os

import jsonschema
import pytest

from vskd.closed import to_mapping
from vskd_benchmarks.device.profiles import read_profile
from vskd_benchmarks.measure.bench import run_bench
from vskd_benchmarks.measure.processes import WorkerError
from vskd_benchmarks.measure.settings import Settings
from vskd_benchmarks.result.folder import SCHEMA

from ..conftest import document_of, no_progress

WATCH = read_profile("generic-watch")


def with_settings(**changed):
    return dataclasses.replace(WATCH, settings=dataclasses.replace(WATCH.settings, **changed))


@pytest.fixture
def paced(make_bundle, tmp_path, least_effort):
    """As short a paced run as there can be, for a profile."""
    bundle = make_bundle(tmp_path / "tiny.bundle")

    def settings(profile, **more):
        return Settings((bundle,), mode="paced", duration_s=0.4, quick=True, comparison=False, profile=profile, **more)

    return settings


def test_a_run_under_a_profile_says_what_held_and_what_did_not(paced):
    run = run_bench(paced(with_settings(rate_hz=50.0)), no_progress)
    result = json.loads(json.dumps(to_mapping(document_of(run))))
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).validate(result)
    profile = result["profile"]
    assert profile["relation"] == "other"
    held = {setting["setting"]: setting["got"] for setting in profile["applied"]}
    assert held["cores"] == sorted(os.sched_getaffinity(0))[-1:]
    assert held["rate_hz"] == 50.0
    assert result["validity"]["status"] != "valid"
    assert "profile-machine" in {reason["code"] for reason in result["validity"]["reasons"]}


def test_a_pace_of_the_users_own_is_noted(paced):
    run = run_bench(paced(with_settings(rate_hz=50.0), rate_hz=40.0), no_progress)
    result = to_mapping(document_of(run))
    lacks = {lack["setting"]: lack for lack in result["profile"]["not_applied"]}
    assert (lacks["rate_hz"]["code"], lacks["rate_hz"]["reason"]) == ("asked-otherwise", "--rate-hz 40")
    assert result["configuration"]["rate_hz"] == 40.0


def test_too_little_memory_for_the_only_model_is_an_error_that_says_what_ended_it(paced):
    with pytest.raises(WorkerError, match=r"exit code 1 under a ceiling of 20\.0 MB; its last lines"):
        run_bench(paced(with_settings(rate_hz=50.0, memory_bytes=20_000_000)), no_progress)
