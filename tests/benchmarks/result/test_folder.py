"""Writing and reading a result folder: whole or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vskd.errors import ConfigError, DataError
from vskd_benchmarks.result.folder import check_out, read_manifest, read_raw, read_result, write_result
from vskd_benchmarks.result.records.result import Ratio


@pytest.fixture(scope="module")
def named(make_result, tmp_path_factory):
    """A result that says which one it is: command -> result."""
    result = read_result(make_result(tmp_path_factory.mktemp("made") / "result"))
    return lambda command: replace(result, configuration=replace(result.configuration, command=command))


ARRAYS = {"started": np.arange(6).reshape(2, 3), "sensor_to_label": np.full((2, 3), 2**40)}


def test_what_is_written_is_read(named, tmp_path):
    out = write_result(tmp_path / "result", named("1"), {"x.t1": ARRAYS})
    assert read_result(out) == named("1")
    raw = read_raw(out, "x.t1")
    assert {name: array.tolist() for name, array in raw.items()} == {n: a.tolist() for n, a in ARRAYS.items()}
    assert sorted(read_manifest(out).files) == ["raw/x.t1.npz", "result.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


def test_a_folder_that_is_there_is_replaced_only_when_asked(named, tmp_path):
    out = write_result(tmp_path / "result", named("1"), {})
    with pytest.raises(ConfigError, match=r"result exists\. Give another name, or --overwrite"):
        write_result(out, named("2"), {})
    assert read_result(out) == named("1")
    write_result(out, named("2"), {}, overwrite=True)
    assert read_result(out) == named("2")
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


def test_a_failure_leaves_what_was_there_and_nothing_else(named, tmp_path, monkeypatch):
    out = write_result(tmp_path / "result", named("1"), {})

    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(ConfigError, match=r"cannot write .*result: No space left on device"):
        write_result(out, named("2"), {}, overwrite=True)
    assert read_result(out) == named("1")
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


def test_a_result_that_a_killed_writer_set_aside_is_there_again(named, tmp_path):
    out = write_result(tmp_path / "result", named("1"), {})
    out.rename(tmp_path / ".result.vskd-old-0123456789abcdef")
    assert read_result(out) == named("1")
    out.rename(tmp_path / ".result.vskd-old-0123456789abcdef")
    with pytest.raises(ConfigError, match=r"result exists"):
        check_out(out, overwrite=False)


def test_a_number_that_json_does_not_know_is_refused(named, tmp_path):
    with pytest.raises(ValueError, match="Out of range float values"):
        write_result(
            tmp_path / "result", replace(named("1"), ratios=(Ratio("a", "b", "bare_call", float("nan"), 1, 1, 1),)), {}
        )
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_no_result_is_never_replaced(tmp_path):
    with pytest.raises(ConfigError, match="exists and is no result folder; it is not replaced"):
        check_out(tmp_path, overwrite=True)


def test_a_writable_place_is_accepted(tmp_path):
    check_out(tmp_path / "result", overwrite=False)


def test_a_place_where_nothing_can_be_made_is_refused_before_the_work():
    with pytest.raises(ConfigError, match="cannot write /proc/result: No such file or directory"):  # not even by root
        check_out(Path("/proc/result"), overwrite=False)


@pytest.mark.parametrize("content", ['{"kind": "other"}', "[]"])
def test_another_manifest_is_no_result(tmp_path, content):
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(DataError, match="is no result folder: its manifest is of kind"):
        read_result(tmp_path)


def test_a_cut_manifest_is_named(tmp_path):
    (tmp_path / "manifest.json").write_text('{"kind"')
    with pytest.raises(DataError, match=r"cannot read .*manifest\.json"):
        read_manifest(tmp_path)


def test_an_unknown_key_in_the_manifest_is_named(named, tmp_path):
    out = write_result(tmp_path / "result", named("0"), {})
    manifest = json.loads((out / "manifest.json").read_text())
    (out / "manifest.json").write_text(json.dumps({**manifest, "filez": {}}))
    with pytest.raises(DataError, match="unknown key 'filez'"):
        read_manifest(out)


def test_a_raw_file_that_is_none_is_named(named, tmp_path):
    out = write_result(tmp_path / "result", named("0"), {"x": ARRAYS})
    (out / "raw" / "x.npz").write_bytes(b"PK\3\4 cut")
    with pytest.raises(DataError, match=r"cannot read .*x\.npz"):
        read_raw(out, "x")
