"""A user's own network: what it gets, what is refused, and that the refusal names the layer."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from vskd.contract import Contract, RawSpec, WindowSpec
from vskd.errors import ConfigError
from vskd_training.models.build import build_student
from vskd_training.models.own import OwnStudent, own_student
from vskd_training.models.own_check import check_own
from vskd_training.models.student import Student
from vskd_training.settings import Config, DataConfig, StudentConfig

CONTRACT = Contract(labels=("a", "b", "c"), window=WindowSpec(samples=64), gaf=None, raw=RawSpec(transforms=("g",)))
NETWORK = """
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv1d(3, 8, 5)
        self.norm = {norm}

    def forward(self, windows):
        signal = self.norm(self.convolution({before}))
        {block}
        return signal

class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.blocks = nn.Sequential(Block(), nn.ReLU())
        self.feature = nn.Linear(8, {feature})
        self.classifier = nn.Linear(300, {classes})

    def forward(self, windows):
        feature = torch.relu(self.feature(self.blocks(windows).mean(-1)))
        return {returned}

{factory}
"""
FACTORY = "def make(contract):\n    return Net(len(contract.labels))\n"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Writes a package of the working folder, and gives ``package:make``."""
    torch.manual_seed(0)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def made(**parts: str) -> str:
        name = f"own_{tmp_path.name.replace('-', '_').replace('[', '_').replace(']', '_')}"
        text = {
            "norm": "nn.BatchNorm1d(8)",
            "block": "",
            "before": "windows",
            "feature": "300",
            "classes": "classes",
            "returned": "self.classifier(feature), feature",
            "factory": FACTORY,
            **parts,
        }
        Path(f"{name}.py").write_text(NETWORK.format(**text))
        monkeypatch.delitem(sys.modules, name, raising=False)
        return f"{name}:make"

    return made


def test_a_network_of_the_working_folder_is_a_student(write: Callable[..., str]) -> None:
    module = write()
    student = build_student(StudentConfig(module=module), CONTRACT)
    assert isinstance(student, OwnStudent)
    assert isinstance(student, Student)
    check_own(student, CONTRACT)
    windows = 40 * torch.randn(5, 3, 64)
    with torch.no_grad():
        output, expected = student(windows), student.network(windows.clamp(-16, 16))
    torch.testing.assert_close(output.logits, expected[0], rtol=0, atol=0)
    assert output.feature.shape == (5, 300)
    name = module.partition(":")[0]
    file = Path(f"{name}.py").read_bytes()
    assert student.card() == {"name": module, "source_sha256": {name: hashlib.sha256(file).hexdigest()}}


def test_the_contract_says_that_the_network_takes_g() -> None:
    config = Config(data=DataConfig(dataset="synthetic", view="rendered"), student=StudentConfig(module="net:make"))
    contract = config.contract(("a", "b"), "synthetic")
    assert contract.gaf is None
    assert contract.raw == RawSpec(transforms=("g",))
    assert contract.encoded_shape == contract.window_shape
    with pytest.raises(ConfigError, match=r"raw.transforms = \['centred'\] has no meaning beside student.module"):
        Config(data=config.data, student=config.student, raw=RawSpec(transforms=("centred",)))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"module": "net"}, "student.module must name a package and a factory, got 'net'"),
        ({"module": "a b:make"}, "got 'a b:make'"),
        ({"module": "net:make", "width": 0.25}, r"student.width = 0.25 has no meaning beside student.module"),
        ({"module": "net:make", "family": "raw-resnet"}, "student.family = raw-resnet has no meaning beside"),
    ],
)
def test_keys_beside_module(keys: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        StudentConfig(**keys)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("", "has no 'make'"),
        ("make = 3", "has 'make', which is no function"),
        ("def make(contract, width):\n    pass", "cannot be called with a contract alone: missing .* 'width'"),
        ("def make():\n    pass", "cannot be called with a contract alone: too many positional"),
        ("def make(contract):\n    return None", "returned NoneType, not a torch.nn.Module"),
        ("def make(contract):\n    raise KeyError('depth')", "failed: KeyError: 'depth'"),
        ("import no_such_package", "cannot be imported: ModuleNotFoundError: No module named 'no_such_package'"),
    ],
)
def test_a_factory_that_makes_no_network(write: Callable[..., str], factory: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        own_student(write(factory=factory), CONTRACT)


def test_a_package_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match=r"no_such_net cannot be imported: .* name its folder in PYTHONPATH"):
        own_student("no_such_net:make", CONTRACT)


IN_BLOCK = r"the layer blocks\.0 \(Block\)"
LOCAL = "def make(contract):\n    class Local(Net):\n        pass\n    return Local(3)\n"
EMPTY = "def make(contract):\n    return nn.ReLU()\n"
TIED = FACTORY.replace("return ", "net = ") + (
    "    net.twin = nn.Linear(8, 300)\n    net.twin.weight = net.feature.weight\n    return net\n"
)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"returned": "self.classifier(feature)"},
            r"network itself \(Net\.forward\) returns torch.float32 \(4, 3\), not",
        ),
        ({"returned": "[feature, feature]"}, "returns a list of Tensor, Tensor, not a pair"),
        ({"returned": "(feature, feature, 1)"}, "returns a tuple of Tensor, Tensor, int"),
        ({"classes": "7"}, r"layer classifier \(Linear\) gives torch.float32 \(4, 7\) as logits .* \(4, 3\)"),
        ({"returned": "self.classifier(feature).double(), feature"}, "network itself .* gives torch.float64"),
        ({"feature": "299"}, r"layer classifier \(Linear\) fails at windows of shape \(4, 3, 64\): RuntimeError: mat1"),
        (
            {"returned": "self.classifier(feature), feature[:, :200]"},
            r"itself .* gives torch.float32 \(4, 200\) as feature",
        ),
        ({"block": "signal = signal / windows.std((1, 2), keepdim=True)"}, f"{IN_BLOCK} gives NaN or infinity"),
        (
            {"norm": "nn.BatchNorm1d(8, track_running_stats=False)"},
            r"blocks\.0\.norm \(BatchNorm1d\) answers a window in",
        ),
        ({"block": "signal = signal - signal.mean(0)"}, f"{IN_BLOCK} answers a window in a batch of 4 differently"),
        # What a layer hands on to another one is its own doing, not the other one's.
        ({"before": "windows - windows.mean(0)"}, f"{IN_BLOCK} answers a window in a batch of 4 differently"),
        ({"block": "signal = nn.functional.dropout(signal, 0.5)"}, f"{IN_BLOCK} answers the same windows differently"),
        ({"block": "signal = signal if windows.sum() > -1e9 else -signal"}, f"{IN_BLOCK} fails at torch.export"),
        ({"block": "self.n = getattr(self, 'n', 0) + 1; signal = signal * self.n"}, f"{IN_BLOCK} answers the same"),
        ({"factory": LOCAL}, "cannot be handed to a converter's process: .*Define its classes"),
        ({"factory": EMPTY}, r"itself \(ReLU\.forward\) has no parameter"),
        ({"factory": TIED}, "has weights that a file cannot hold: .*share memory"),
    ],
)
def test_a_network_that_is_refused(write: Callable[..., str], parts: dict[str, str], message: str) -> None:
    student = own_student(write(**parts), CONTRACT)
    with pytest.raises(ConfigError, match=message):
        check_own(student, CONTRACT)
