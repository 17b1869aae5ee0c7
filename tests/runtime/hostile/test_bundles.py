"""Bundles that someone made to do harm: each is refused in one sentence, and nothing is loaded on the way."""

from __future__ import annotations

import hashlib
import io
import json
import os
import socket
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from runtime.conftest import GOLDEN_MODEL, golden_of, golden_stream_of, mean_model_onnx, mean_model_tflite
from vskd.bundle import Bundle, ModelEntry, write_bundle
from vskd.bundle_files import CONTRACT, GOLDEN_EVENTS, GOLDEN_VECTORS, MANIFEST, REPORT
from vskd.checks.golden import golden_to_bytes
from vskd.checks.selftest import selftest
from vskd.classifier import Classifier
from vskd.errors import BundleError, VskdError

LABELS = ("x up", "y up", "z up")


@pytest.fixture
def bundle(tmp_path: Path, make_golden_bundle, contract) -> Path:
    folder: Path = make_golden_bundle(tmp_path / "wrist.bundle", contract)
    return folder


def rewrite(folder: Path, name: str, content: bytes) -> None:
    """Exchange a file and its hash: an attacker has the manifest, too."""
    (folder / name).write_bytes(content)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
    (folder / MANIFEST).write_text(json.dumps(manifest))


def change_json(folder: Path, name: str, change: Callable[[Any], Any]) -> None:
    content = json.loads((folder / name).read_text())
    rewrite(folder, name, json.dumps(change(content) or content).encode())


# --- the contract beside a model, and the model's own


def exchange_labels(folder: Path) -> None:
    change_json(folder, CONTRACT, lambda content: {**content, "labels": ["y up", "x up", "z up"]})


@pytest.mark.parametrize(
    "change", [{"labels": ["y up", "x up", "z up"]}, {"logit_tolerance": 0.009}, {"trained_on": "x"}]
)
def test_a_model_of_another_contract_is_not_run(bundle, change):
    change_json(bundle, CONTRACT, lambda content: {**content, **change})
    with pytest.raises(BundleError, match=r"the contract inside model\.fp32\.onnx is not that of contract\.json"):
        Classifier.open(bundle)


@pytest.mark.parametrize("words", [("run", "--input", "in.csv"), ("selftest",), ("doctor",), ("verify",)])
def test_every_command_compares_the_contract_with_the_models_own(bundle, tmp_path, command, words):
    rows = "".join(f"{index / 50},0,0,1\n" for index in range(64))
    (tmp_path / "in.csv").write_text(f"time_s,ax,ay,az\n{rows}")
    exchange_labels(bundle)
    name, *options = [str(tmp_path / word) if word.endswith(".csv") else word for word in words]
    result = command(name, bundle, *options)
    assert result.code == 1
    assert "the contract inside model.fp32.onnx is not that of contract.json" in result.out + result.err
    assert result.err.count("error: ") == 1
    assert "x up" not in result.out.replace("expected 'x up'", "").replace("is 'x up'", "")


def test_the_doctor_sends_nobody_to_install_an_engine_for_a_model_of_another_contract(bundle, command):
    exchange_labels(bundle)
    result = command("doctor", bundle)
    assert "this machine cannot run it: the contract inside model.fp32.onnx is not that" in result.err
    assert "no engine here runs" not in result.out


def test_labels_exchanged_in_both_contracts_are_found_by_the_replay(tmp_path, contract, command):
    """Then only the golden events still know which class is which."""
    other = type(contract)(**{**vars(contract), "labels": ("x up", "z up", "y up")})
    files = {
        GOLDEN_MODEL: mean_model_onnx(contract=other), GOLDEN_VECTORS: golden_to_bytes(golden_of(contract)),
        **golden_stream_of(contract),
    }  # fmt: skip
    folder = write_bundle(
        tmp_path / "x.bundle", contract=other, models=[ModelEntry(GOLDEN_MODEL, "onnx", "fp32")], files=files
    )
    result = command("selftest", folder)
    assert result.code == 1
    assert "is 'y up', expected 'z up'" in result.out


# --- what lies in the folder


def add_folder(folder: Path) -> None:
    (folder / "weights").mkdir()


def add_link(folder: Path) -> None:
    (folder / "weights.bin").symlink_to("/etc/hostname")


def add_link_to_a_folder(folder: Path) -> None:
    (folder / "data").symlink_to("/etc")


def add_dangling_link(folder: Path) -> None:
    (folder / "golden" / "gone").symlink_to("nowhere")


def add_pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe")


def add_socket(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(folder / "s"))


def add_file(folder: Path) -> None:
    (folder / "weights.bin").write_bytes(bytes(64))


