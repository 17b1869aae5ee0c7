"""The cost of a student, against the sizes of its layers written out."""

from __future__ import annotations

from vskd.contract import Contract, RawSpec
from vskd_training.models.build import build_student
from vskd_training.models.cost import cost_of
from vskd_training.settings import StudentConfig


def raw_contract() -> Contract:
    return Contract(labels=("a", "b", "c"), gaf=None, raw=RawSpec(transforms=("tanh",)))


def test_a_separable_students_products_and_parameters() -> None:
    contract = raw_contract()
    config = StudentConfig(family="raw-separable", channels=8, growth=1.0, blocks=1, kernel=5, stride=2)
    student = build_student(config, contract).eval()
    samples = contract.window_shape[1]
    steps = [samples // 2, samples // 4, samples // 8]  # the first stage keeps the stem's time
    stem = steps[0] * 8 * 3 * 5
    blocks = sum(time * 8 * (5 + 8) for time in steps)
    dense = 8 * 300 + 300 * 3
    assert cost_of(student, contract.window_shape) == {
        "macs": stem + blocks + dense,
        "parameters": sum(value.numel() for value in student.parameters()),
    }


def test_counting_leaves_no_hook_behind() -> None:
    contract = raw_contract()
    student = build_student(StudentConfig(family="raw-resnet", channels=8), contract).eval()
    assert cost_of(student, contract.window_shape) == cost_of(student, contract.window_shape)
    assert not any(layer._forward_hooks for layer in student.modules())
