"""The engines, for real, on a model whose answer is known; TensorFlow in a process of its own."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import onnx
import pytest

from vskd.checks.golden_stream import RecordedEngine
from vskd.engines import ENGINES, installed_engines, is_installed, open_engine
from vskd.errors import ConfigError, EngineError, MissingExtraError

ENGINES_HERE = [("onnxruntime", "mean.onnx"), ("litert", "mean.tflite")]


def a_window(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(3, 32)).astype(np.float32)


@pytest.mark.parametrize(("name", "file"), ENGINES_HERE)
def test_an_engine_gives_the_models_answer_one_row_of_logits(model_folder, name, file):
    engine = open_engine(name, model_folder / file)
    assert engine.name == name
    assert engine.version[0].isdigit()
    for seed in range(3):
        logits = engine.infer(a_window(seed))
        assert logits.shape == (3,)
        assert logits.dtype == np.float32
        np.testing.assert_allclose(logits, a_window(seed).mean(axis=1), atol=1e-6)


@pytest.mark.parametrize(("name", "file"), ENGINES_HERE)
def test_an_answer_stays_what_it_was_when_the_next_window_runs(model_folder, name, file):
    engine = open_engine(name, model_folder / file)
    first = engine.infer(a_window(1))
    kept = first.copy()
    engine.infer(a_window(2))
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize(("name", "file"), ENGINES_HERE)
def test_a_window_of_another_shape_is_refused_and_the_engine_goes_on(model_folder, name, file):
    engine = open_engine(name, model_folder / file)
    with pytest.raises(EngineError, match=rf"{name} cannot run a float32 window of shape \(3, 16\)"):
        engine.infer(np.zeros((3, 16), np.float32))
    np.testing.assert_allclose(engine.infer(a_window()), a_window().mean(axis=1), atol=1e-6)


@pytest.mark.parametrize(("name", "file"), ENGINES_HERE)
@pytest.mark.parametrize(
    "window", [np.zeros((3, 32)), np.zeros((1, 32), np.float32), np.zeros((3, 1), np.float32), np.zeros(32, np.float32)]
)
def test_a_window_that_would_broadcast_or_be_rounded_is_refused(model_folder, name, file, window):
    engine = open_engine(name, model_folder / file)
    with pytest.raises(EngineError, match=rf"{name} cannot run a {window.dtype} window of shape"):
        engine.infer(window)


@pytest.mark.parametrize(("name", "file"), ENGINES_HERE)
def test_a_window_that_is_a_view_is_read_as_what_it_shows(model_folder, name, file):
    engine = open_engine(name, model_folder / file)
    wide = np.random.default_rng(4).normal(size=(64, 3)).astype(np.float32)
    view = wide[::2].T
    np.testing.assert_allclose(engine.infer(view), view.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize(("name", "file"), [("onnxruntime", "both.onnx"), ("litert", "both.tflite")])
def test_logits_and_embedding_of_one_window(model_folder, name, file):
    engine = open_engine(name, model_folder / file)
    first = engine.infer_both(a_window(1))
    np.testing.assert_array_equal(engine.infer(a_window(2)), engine.infer_both(a_window(2))[0])
    logits, embedding = first  # the windows since then have not changed them
    np.testing.assert_allclose(logits, a_window(1).mean(axis=1), atol=1e-6)
    np.testing.assert_array_equal(embedding, a_window(1).max(axis=1))
    assert logits.dtype == embedding.dtype == np.float32
    with pytest.raises(EngineError, match=rf"{name} cannot run a float32 window of shape \(3, 16\)"):
        engine.infer_both(np.zeros((3, 16), np.float32))


@pytest.mark.parametrize(("name", "file"), ENGINES_HERE)
def test_a_model_without_an_embedding_names_the_way_out(model_folder, name, file):
    engine = open_engine(name, model_folder / file)
    with pytest.raises(EngineError, match=rf"the model in {name} gives logits and no embedding.*`vskd export RUN"):
        engine.infer_both(a_window())


def test_an_engine_that_says_nothing_of_embeddings_has_none():
    with pytest.raises(EngineError, match="recorded gives logits and no embedding"):
        RecordedEngine(np.zeros((1, 3), np.float32)).infer_both(a_window())


@pytest.mark.parametrize(("file", "engine"), [("mean.onnx", "onnxruntime")])
def test_the_bound_buffers_give_the_bits_of_the_librarys_own_call(model_folder, file, engine):
    runtime = importlib.import_module("onnxruntime")
    session = runtime.InferenceSession(str(model_folder / file), providers=["CPUExecutionProvider"])
    opened = open_engine(engine, model_folder / file)
    for seed in range(5):
        expected = session.run(None, {"window0": a_window(seed)[np.newaxis]})[0][0]
        assert opened.infer(a_window(seed)).tobytes() == expected.tobytes()


def test_a_model_without_a_fixed_shape_is_refused(model_folder, tmp_path):
    model = onnx.load(model_folder / "mean.onnx")
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.save(model, tmp_path / "open.onnx")
    with pytest.raises(EngineError, match=r"window0 of open\.onnx is tensor\(float\) of shape \['batch', 3, 32\]"):
        open_engine("onnxruntime", tmp_path / "open.onnx")


@pytest.mark.parametrize(("name", "file"), ENGINES_HERE)
def test_more_threads_give_the_same_answer(model_folder, name, file):
    engine = open_engine(name, model_folder / file, threads=2)
    np.testing.assert_allclose(engine.infer(a_window()), a_window().mean(axis=1), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "file"), [("onnxruntime", "broken.onnx"), ("litert", "broken.tflite"), ("litert", "cut.tflite")]
)
def test_a_file_that_is_no_model_is_refused(model_folder, name, file):
    with pytest.raises(EngineError, match=f"{name} cannot load {file}: .*Copy or export it again"):
        open_engine(name, model_folder / file)


@pytest.mark.parametrize(("name", "file"), ENGINES_HERE)
def test_a_file_that_is_not_there_is_refused(model_folder, name, file):
    with pytest.raises(EngineError, match=f"{name} cannot load no_{file}"):
        open_engine(name, model_folder / f"no_{file}")


def test_a_model_with_two_inputs_is_refused(model_folder):
    with pytest.raises(EngineError, match=r"two_inputs\.onnx has 2 inputs; a model takes one, the window"):
        open_engine("onnxruntime", model_folder / "two_inputs.onnx")


def test_an_engine_runs_files_of_its_own_format_only(model_folder):
    with pytest.raises(EngineError, match=r"litert runs \.tflite files, not mean\.onnx"):
        open_engine("litert", model_folder / "mean.onnx")


def test_an_engine_that_does_not_exist_is_answered_with_the_nearest(model_folder):
    with pytest.raises(ConfigError, match=r"there is no engine 'onnx-runtime'.*Did you mean 'onnxruntime'"):
        open_engine("onnx-runtime", model_folder / "mean.onnx")


@pytest.mark.parametrize("name", list(ENGINES))
def test_an_engine_that_is_not_installed_names_its_extra(model_folder, monkeypatch, name):
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    assert installed_engines() == ()
    kind = ENGINES[name]
    with pytest.raises(MissingExtraError, match=rf"needs {kind.package}, .*pip install 'vskd\[{kind.extra}\]'"):
        open_engine(name, model_folder / f"mean.{kind.format}")


def test_the_threads_reach_the_library(model_folder):
    engine = open_engine("onnxruntime", model_folder / "mean.onnx", threads=2)
    assert engine._session.get_session_options().intra_op_num_threads == 2


def test_an_extra_installs_the_package_of_its_engine():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    for kind in ENGINES.values():
        (first, *_) = project["optional-dependencies"][kind.extra]
        assert first.split(">=")[0] == kind.distribution


def test_naming_engines_and_sensors_and_opening_bundles_loads_no_numerics():
    code = (
        "import sys, vskd.engines, vskd.sources.i2c_sensors, vskd.bundle, vskd.report, vskd.description\n"
        "assert 'numpy' not in sys.modules and 'click' not in sys.modules, 'loaded'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()


@pytest.fixture
def fake_tflite_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tflite_runtime that can be found, and that fails when it is imported."""
    package = tmp_path / "tflite_runtime"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('cannot open shared object file')\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("fake_tflite_runtime")