@pytest.mark.parametrize(
    ("add", "problem"),
    [
        (add_folder, "weights is not part of the bundle"),
        (add_file, r"weights\.bin is not part of the bundle"),
        (add_link, r"weights\.bin is a link"),
        (add_link_to_a_folder, "data is a link"),
        (add_dangling_link, "gone is a link"),
        (add_pipe, "pipe is no regular file"),
        (add_socket, "s is no regular file"),
    ],
)
def test_what_no_hash_covers_is_refused(bundle, add, problem, monkeypatch):
    monkeypatch.chdir(bundle)  # a socket's path is short
    add(Path())
    with pytest.raises(BundleError, match=problem):
        Bundle.open(bundle)


@pytest.mark.parametrize("name", [CONTRACT, REPORT, GOLDEN_MODEL, GOLDEN_VECTORS])
@pytest.mark.parametrize("make", [lambda path, kept: path.symlink_to(kept), lambda path, kept: os.mkfifo(path)])
def test_a_listed_file_that_is_none_is_refused_and_not_waited_for(bundle, tmp_path, name, make):
    if name == REPORT:
        rewrite(bundle, REPORT, b"{}")
    kept = tmp_path / "kept"
    (bundle / name).rename(kept)
    make(bundle / name, kept)
    with pytest.raises(BundleError, match=r"is a link|is no regular file"):
        Bundle.open(bundle)


def test_a_manifest_that_never_ends_is_not_read(bundle):
    (bundle / MANIFEST).unlink()
    os.mkfifo(bundle / MANIFEST)
    with pytest.raises(BundleError, match="it has no manifest"):
        Bundle.open(bundle)


def test_a_huge_manifest_is_not_read(bundle):
    with (bundle / MANIFEST).open("ab") as stream:
        stream.truncate(10 * 2**30)  # of holes
    with pytest.raises(BundleError, match="has 10737418240 bytes, more than any manifest"):
        Bundle.open(bundle)


def test_a_huge_contract_is_not_read(bundle):
    rewrite(bundle, CONTRACT, b" " * (2**20 + 1))
    with pytest.raises(BundleError, match=r"contract\.json has 1048577 bytes, more than any contract"):
        Bundle.open(bundle)


# --- a model that names other files


