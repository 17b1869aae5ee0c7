"""``vskd bench check``: whatever is changed in a result folder is named."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from vskd.errors import DataError
from vskd_benchmarks.commands.bench import bench
from vskd_benchmarks.goals import VERSION
from vskd_benchmarks.result.check import differences

ROOT = Path(__file__).resolve().parents[3]
CASE = "tiny.onnxruntime.fp32.t1"
RAW = f"raw/{CASE}.npz"


@pytest.fixture
def folder(measured, tmp_path):
    """A copy of a measured folder, to be spoilt."""
    return Path(shutil.copytree(measured[1] / "result", tmp_path / "result"))


def sign_again(folder: Path) -> None:
    """Write the manifest that fits what is there: what a forger would do."""
    manifest = json.loads((folder / "manifest.json").read_text())
    for name in manifest["files"]:
        content = (folder / name).read_bytes()
        manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def edit(folder: Path, *path: str | int, value: object) -> None:
    result = json.loads((folder / "result.json").read_text())
    place = result
    for key in path[:-1]:
        place = place[key]
    assert place[path[-1]] != value
    place[path[-1]] = value
    (folder / "result.json").write_text(json.dumps(result))
    sign_again(folder)


def edit_raw(folder: Path, **changes: np.ndarray) -> None:
    with np.load(folder / RAW) as archive:
        arrays = {name: archive[name] for name in archive.files}
    np.savez_compressed(folder / RAW, **{**arrays, **changes})
    sign_again(folder)


def raw(folder: Path, name: str) -> np.ndarray:
    with np.load(folder / RAW) as archive:
        return archive[name]


def test_what_was_measured_passes(folder):
    assert differences(folder) == []


def test_a_signed_copy_passes(folder):
    # Otherwise the tests below would see the forger's manifest and not the forgery.
    sign_again(folder)
    assert differences(folder) == []


def test_a_report_beside_it_is_no_part_of_it_but_any_other_file_is(folder):
    (folder / "report").mkdir(exist_ok=True)
    (folder / "report" / "report.html").write_text("x")
    assert differences(folder) == []
    (folder / "note.txt").write_text("x")
    assert differences(folder) == ["note.txt is not part of the result"]


@pytest.mark.parametrize("name", ["result.json", RAW])
def test_a_changed_byte_is_named(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(bytes(content))
    assert differences(folder)[0] == f"{name} was changed: its SHA-256 is not the manifest's"


def test_a_byte_changed_anywhere_in_the_raw_file_is_named_and_never_a_crash(folder):
    whole = (folder / RAW).read_bytes()
    for position in range(0, len(whole), max(1, len(whole) // 60)):
        (folder / RAW).write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        assert differences(folder)[0] == f"{RAW} was changed: its SHA-256 is not the manifest's"


def test_a_cut_file_is_named(folder):
    content = (folder / RAW).read_bytes()
    (folder / RAW).write_bytes(content[:-10])
    found = differences(folder)
    assert found[0] == f"{RAW} has {len(content) - 10} bytes, the manifest says {len(content)}"


@pytest.mark.parametrize("name", ["result.json", RAW])
def test_a_removed_file_is_named(folder, name):
    (folder / name).unlink()
    assert differences(folder)[0] == f"{name} is missing"


def test_an_edited_statistic_is_named(folder):
    edit(folder, "cases", 0, "scopes", "sensor_to_label", "p50_ns", value=12)
    (line,) = differences(folder)
    assert line.startswith(
        f"result.json: cases[{CASE}].scopes.sensor_to_label.p50_ns is 12; computed from the raw files"
    )


def test_a_relabelled_validity_is_named(folder):
    status = json.loads((folder / "result.json").read_text())["validity"]["status"]
    edit(folder, "validity", "status", value="valid" if status != "valid" else "degraded")
    (line,) = differences(folder)
    assert line.endswith(f'computed from the raw files it is "{status}"')


def leaves(value, path=()):
    """Paths of the numbers in a document; lists of reasons and the like are walked too."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(item, (*path, key))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path