def test_tflite_runtime_beside_numpy_2_is_refused_with_the_reason(model_folder, monkeypatch):
    monkeypatch.setattr(np, "__version__", "2.4.6")
    assert is_installed("tflite-runtime")
    with pytest.raises(EngineError, match=r"works only beside numpy 1\.x, and numpy 2\.4\.6 is installed.*litert"):
        open_engine("tflite-runtime", model_folder / "mean.tflite")


@pytest.mark.usefixtures("fake_tflite_runtime")
def test_an_engine_that_is_there_and_cannot_be_imported_says_why(model_folder, monkeypatch):
    monkeypatch.setattr(np, "__version__", "1.26.4")
    with pytest.raises(EngineError, match="is installed but cannot be imported: cannot open shared object file"):
        open_engine("tflite-runtime", model_folder / "mean.tflite")


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux, to see which files are mapped")
@pytest.mark.parametrize(("name", "file"), ENGINES_HERE)
def test_a_loaded_model_no_longer_depends_on_its_file(model_folder, tmp_path, name, file):
    # A mapped file that is cut short ends the process with SIGBUS: seen with LiteRT and a model of 3 MB.
    copy = tmp_path / file
    copy.write_bytes((model_folder / file).read_bytes())
    engine = open_engine(name, copy)
    assert str(copy) not in Path("/proc/self/maps").read_text()
    copy.write_bytes(b"")
    np.testing.assert_allclose(engine.infer(a_window()), a_window().mean(axis=1), atol=1e-6)


def test_onnx_runtime_does_not_spin_and_keeps_to_one_thread(model_folder):
    engine = open_engine("onnxruntime", model_folder / "mean.onnx")
    options = engine._session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="pip install 'vskd[tensorflow]' to run this")
def test_tensorflows_interpreter_gives_the_same_answer(model_folder, tmp_path):
    # In a process of its own: TensorFlow and LiteRT in one process have been seen to deadlock.
    np.save(tmp_path / "window.npy", a_window())
    script = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "from vskd.engines import open_engine\n"
        "engine = open_engine('tensorflow', Path(sys.argv[1]))\n"
        "np.save(sys.argv[2], engine.infer(np.load(sys.argv[3])))\n"
        "sys.exit('ai_edge_litert' in sys.modules)\n"
    )
    paths = [model_folder / "mean.tflite", tmp_path / "logits.npy", tmp_path / "window.npy"]
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, paths)], capture_output=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    np.testing.assert_allclose(np.load(tmp_path / "logits.npy"), a_window().mean(axis=1), atol=1e-6)