def external_model(contract, place: str) -> bytes:
    """The mean model, whose weights are said to be in another file: of the graph, a node, a subgraph or a function."""
    tensor = helper.make_tensor("axes", TensorProto.INT64, [1], [2])
    tensor.ClearField("int64_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    model = onnx.load_from_string(mean_model_onnx(contract=contract))
    node = model.graph.node[0]
    if place == "initializer":
        model.graph.initializer[0].CopyFrom(tensor)
    elif place == "sparse":
        model.graph.sparse_initializer.add().values.CopyFrom(tensor)
    elif place == "attribute":
        node.attribute.append(helper.make_attribute("value", tensor))
    elif place == "subgraph":
        inner = helper.make_graph([], "inner", [], [], [tensor])
        node.attribute.append(
            helper.make_attribute(
                "body", helper.make_graph([helper.make_node("If", [], [], then_branch=inner)], "outer", [], [])
            )
        )
    else:
        function = model.functions.add()
        function.node.append(helper.make_node("Constant", [], ["c"], value=tensor))
    return model.SerializeToString()


@pytest.mark.parametrize("place", ["initializer", "sparse", "attribute", "subgraph", "function"])
def test_a_model_that_takes_values_out_of_other_files_is_refused(bundle, contract, place):
    rewrite(bundle, GOLDEN_MODEL, external_model(contract, place))
    with pytest.raises(BundleError, match=r"model\.fp32\.onnx takes values out of other files"):
        Classifier.open(bundle)
    stages = {check.stage: check.problem for check in selftest(Bundle.open(bundle))}
    assert "takes values out of other files" in stages["contract"]
    assert "engine" not in stages  # which would open them


@pytest.mark.parametrize(
    ("field", "kind"), [("externalBufferGroups", "ExternalBufferGroupT"), ("externalBuffers", "ExternalBufferT")]
)
def test_a_tflite_that_takes_values_out_of_other_files_is_refused(contract, field, kind):
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    from vskd.model_contract import contract_inside

    content = mean_model_tflite(contract=contract)
    assert contract_inside(content, "tflite", name="m.tflite") == contract
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    setattr(model, field, [getattr(schema, kind)()])
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    with pytest.raises(BundleError, match=r"m\.tflite takes values out of other files"):
        contract_inside(bytes(builder.Output()), "tflite", name="m.tflite")


# --- documents that overflow


DEEP = b'{"a":' * 1000 + b"1" + b"}" * 1000
DIGITS = b'{"schema_version": ' + b"1" * 5000 + b"}"
TWICE = b'{"labels": ["a", "b"], "labels": ["c", "d"]}'


@pytest.mark.parametrize("content", [DEEP, DIGITS, TWICE, b"[" * 100_000, b"\xff", b"3", b"null"])
@pytest.mark.parametrize("name", [MANIFEST, CONTRACT, REPORT, GOLDEN_EVENTS])
@pytest.mark.parametrize("word", ["inspect", "verify", "selftest", "doctor"])
def test_a_document_that_overflows_is_one_sentence(bundle, command, name, content, word):
    if name == MANIFEST:
        (bundle / MANIFEST).write_bytes(content)
    else:
        rewrite(bundle, name, content)
    result = command(word, bundle)
    used = name in (MANIFEST, CONTRACT) or ((word == "inspect") == (name == REPORT) and word != "doctor")
    assert (result.code, result.err.count("error: ")) == ((1, 1) if used else (0, 0)) or not used
    assert "Traceback" not in result.err
    if name == GOLDEN_EVENTS and used:
        assert result.out.count("FAILED") == 1


# --- golden vectors


def npy(array: np.ndarray, header: dict[str, Any] | None = None) -> bytes:
    stream = io.BytesIO()
    if header is None:
        np.save(stream, array, allow_pickle=True)
        return stream.getvalue()
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + array.tobytes()


def arrays_of(contract) -> dict[str, bytes]:
    with np.load(io.BytesIO(golden_to_bytes(golden_of(contract)))) as archive:
        return {name: npy(archive[name]) for name in archive.files}


def archive(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as into:
        for name, content in members.items():
            into.writestr(f"{name}.npy", content)
    return stream.getvalue()


def header(kind: str, shape: tuple[int, ...]) -> dict[str, Any]:
    return {"descr": kind, "fortran_order": False, "shape": shape}


def a_terabyte_in_the_header(arrays):
    return archive(arrays | {"windows": npy(np.zeros(1, "f4"), header("<f4", (2**38,)))})


def a_negative_shape(arrays):
    return archive(arrays | {"labels": npy(np.zeros(6, "i8"), header("<i8", (-2, -3)))})


def a_bomb(arrays):
    return archive(arrays | {"images": npy(np.zeros((2**28), "u1"))}, zipfile.ZIP_DEFLATED)


def a_bomb_that_says_it_is_small(arrays):
    content = archive(arrays | {"images": npy(np.zeros(2**26, "u1"))}, zipfile.ZIP_DEFLATED)
    stated = struct.pack("<I", 2**26 + 128)
    assert content.count(stated) == 2
    return content.replace(stated, struct.pack("<I", 1000))


def python_objects(arrays):
    return archive(arrays | {"names": npy(np.array([{}] * 9, dtype=object))})


def records(arrays):
    return archive(arrays | {"labels": npy(np.zeros(9, dtype=[("a", "i4"), ("b", "i4")]))})


def text_that_is_none(arrays):
    return archive(arrays | {"names": npy(np.full(9, 0x7FFFFFFF, "<u4"), header("<U1", (9,)))})


def of(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[dict[str, bytes]], bytes]:
    def changed(arrays):
        return archive(arrays | {name: npy(change(np.load(io.BytesIO(arrays[name]))))})

    changed.__name__ = f"{name} changed"
    return changed


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (a_terabyte_in_the_header, "has 4 bytes, which are not float32 of shape"),
        (a_negative_shape, "which are not int64 of shape"),
        (a_bomb, "images are uint8 of shape"),
        (a_bomb_that_says_it_is_small, "images"),
        (python_objects, "holds Python objects, not numbers"),
        (records, "not numbers"),
        (text_that_is_none, "holds text that is none"),
        (lambda arrays: b"", "no archive of arrays"),
        (lambda arrays: archive(arrays)[:-900], "no archive of arrays"),
        (lambda arrays: archive(arrays, zipfile.ZIP_BZIP2), "compressed as numpy never does"),
        (lambda arrays: archive({f"a{index}": b"" for index in range(1001)}), "1001 members"),
        (lambda arrays: archive({name: content for name, content in arrays.items() if name != "images"}), "images"),
        (lambda arrays: archive(arrays | {"x": npy(np.zeros(1))}), "'x', which is no file of the bundle"),
        (of("windows", lambda array: array[:0]), "windows are float32 of shape"),
        (of("windows", lambda array: array[:, :2]), "windows are float32 of shape"),
        (of("images", lambda array: array[..., :5]), "images are float32 of shape"),
        (of("logits", lambda array: array[:, :1]), "logits are float32 of shape"),
        (of("logits", lambda array: array * np.nan), "logits are not finite"),
        (of("probabilities", lambda array: array.astype("U3")), "probabilities are <U3 of shape"),
        (of("labels", lambda array: array + 1), "labels lie outside 0..2"),
        (of("labels", lambda array: array.astype(float)), "labels are float64 of shape"),
        (of("margins", lambda array: array[:, None]), "margins are float32 of shape"),
        (lambda arrays: archive(arrays | {"embeddings": npy(np.zeros((9, 3), np.float32))}), "embeddings are float32"),
        (lambda arrays: archive(arrays | {"model_embeddings/x": npy(np.zeros(1))}), "'x', which is no file of the"),
    ],
)
def test_golden_vectors_that_are_none_are_one_failed_line(bundle, contract, command, make, problem):
    rewrite(bundle, GOLDEN_VECTORS, make(arrays_of(contract)))
    for word in ("selftest", "verify"):
        result = command(word, bundle)
        assert result.code == 1
        assert result.out.count("FAILED") == 1
        assert problem in result.out
        assert result.err.count("error: ") == 1


