"""Model files that take their engine down: found in a child process, once for each content."""

from __future__ import annotations

import json
import os
import signal
import struct
import time
from contextlib import nullcontext, suppress
from pathlib import Path

import numpy as np
import onnx
import pytest

from runtime.conftest import LABELS, mean_model_onnx, mean_model_tflite
from vskd.bundle import Bundle, ModelEntry, write_bundle
from vskd.classifier import Classifier
from vskd.engines import process, trial
from vskd.engines.process import infer_in_subprocess
from vskd.engines.trial import try_once
from vskd.errors import BundleError, EngineError
from vskd.model_contract import contract_inside

FILE = "model.fp32.tflite"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    folder: Path = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


def bundle_of(folder: Path, contract, content: bytes) -> Path:
    return write_bundle(
        folder, contract=contract, models=[ModelEntry(FILE, "tflite", "fp32")], files={FILE: content}, overwrite=True
    )


def tried(cache: Path) -> list[str]:
    folder = cache / "vskd" / "tried-models"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


@pytest.fixture
def starts(monkeypatch) -> list[str]:
    """Every process that is started for a trial, whose windows are zeros and movement."""
    seen: list[str] = []

    def noting(engine, models, windows, **settings):
        seen.append(engine)
        assert [float(np.std(window)) > 0.5 for window in windows] == [False, True, True]
        return infer_in_subprocess(engine, models, windows, **settings)

    monkeypatch.setattr(trial, "infer_in_subprocess", noting)
    return seen


def test_a_model_is_tried_once_for_each_content(tmp_path, contract, cache, starts):
    one = bundle_of(tmp_path / "one.bundle", contract, mean_model_tflite(contract=contract))
    for _ in range(3):
        Classifier.open(one, engine="litert")
    assert starts == ["litert"]
    assert len(tried(cache)) == 1
    other = contract.with_decision(smoothing=0.5)
    two = bundle_of(tmp_path / "two.bundle", other, mean_model_tflite(contract=other))
    Classifier.open(two, engine="litert")
    assert starts == ["litert"] * 2


def test_another_version_of_the_engine_tries_again(tmp_path, contract, starts, monkeypatch):
    one = bundle_of(tmp_path / "one.bundle", contract, mean_model_tflite(contract=contract))
    for version in ("1", "2", "2"):
        monkeypatch.setattr(trial.metadata, "version", lambda _, version=version: version)
        try_once("litert", one / FILE, sha256="0", window_shape=(3, 32), classes=3)
    assert starts == ["litert"] * 2


def test_an_answer_that_is_no_numbers_is_refused():
    with pytest.raises(EngineError, match="a window gives 2 values of object, at most 10 numbers are taken"):
        process._held(np.array([b"jog", None], dtype=object), 10)


def bytes_field(number: int, content: bytes, *, beyond: int = 0) -> bytes:
    """A protobuf field; ``beyond`` is added to its tag, behind the 32 bits that readers look at."""
    return b"".join(map(varint, (number << 3 | 2 | beyond << 32, len(content)))) + content


def varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def test_graphs_within_graphs_have_an_end():
    graph = b""
    for _ in range(30):  # attribute.g, node.attribute, graph.node
        graph = bytes_field(1, bytes_field(5, bytes_field(6, graph)))
    with pytest.raises(BundleError, match="its graphs are nested more than 64 deep"):
        contract_inside(bytes_field(7, graph), "onnx", name="m")


def test_a_field_that_only_some_readers_see_is_refused():
    with pytest.raises(BundleError, match="there is no field"):
        contract_inside(bytes_field(7, b"", beyond=1), "onnx", name="m")


@pytest.mark.parametrize(
    ("has_embedding", "said", "problem"),
    [(True, 3, ""), (True, 0, ""), (False, 3, "gives logits and no embedding"), (True, 4, "an embedding of \\(3,\\)")],
)
def test_a_model_gives_the_embedding_that_the_manifest_promises(tmp_path, contract, has_embedding, said, problem):
    content = mean_model_tflite(contract=contract, embedding=has_embedding)
    models = [ModelEntry(FILE, "tflite", "fp32", embedding_size=said)]
    folder = write_bundle(tmp_path / "x.bundle", contract=contract, models=models, files={FILE: content})
    with pytest.raises(EngineError, match=problem) if problem else nullcontext():
        Classifier.open(folder, engine="litert")


def test_without_a_place_to_write_it_is_tried_each_time(tmp_path, contract, cache, starts):
    cache.write_text("a file")
    one = bundle_of(tmp_path / "one.bundle", contract, mean_model_tflite(contract=contract))
    for _ in range(2):
        Classifier.open(one, engine="litert")
    assert starts == ["litert"] * 2


def test_damage_ends_in_a_model_that_runs_or_in_one_sentence(tmp_path, contract):
    content = mean_model_tflite(contract=contract)
    text = content.index(b"{")
    rng = np.random.default_rng(3)
    for _ in range(12):
        changed = bytearray(content)
        for place in rng.integers(4, text, 3):
            changed[place] = rng.integers(256)
        folder = bundle_of(tmp_path / "x.bundle", contract, bytes(changed))
        with suppress(EngineError, BundleError):
            assert Classifier.open(folder, engine="litert").engine.infer(np.zeros((3, 32), np.float32)).shape == (3,)