def test_no_computed_number_can_be_edited_unseen(folder):
    text = (folder / "result.json").read_text()
    result = json.loads(text)
    computed = [("cases", 0, name) for name in ("scopes", "stages", "overhead", "audits")] + [("goals",)]
    paths = []
    for start in computed:
        place = result
        for key in start:
            place = place[key]
        paths += [(*start, *rest) for rest in leaves(place)]
    assert len(paths) > 60
    for path in paths[:: len(paths) // 20]:
        (folder / "result.json").write_text(text)
        edit(folder, *path, value=round(json.loads(text)["cases"][0]["scopes"]["sensor_to_label"]["p50_ns"] + 0.5) + 7)
        assert differences(folder), path


def test_a_fact_that_no_longer_fits_its_verdict_is_named(folder):
    edit(folder, "environment", "after", "throttled", value="0x1")
    found = differences(folder)
    assert any(line.startswith("result.json: validity.reasons is") and "get_throttled" in line for line in found)


def test_edited_nanoseconds_are_named(folder):
    edit_raw(folder, sensor_to_label=raw(folder, "sensor_to_label") // 2)
    found = differences(folder)
    assert any(".sensor_to_label.p50_ns is" in line for line in found)
    assert any(".sensor_to_label.max_ns is" in line for line in found)


def test_edited_outputs_are_named(folder):
    edit_raw(folder, sampled_logits=raw(folder, "sampled_logits") + 1)
    found = differences(folder)
    assert any("audits.outputs.passed is true; computed from the raw files it is false" in line for line in found)
    assert any("validity" in line for line in found)


def test_raw_files_that_do_not_fit_are_one_line(folder):
    edit_raw(folder, started=np.zeros(3), audit_varied=np.zeros((2, 0)))
    (line,) = differences(folder)
    assert line.startswith("the raw files do not fit result.json: ")


def test_what_is_not_of_its_type_is_named(folder):
    edit(folder, "cases", 0, "engine", value=None)
    (line,) = differences(folder)
    assert line == f"{folder / 'result.json'}.cases[0].engine must be of type str, got None"


def test_an_unknown_key_is_named(folder):
    result = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps({**result, "remark": "fine"}))
    sign_again(folder)
    assert differences(folder) == [f"unknown key 'remark' in {folder / 'result.json'}"]


def test_goals_of_a_later_version_are_named(folder):
    edit(folder, "goals_version", value=VERSION + 1)
    assert differences(folder) == [f"there are no goals of version {VERSION + 1}. This vskd knows 1 to {VERSION}"]


def test_the_command_names_each_difference_and_ends_with_1(folder, vskd_bench):
    good = vskd_bench("check", folder)
    assert (good.returncode, good.stdout.startswith("ok: ")) == (0, True)
    (folder / RAW).unlink()
    done = vskd_bench("check", folder)
    assert done.returncode == 1
    assert f"{RAW} is missing" in done.stdout.splitlines()
    assert "is not what was measured: 2 differences" in done.stderr


def test_another_version_is_refused(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "schema_version": 4}))
    with pytest.raises(DataError, match="has schema version 4, this vskd reads 2 and 3"):
        differences(folder)


COMMITTED = sorted(path.parent for path in (ROOT / "benchmarks" / "results").rglob("result.json"))


@pytest.mark.parametrize("folder", COMMITTED, ids=lambda folder: folder.name)
def test_a_committed_result_is_as_it_was_written_and_says_which_goals_it_knew(folder):
    assert differences(folder) == []
    done = CliRunner().invoke(bench, ["check", str(folder)])
    assert done.exit_code == 0, done.output
    knew = json.loads((folder / "result.json").read_text()).get("goals_version", 1)
    older = f"its goals are those of version {knew}; by today's, version {VERSION}:"
    assert (older in done.output) == (knew < VERSION)
    if knew < VERSION:
        assert re.search(r"own overhead at most 20 us a window: missed, worst \d+", done.output)


def test_a_result_of_today_says_nothing_of_older_goals(folder, vskd_bench):
    assert "its goals are" not in vskd_bench("check", folder).stdout
