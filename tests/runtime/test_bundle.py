"""Bundles: what is written is read; what was changed, cut, added or made up is refused in one sentence."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vskd.bundle
from vskd.bundle import Bundle, ModelEntry, write_bundle
from vskd.bundle_files import MANIFEST
from vskd.contract import Contract
from vskd.errors import BundleError, ConfigError, MissingExtraError, VskdError

FILES = ["contract.json", "golden/notes.json", "model.fp32.onnx", "model.fp32.tflite", "report.json"]


@pytest.fixture
def bundle_path(tmp_path: Path, make_bundle, contract: Contract) -> Path:
    return make_bundle(tmp_path / "wrist.bundle", contract)


def all_bytes(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rewrite_manifest(folder: Path, change: dict[str, Any]) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | change))


def read_everything(folder: Path) -> None:
    """Everything that a user of a bundle does with it."""
    bundle = Bundle.open(folder)
    bundle.check()
    for model in bundle.models:
        bundle.model_path(model)


# --- writing and reading


def test_a_bundle_reads_back_what_was_written(bundle_path, contract):
    bundle = Bundle.open(bundle_path)
    bundle.check()
    assert bundle.contract == contract
    assert sorted(bundle.files) == FILES
    assert [(model.file, model.format, model.recipe) for model in bundle.models] == [
        ("model.fp32.onnx", "onnx", "fp32"),
        ("model.fp32.tflite", "tflite", "fp32"),
    ]
    for name, entry in bundle.files.items():
        content = bundle.checked_path(name).read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (entry.sha256, entry.size_bytes)
    assert bundle.sha256() == hashlib.sha256((bundle_path / MANIFEST).read_bytes()).hexdigest()


def test_writing_twice_gives_the_same_bytes(tmp_path, make_bundle, contract):
    one = make_bundle(tmp_path / "one.bundle", contract)
    two = make_bundle(tmp_path / "elsewhere" / "two.bundle", contract)
    assert all_bytes(one) == all_bytes(two)


def test_an_existing_folder_is_not_written_over(bundle_path, contract):
    before = all_bytes(bundle_path)
    with pytest.raises(BundleError, match=r"wrist\.bundle exists.*--overwrite"):
        write_bundle(bundle_path, contract=contract, models=[], files={})
    assert all_bytes(bundle_path) == before


def test_overwrite_replaces_a_bundle_and_leaves_nothing_of_the_old_one(bundle_path, contract):
    write_bundle(bundle_path, contract=contract, models=[], files={"new.json": b"{}"}, overwrite=True)
    assert sorted(all_bytes(bundle_path)) == ["contract.json", MANIFEST, "new.json"]
    assert list(bundle_path.parent.iterdir()) == [bundle_path]


def test_a_bundle_that_appears_while_another_is_written_stays(bundle_path, contract, monkeypatch):
    before = all_bytes(bundle_path)
    monkeypatch.setattr(vskd.bundle, "refuse_existing", lambda folder, overwrite: None)  # it was not there yet
    with pytest.raises(BundleError, match=r"cannot write .*wrist\.bundle: Directory not empty"):
        write_bundle(bundle_path, contract=contract, models=[], files={})
    assert all_bytes(bundle_path) == before


@pytest.mark.parametrize("is_folder", [True, False])
def test_overwrite_replaces_nothing_that_is_no_bundle(tmp_path, contract, is_folder):
    target = tmp_path / "thesis"
    if is_folder:
        target.mkdir()
        (target / "chapter.txt").write_text("years of work")
    else:
        target.write_text("years of work")
    sentence = "exists and is no bundle; it is not replaced" if is_folder else "is a file, and a bundle is a folder"
    with pytest.raises(BundleError, match=sentence):
        write_bundle(target, contract=contract, models=[], files={}, overwrite=True)
    assert (target / "chapter.txt" if is_folder else target).read_text() == "years of work"


class _Interrupted(BaseException):
    """Stands for Ctrl-C."""


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), _Interrupted("Ctrl-C")])
@pytest.mark.parametrize("is_new", [True, False])
def test_an_interrupted_write_leaves_nothing_and_keeps_the_old_bundle(
    bundle_path, contract, monkeypatch, error, is_new
):
    before = all_bytes(bundle_path)
    monkeypatch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(error))
    expected = BundleError if isinstance(error, OSError) else _Interrupted
    out = bundle_path.with_name("new.bundle") if is_new else bundle_path
    with pytest.raises(expected, match=r"cannot write .*No space left.* Nothing was left behind|Ctrl-C"):
        write_bundle(out, contract=contract, models=[], files={"a.json": b"{}"}, overwrite=True)
    assert all_bytes(bundle_path) == before
    assert list(bundle_path.parent.iterdir()) == [bundle_path]


def test_a_bundle_that_a_killed_writer_set_aside_is_there_again(bundle_path, contract):
    before = all_bytes(bundle_path)
    aside = bundle_path.with_name(".wrist.bundle.vskd-old-0123456789abcdef")
    bundle_path.rename(aside)
    Bundle.open(bundle_path).check()
    bundle_path.rename(aside)
    with pytest.raises(BundleError, match=r"wrist\.bundle exists.*--overwrite"):
        write_bundle(bundle_path, contract=contract, models=[], files={})
    assert all_bytes(bundle_path) == before


def test_a_folder_that_cannot_hold_the_bundle_is_named(tmp_path, contract):
    (tmp_path / "file").write_text("")
    with pytest.raises(BundleError, match="cannot write"):
        write_bundle(tmp_path / "file" / "x.bundle", contract=contract, models=[], files={})


@pytest.mark.parametrize("name", ["../up.json", "/etc/passwd", "a/../../b", "a\\b", "", ".", "a//b", "a/", ".hidden"])
def test_a_file_name_outside_the_bundle_is_not_written(tmp_path, contract, name):
    with pytest.raises(BundleError, match="a bundle cannot hold a file named"):
        write_bundle(tmp_path / "x.bundle", contract=contract, models=[], files={name: b""})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["manifest.json", "contract.json"])
def test_the_bundles_own_files_are_not_given_from_outside(tmp_path, contract, name):
    with pytest.raises(BundleError, match=f"{name} is written by vskd itself"):
        write_bundle(tmp_path / "x.bundle", contract=contract, models=[], files={name: b""})


def test_a_model_that_is_not_among_the_files_is_not_listed(tmp_path, contract):
    with pytest.raises(BundleError, match=r"the model model\.onx is not among the files.*Did you mean 'model\.onnx'"):
        write_bundle(
            tmp_path / "x.bundle",
            contract=contract,
            models=[ModelEntry("model.onx", "onnx", "fp32")],
            files={"model.onnx": b""},
        )


# --- changed, cut, added, missing


@pytest.mark.parametrize("name", FILES)
def test_a_changed_byte_in_any_file_is_found(bundle_path, name):
    content = bytearray((bundle_path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle_path / name).write_bytes(content)
    with pytest.raises(BundleError, match=f"{name} was changed: its SHA-256 is .*Copy or export the bundle again"):
        read_everything(bundle_path)


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_short_is_found_on_opening(bundle_path, name):
    content = (bundle_path / name).read_bytes()
    (bundle_path / name).write_bytes(content[:-1])
    with pytest.raises(BundleError, match=f"{name} was changed: it has {len(content) - 1} bytes, the manifest says"):
        Bundle.open(bundle_path)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_found_on_opening(bundle_path, name):
    (bundle_path / name).unlink()
    with pytest.raises(BundleError, match=f"{name} is missing.*Copy or export the bundle again"):
        Bundle.open(bundle_path)


def test_a_file_that_became_a_folder_is_refused(bundle_path):
    (bundle_path / "report.json").unlink()
    (bundle_path / "report.json").mkdir()
    with pytest.raises(BundleError, match=r"report\.json is not part of the bundle"):
        Bundle.open(bundle_path)


@pytest.mark.parametrize("name", ["extra.txt", "golden/extra.npz", ".hidden"])
def test_an_additional_file_is_found(bundle_path, name):
    bundle = Bundle.open(bundle_path)
    (bundle_path / name).write_text("surprise")
    for open_or_check in (lambda: Bundle.open(bundle_path), bundle.check):
        with pytest.raises(BundleError, match=f"{name} is not part of the bundle"):
            open_or_check()


def test_a_model_changed_after_opening_is_not_handed_out(bundle_path):
    bundle = Bundle.open(bundle_path)
    content = bytearray((bundle_path / "model.fp32.onnx").read_bytes())
    content[10] ^= 255
    (bundle_path / "model.fp32.onnx").write_bytes(content)
    with pytest.raises(BundleError, match=r"model\.fp32\.onnx was changed"):
        bundle.model_path(bundle.models[0])


def test_a_file_that_vanished_after_opening_is_named(bundle_path):
    bundle = Bundle.open(bundle_path)
    (bundle_path / "report.json").unlink()
    with pytest.raises(BundleError, match=r"cannot read .*report\.json: No such file or directory"):
        bundle.checked_path("report.json")


def test_a_file_that_the_bundle_never_had_is_answered_with_the_nearest(bundle_path):
    with pytest.raises(BundleError, match=r"holds no reprot\.json.*Did you mean 'report\.json'"):
        Bundle.open(bundle_path).checked_path("reprot.json")


# --- the manifest


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere", "there is no bundle at .*vskd export"),
        (".", r"it has no manifest\.json. `vskd export RUN --out NAME\.bundle` makes one"),
        ("run", r"run is a run, and no bundle. `vskd export \S+/run --out NAME\.bundle` makes one"),
    ],
)
def test_a_path_without_a_bundle_is_refused(tmp_path, path, message):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    with pytest.raises(BundleError, match=message):
        Bundle.open(tmp_path / path)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "golden/../../x", "..", "a\\b", "a\x00b", "a" * 5000, "\ud800"]
)
def test_a_manifest_that_points_outside_is_refused(bundle_path, name):
    rewrite_manifest(bundle_path, {"files": {name: {"sha256": "0" * 64, "size_bytes": 3}}})
    with pytest.raises(BundleError, match=r"a bundle cannot hold a file named .*do not use this bundle"):
        Bundle.open(bundle_path)


@pytest.mark.parametrize("version", [0, 2, "1", None, [1]])
def test_another_schema_version_is_refused_with_both_ways_out(bundle_path, version):
    rewrite_manifest(bundle_path, {"schema_version": version})
    with pytest.raises(BundleError, match=r"schema version .*, this vskd reads 1.*or export the run again"):
        Bundle.open(bundle_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"files": {}}, r"does not list contract\.json"),
        ({"files": []}, "was changed or cut short"),
        ({"models": {"file": "x"}}, r"manifest\.json\.models must be a list"),
        ({"models": [3]}, "must be a table of settings, got 3"),
        ({"models": [{"file": "m.onnx", "format": "onnx", "recipe": "fp32"}]}, r"does not list m\.onnx"),
        ({"models": [{"file": "m", "format": "onxx", "recipe": "fp32"}]}, "Did you mean 'onnx'"),
        ({"models": [{"file": "m", "format": "onnx", "recipe": "fp32", "x": 1}]}, "unknown key 'x'"),
        ({"files": {"contract.json": {"sha256": "0"}}}, "lacks the key 'size_bytes'"),
        ({"files": {"contract.json": {"sha256": 0, "size_bytes": 1}}}, "sha256 must be of type str"),
        ({"files": {"contract.json": None}}, "must be a table of settings, got None"),
    ],
)
def test_a_manifest_made_up_by_hand_is_refused(bundle_path, change, message):
    rewrite_manifest(bundle_path, change)
    with pytest.raises(BundleError, match=message):
        Bundle.open(bundle_path)


@pytest.mark.parametrize("content", [b"", b"{", b"null", b"[]", b"\xff\xfe\x00", b"[" * 100_000, b'{"files": 3}'])
def test_a_manifest_that_is_no_manifest_is_refused(bundle_path, content):
    (bundle_path / MANIFEST).write_bytes(content)
    with pytest.raises(BundleError, match=r"manifest\.json was changed or cut short.*Copy or export it again"):
        Bundle.open(bundle_path)


@pytest.mark.parametrize("content", [b"{}", b"\xff\xfe", b"[]", b'{"labels": ["a"]}'])
def test_a_contract_made_up_together_with_its_hash_is_refused(bundle_path, content):
    (bundle_path / "contract.json").write_bytes(content)
    manifest = json.loads((bundle_path / MANIFEST).read_text())
    entry = {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
    rewrite_manifest(bundle_path, {"files": manifest["files"] | {"contract.json": entry}})
    with pytest.raises(VskdError, match=r"contract"):
        Bundle.open(bundle_path)


@pytest.fixture(scope="module")
def shared_bundle(tmp_path_factory: pytest.TempPathFactory, make_bundle) -> Path:
    return make_bundle(tmp_path_factory.mktemp("fuzz") / "x.bundle", Contract(labels=("a", "b")))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_in_any_place_of_the_manifest_ends_in_a_bundle_or_an_error_of_ours(shared_bundle, data):
    manifest_path = shared_bundle / MANIFEST
    original = manifest_path.read_bytes()
    manifest = json.loads(original)
    inner: Any = manifest
    while isinstance(inner, dict | list) and inner:
        keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(inner[key], dict | list) or data.draw(st.booleans()):
            inner[key] = data.draw(JSON)
            break
        inner = inner[key]
    _open_and_restore(manifest_path, json.dumps(manifest).encode(), original)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 10_000), value=st.integers(0, 255), cut=st.booleans())
def test_any_changed_byte_of_the_manifest_ends_in_a_bundle_or_an_error_of_ours(shared_bundle, position, value, cut):
    manifest_path = shared_bundle / MANIFEST
    original = manifest_path.read_bytes()
    position %= len(original)
    changed = original[:position] + bytes([value]) + (b"" if cut else original[position + 1 :])
    _open_and_restore(manifest_path, changed, original)


def _open_and_restore(manifest_path: Path, changed: bytes, original: bytes) -> None:
    refusal = None
    manifest_path.write_bytes(changed)
    try:
        read_everything(manifest_path.parent)
    except VskdError as error:
        refusal = error
    finally:
        manifest_path.write_bytes(original)
    assert refusal is None or (refusal.message and refusal.hint)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_bundle_that_may_not_be_read_is_named(bundle_path):
    (bundle_path / MANIFEST).chmod(0)
    with pytest.raises(BundleError, match=r"cannot read .*Check its permissions"):
        Bundle.open(bundle_path)


# --- what to run


def with_engines(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(vskd.bundle, "installed_engines", lambda: names)


@pytest.fixture
def two_recipes(tmp_path: Path, contract: Contract) -> Bundle:
    models = [
        ModelEntry("a.onnx", "onnx", "fp32"),
        ModelEntry("b.onnx", "onnx", "w8a8-static-pc"),
        ModelEntry("c.tflite", "tflite", "fp16"),
    ]
    files = {model.file: model.file.encode() for model in models}
    return Bundle.open(write_bundle(tmp_path / "y.bundle", contract=contract, models=models, files=files))


@pytest.mark.parametrize(
    ("installed", "engine", "recipe", "expected"),
    [
        (("litert", "onnxruntime"), None, None, ("litert", "c.tflite")),
        (("onnxruntime",), None, None, ("onnxruntime", "b.onnx")),
        (("litert", "onnxruntime"), None, "fp32", ("onnxruntime", "a.onnx")),
        (("litert", "onnxruntime"), None, "int8", ("onnxruntime", "b.onnx")),
        (("litert",), "onnxruntime", "fp32", ("onnxruntime", "a.onnx")),
        (("onnxruntime", "tensorflow"), "tensorflow", None, ("tensorflow", "c.tflite")),
    ],
)
def test_the_choice_is_the_users_or_the_first_that_fits(two_recipes, monkeypatch, installed, engine, recipe, expected):
    with_engines(monkeypatch, *installed)
    name, entry = two_recipes.select(engine=engine, recipe=recipe)
    assert (name, entry.file) == expected


def test_a_choice_that_the_bundle_does_not_hold_is_refused_with_what_it_holds(two_recipes, monkeypatch):
    with_engines(monkeypatch, "litert", "onnxruntime")
    with pytest.raises(ConfigError, match=r"no model of recipe fp16 for onnxruntime.*It holds: a\.onnx, b\.onnx"):
        two_recipes.select(engine="onnxruntime", recipe="fp16")
    with pytest.raises(ConfigError, match="no model of recipe int4 for litert or onnxruntime"):
        two_recipes.select(recipe="int4")
    with pytest.raises(ConfigError, match=r"there is no engine 'onnxrun'.*Did you mean 'onnxruntime'"):
        two_recipes.select(engine="onnxrun")


def test_without_any_engine_the_extra_is_named(two_recipes, monkeypatch):
    with_engines(monkeypatch)
    with pytest.raises(MissingExtraError, match=r"pip install 'vskd\[litert\]'"):
        two_recipes.select()


@pytest.mark.parametrize("installed", [(), ("onnxruntime",)])
def test_where_no_installed_engine_fits_vskds_own_runs_the_int8_model(tmp_path, contract, monkeypatch, installed):
    with_engines(monkeypatch, *installed)
    models = [ModelEntry("a.tflite", "tflite", "fp32"), ModelEntry("b.tflite", "tflite", "w8a8-static-pc")]
    files = {model.file: model.file.encode() for model in models}
    bundle = Bundle.open(write_bundle(tmp_path / "y.bundle", contract=contract, models=models, files=files))
    for recipe in (None, "int8"):
        name, entry = bundle.select(recipe=recipe)
        assert (name, entry.file) == ("vskd", "b.tflite")
    with pytest.raises(ConfigError if installed else MissingExtraError):
        bundle.select(recipe="fp32")


def test_runnable_lists_installed_engines_with_the_models_they_run(two_recipes, monkeypatch):
    with_engines(monkeypatch, "litert", "onnxruntime")
    pairs = [(name, entry.file) for name, entry in two_recipes.runnable()]
    assert pairs == [("litert", "c.tflite"), ("onnxruntime", "a.onnx"), ("onnxruntime", "b.onnx")]
