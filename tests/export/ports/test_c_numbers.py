"""The C core's own square root, exponential and quotient of times are what Python computes."""

from __future__ import annotations

import ctypes
import math
import shutil
import subprocess
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vskd_export.ports.c.core import core_source

from .native import WARNINGS
from .test_c_core import USUAL, write_core

DOOR = """
double root_of(double value) { return root(value); }
double exponential_of(double x) { return exponential(x); }
double quotient_of(uint64_t difference, uint32_t per_second) { return quotient(difference, per_second); }
"""


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The core with a door to its numbers."""
    if shutil.which("gcc") is None:
        pytest.skip("the C core is compiled by gcc: apt-get install gcc")
    folder = tmp_path_factory.mktemp("numbers")
    write_core(folder, USUAL)
    declared = "".join(f"{line.split('{')[0].strip()};\n" for line in DOOR.strip().splitlines())
    (folder / "door.c").write_text(core_source() + declared + DOOR, encoding="utf-8")
    stand_in = "void vskd_encode(const float w[3][VSKD_SAMPLES], int8_t *a) { (void)w; (void)a; }\n"
    stand_in += "void vskd_network(int8_t *a) { (void)a; }\n"
    (folder / "empty.c").write_text(f'#include "vskd_core.h"\n{stand_in}', encoding="utf-8")
    command = ["gcc", *WARNINGS, "-O1", "-fPIC", "-shared", "-o", "numbers.so", "door.c", "empty.c"]
    subprocess.run(command, check=True, cwd=folder, timeout=600)
    library = ctypes.CDLL(str(folder / "numbers.so"))
    for name in ("root_of", "exponential_of", "quotient_of"):
        getattr(library, name).restype = ctypes.c_double
    return library


def _called(function: Callable[..., float], *values: float) -> float:
    return function(*(ctypes.c_double(value) for value in values))


@given(value=st.floats(0, allow_infinity=False))
@example(0.0)
@example(5e-324)
@example(2.2250738585072014e-308)
@example(1.7976931348623157e308)
@example(0.9999999999999999)
def test_the_root_is_correctly_rounded(numbers: ctypes.CDLL, value: float) -> None:
    assert _called(numbers.root_of, value) == math.sqrt(value)


@given(x=st.floats(-700, 0))
@example(0.0)
@example(-700.0)
@example(-5e-324)
def test_the_exponential_is_as_near_as_float64_is(numbers: ctypes.CDLL, x: float) -> None:
    assert _called(numbers.exponential_of, x) == pytest.approx(math.exp(x), rel=1e-14, abs=0)


@given(x=st.floats(max_value=-700, exclude_max=True, allow_infinity=False))
def test_far_below_it_is_0(numbers: ctypes.CDLL, x: float) -> None:
    assert _called(numbers.exponential_of, x) == 0.0


@given(difference=st.integers(0, 2**64 - 1), per_second=st.sampled_from([1000, 10**6, 10**9]))
def test_a_time_is_the_quotient_of_the_integers_rounded_once(
    numbers: ctypes.CDLL, difference: int, per_second: int
) -> None:
    found = numbers.quotient_of(ctypes.c_uint64(difference), ctypes.c_uint32(per_second))
    assert found == difference / per_second