def test_a_child_that_dies_is_named_by_its_signal(tmp_path, contract, monkeypatch):
    model = tmp_path / FILE
    model.write_bytes(mean_model_tflite())
    monkeypatch.setattr(
        process, "_environment", lambda: {**os.environ, "PYTHONSTARTUP": "", "PYTHONPATH": str(tmp_path)}
    )
    (tmp_path / "numpy.py").write_text(f"import os\nos.kill(os.getpid(), {int(signal.SIGSEGV)})\n")
    (tmp_path / "vskd").symlink_to(Path(process.__file__).parents[1])
    with pytest.raises(EngineError, match=r"litert failed \(SIGSEGV\): it said nothing"):
        try_once("litert", model, sha256="0", window_shape=(3, 32), classes=3)


def test_a_model_that_asks_for_all_memory_is_one_sentence(tmp_path, contract):
    """The input is said to be (1, 3, 2^31): it is told apart from the contract's before anything is allocated."""
    content = mean_model_tflite(contract=contract)
    shape = struct.pack("<IIII", 3, 1, 3, 32)
    assert content.count(shape) == 1
    folder = bundle_of(tmp_path / "x.bundle", contract, content.replace(shape, struct.pack("<IIII", 3, 1, 3, 2**29)))
    with pytest.raises(EngineError, match=r"litert (failed|cannot)"):
        Classifier.open(folder, engine="litert")


def test_a_model_of_millions_of_answers_is_refused_before_they_are_sent(tmp_path, contract):
    values = [
        onnx.helper.make_tensor_value_info(*port) for port in (("window", 1, [1, 3, 32]), ("logits", 1, [1, 2**24]))
    ]
    nodes = [
        onnx.helper.make_node("Constant", [], ["shape"], value_ints=[1, 2**24]),
        onnx.helper.make_node("ConstantOfShape", ["shape"], ["logits"]),
    ]
    model = onnx.load_from_string(mean_model_onnx(contract=contract))
    model.graph.CopyFrom(onnx.helper.make_graph(nodes, "zeros", values[:1], values[1:]))
    name = "model.fp32.onnx"
    folder = write_bundle(
        tmp_path / "x.bundle", contract=contract, models=[ModelEntry(name, "onnx", "fp32")],
        files={name: model.SerializeToString()},
    )  # fmt: skip
    with pytest.raises(EngineError, match="a window gives 16777216 values of float32, at most 1000 numbers are taken"):
        Classifier.open(folder)


def test_a_model_of_other_classes_is_refused_before_the_first_window(tmp_path, contract):
    other = type(contract)(**{**vars(contract), "labels": (*LABELS, "none")})
    folder = bundle_of(tmp_path / "x.bundle", other, mean_model_tflite(contract=other))
    with pytest.raises(EngineError, match=r"gives \(3,\) values for a window, the contract has 4 labels"):
        Classifier.open(folder, engine="litert")


def test_a_trial_that_cannot_start_is_one_sentence(tmp_path, contract, monkeypatch):
    folder = bundle_of(tmp_path / "x.bundle", contract, mean_model_tflite(contract=contract))
    monkeypatch.setattr(process.sys, "executable", str(tmp_path / "no-python"))
    with pytest.raises(EngineError, match="no process can be started for litert: No such file"):
        Classifier.open(folder, engine="litert")


def test_the_bundle_names_its_models_to_the_trial(tmp_path, contract):
    folder = bundle_of(tmp_path / "x.bundle", contract, mean_model_tflite(contract=contract))
    manifest = json.loads((folder / "manifest.json").read_text())
    assert Bundle.open(folder).files[FILE].sha256 == manifest["files"][FILE]["sha256"]


def test_a_tflite_whose_metadata_share_one_long_name_is_read_at_once():
    """Copying the name for each of them took hours: the time grew with the square of the file's size."""
    count, size = 20_000, 4_000_000
    fields = struct.pack("<HH7HH", 18, 12, 0, 0, 0, 0, 4, 0, 8, 0)  # of Model: buffers at 4, metadata at 8
    model = 8 + len(fields)
    buffers, metadata = model + 12, model + 16
    entry = metadata + 4 + 4 * count
    offsets = b"".join(struct.pack("<I", entry - (metadata + 4 + 4 * index)) for index in range(count))
    content = (
        struct.pack("<I4s", model, b"TFL3") + fields
        + struct.pack("<iII", model - 8, buffers - model - 4, metadata - model - 8)
        + struct.pack("<II", 0, count) + offsets
        + struct.pack("<iI", -8, 12) + struct.pack("<HHHH", 8, 8, 4, 0) + struct.pack("<I", size) + bytes(size)
    )  # fmt: skip
    started = time.monotonic()
    with pytest.raises(BundleError, match="m carries no contract"):
        contract_inside(content, "tflite", name="m")
    assert time.monotonic() - started < 5  # the copies: 80 GB