def event(content: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = content["cases"][0]["events"][0]
    return found


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda content: {"cases": []}, "there is no event"),
        (lambda content: event(content).update(probabilities=[1.0]), "with 1 probabilities, and the contract 3 labels"),
        (lambda content: event(content).update(label="dance"), "'dance' with 3 probabilities"),
        (lambda content: event(content).update(probabilities="x"), "must be a list"),
        (lambda content: content["cases"][0].update(file="../x.csv"), "holds no ../x.csv"),
        (lambda content: content["cases"][0].update(axes="x,y"), "an axis map names"),
        (lambda content: content["cases"][0].update(health={"samples": 3}), "the stream counted"),
        (lambda content: content["cases"][0].update(events=content["cases"][0]["events"][:1]), "events at other times"),
    ],
)
def test_golden_events_that_are_none_are_one_failed_line(bundle, command, change, problem):
    change_json(bundle, GOLDEN_EVENTS, change)
    result = command("selftest", bundle)
    assert result.code == 1
    assert result.out.count("FAILED") == 1
    assert problem in result.out
    assert result.err.count("error: ") == 1


# --- reports, and models that give something else


GRAPH: dict[str, Any] = {
    "inputs": [{"name": "window", "shape": [1, 3, 32], "type": "float32"}],
    "outputs": [{"name": "logits", "shape": [1, 3], "type": "float32"}],
    "operators": {"Mean": 1}, "version": "opset 18", "macs": 7, "parameters": 3,
    "quantization": {"image": {"scale": 0.5, "zero_point": 1}},
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": 3}, {"inputs": [3]}, {"inputs": [{"name": "x", "shape": "abc"}]}, {"outputs": {"a": 1}},
        {"macs": "many"}, {"macs": [1]}, {"parameters": {}}, {"quantization": [1]},
        {"quantization": {"a": {"scale": "x"}}},
        {"operators": {"Mean": "x"}}, {"version": 3},
    ],
)  # fmt: skip
@pytest.mark.parametrize("key", ["graphs", "variants"])
def test_a_report_of_another_shape_is_one_sentence(bundle, command, key, change):
    rewrite(bundle, REPORT, json.dumps({key: {GOLDEN_MODEL: GRAPH | change}}).encode())
    result = command("inspect", bundle)
    assert result.code == 1
    assert "report.json is no report" in result.err


@pytest.mark.parametrize("without", [["inputs"], ["outputs", "macs"], ["quantization"], ["parameters"], list(GRAPH)])
def test_a_report_that_tells_less_is_shown(bundle, command, without):
    told = {key: value for key, value in GRAPH.items() if key not in without}
    rewrite(bundle, REPORT, json.dumps({"graphs": {GOLDEN_MODEL: told}, "variants": {"v": told}}).encode())
    assert command("inspect", bundle).code == 0


def test_a_report_cannot_say_that_a_contract_fits(bundle, command):
    exchange_labels(bundle)
    told = GRAPH | {"contract_problem": "", "file": "other", "sha256": "0"}
    rewrite(bundle, REPORT, json.dumps({"graphs": {GOLDEN_MODEL: told}}).encode())
    assert "is not that of contract.json" in command("inspect", bundle).out


def test_a_model_of_more_classes_is_one_failed_line(bundle, contract, command):
    model = onnx.load_from_string(mean_model_onnx(contract=contract))
    model.graph.node[0].output[0] = "mean"
    model.graph.node.append(helper.make_node("Concat", ["mean", "mean"], ["logits"], axis=1))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 6
    rewrite(bundle, GOLDEN_MODEL, model.SerializeToString())
    result = command("selftest", bundle)
    assert result.code == 1
    assert "model.fp32.onnx gives (6,), not (3,)" in result.out
    assert result.out.count("FAILED") == 1


def test_a_graph_of_endless_numbers_is_refused_at_once(bundle, contract):
    rewrite(bundle, GOLDEN_MODEL, mean_model_onnx(contract=contract) + b"\xff" * 10_000_000)
    with pytest.raises(VskdError, match="a number of more than ten bytes"):
        Classifier.open(bundle)
