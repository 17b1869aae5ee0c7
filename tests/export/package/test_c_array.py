"""The microcontroller's form, judged by a C compiler: it compiles without a warning and holds the model's bytes."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from vskd.bundle import Bundle
from vskd.contract import Contract
from vskd.errors import VskdError
from vskd_export.convert import tflite_file
from vskd_export.judge import micro
from vskd_export.package.c_array import RESOLVER_METHODS, c_files, resolver_methods
from vskd_export.quantize.recipes import INTEGER_RECIPE, entry

MODEL = entry("tflite", INTEGER_RECIPE).file
GCC = shutil.which("gcc")
#: Writes the array, then what the header says, as a firmware would use it.
DUMP = r"""
#include "model_data.h"
#include <stdio.h>
int main(void) {
  if ((uintptr_t)VSKD_MODEL_DATA % 16 != 0) return 3;
  fwrite(VSKD_MODEL_DATA, 1, VSKD_MODEL_SIZE_BYTES, stdout);
  fprintf(stderr, "%d %d %d %.9g\n", VSKD_WINDOW_CHANNELS, VSKD_WINDOW_SAMPLES, VSKD_CLASSES, VSKD_TEMPERATURE);
  for (int i = 0; i < VSKD_CLASSES; ++i) fprintf(stderr, "%s\n", vskd_labels[i]);
  return 0;
}
"""

needs_gcc = pytest.mark.skipif(GCC is None, reason="gcc is not installed; it is what the C form is judged by")


def compiled(folder: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([str(GCC), *words], cwd=folder, capture_output=True, check=False, timeout=120)


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


@needs_gcc
def test_the_bundles_array_compiles_as_c11_and_is_the_models_bytes(bundle: Bundle, tmp_path: Path) -> None:
    names = ("model_data.h", "model_data.c")
    write(tmp_path, {name: bundle.checked_path(name).read_bytes() for name in names} | {"dump.c": DUMP.encode()})
    strict = ("-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror")

    assert compiled(tmp_path, "-c", *strict, "model_data.c").stderr == b""
    assert compiled(tmp_path, *strict, "dump.c", "model_data.c", "-o", "dump").stderr == b""
    told = subprocess.run([str(tmp_path / "dump")], capture_output=True, check=True, timeout=20)

    assert told.stdout == (bundle.path / MODEL).read_bytes()
    numbers, *labels = told.stderr.decode().splitlines()
    contract = bundle.contract
    assert [float(number) for number in numbers.split()] == pytest.approx(
        [*contract.window_shape, len(contract.labels), contract.decision.temperature]
    )
    assert tuple(labels) == contract.labels


@needs_gcc
def test_labels_of_any_letters_and_any_length_of_model_survive(
    bundle: Bundle, contract: Contract, tmp_path: Path
) -> None:
    labels = ('say "hi"', "back\\slash", "\u00e9t\u00e9 \U0001f3c3", "what??/", "100 % 7")
    odd = (bundle.path / MODEL).read_bytes() + b"\x01\x02\x03"
    other = Contract(labels=labels)
    write(tmp_path, c_files(odd, other, name=MODEL, micro={}) | {"dump.c": DUMP.encode()})

    done = compiled(tmp_path, "-std=c11", "-Wall", "-Werror", "-trigraphs", "dump.c", "model_data.c", "-o", "dump")
    assert done.stderr == b""
    told = subprocess.run([str(tmp_path / "dump")], capture_output=True, check=True, timeout=20)

    assert told.stdout == odd
    assert tuple(told.stderr.decode().splitlines()[1:]) == labels
    assert "VSKD_ARENA_BYTES" not in (tmp_path / "model_data.h").read_text()


@needs_gcc
def test_a_firmware_in_cpp_can_include_the_header_and_fill_its_resolver(bundle: Bundle, tmp_path: Path) -> None:
    header = bundle.checked_path("model_data.h").read_bytes()
    methods = " ".join(f"int {method}() {{ return ++count; }}" for method in sorted(set(RESOLVER_METHODS.values())))
    use = f"""
    #include "model_data.h"
    template <unsigned N> struct Resolver {{ int count = 0; {methods} }};
    int main() {{
      Resolver<VSKD_OPERATORS> resolver;
      VSKD_ADD_OPERATORS(resolver)
      return resolver.count == VSKD_OPERATORS && VSKD_MODEL_SIZE_BYTES > 0 ? 0 : 1;
    }}
    """
    write(tmp_path, {"model_data.h": header, "use.cpp": use.encode()})
    gpp = shutil.which("g++")
    if gpp is None:
        pytest.skip("g++ is not installed; it is what the header is judged by")
    done = subprocess.run(
        [gpp, "-std=c++17", "-Wall", "-Werror", "use.cpp", "-o", "use"],
        cwd=tmp_path, capture_output=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.stderr == b""
    assert subprocess.run([str(tmp_path / "use")], check=False, timeout=20).returncode == 0


def test_the_header_names_hash_operators_quantization_and_arena(bundle: Bundle, exported) -> None:
    header = bundle.checked_path("model_data.h").read_text()
    model = (bundle.path / MODEL).read_bytes()
    tree = tflite_file.read_model(model)
    graph, operators = tree.subgraphs[0], tflite_file.operator_names(tree)

    def defined(name: str) -> float:
        (value,) = re.findall(rf"#define VSKD_{name} \(?(-?[0-9.e-]+)", header)
        return float(value)

    assert hashlib.sha256(model).hexdigest() in header
    assert defined("MODEL_SIZE_BYTES") == len(model)
    assert defined("OPERATORS") == len(set(operators))
    assert header.count("(resolver).Add") == len(set(operators))
    image = graph.tensors[graph.operators[operators.index("QUANTIZE")].outputs[0]].quantization
    assert defined("IMAGE_SCALE") == np.float32(image.scale[0])
    assert defined("IMAGE_ZERO_POINT") == image.zeroPoint[0]
    # The second output, in the order of the file, with the grid of its integers.
    assert [graph.tensors[index].name for index in graph.outputs] == [b"logits", b"embedding"]
    assert "Output 1: embedding, float32 [1][300]" in header
    assert defined("EMBEDDING_SIZE") == graph.tensors[graph.outputs[1]].shape[1] == 300
    assert {"EMBEDDING_SCALE", "EMBEDDING_ZERO_POINT"} <= set(re.findall(r"#define VSKD_(\w+)", header))
    if micro.is_installed():
        assert defined("ARENA_BYTES") == exported.content["micro"]["arena_bytes"]


def test_an_operator_that_the_resolver_is_not_known_to_have_is_refused() -> None:
    assert resolver_methods(["ADD", "CONV_2D", "ADD"]) == ["AddAdd", "AddConv2D"]
    with pytest.raises(VskdError, match=r"no method .* is known for LSTM, RNN.*micro_mutable_op_resolver\.h"):
        resolver_methods(["RNN", "ADD", "LSTM"])
