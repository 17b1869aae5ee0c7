"""Which layer an operator belongs to that a converter does not have.

Both converters walk through torch's exported graph and raise at the node that they cannot convert. The node, found in
the frames of that exception, knows the layer that it came from.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import fx

from vskd.errors import ConfigError

#: Names of the student within the graph that is converted, and of a user's own network within the student.
_WITHIN = ("student.", "network.")


@contextmanager
def naming_the_layer(target: str) -> Iterator[None]:
    """Around a conversion: an operator that cannot be converted is told with its layer.

    Parameters
    ----------
    target : name of the format

    Raises
    ------
    ConfigError : the operator and its layer; any other exception passes
    """
    try:
        yield
    except Exception as error:
        node = _node_of(error)
        if node is None:
            raise
        layer, kind = _layer_of(node)
        who = f"the layer {layer} ({kind})" if layer else f"the network itself ({kind}.forward)"
        raise ConfigError(
            f"{target} has no {node.target}, an operator of {who}",
            hint="Write the layer with operators that both TFLite and ONNX have, and train again",
        ) from error


def _node_of(error: BaseException | None) -> fx.Node | None:
    """The node at which a converter stopped: of the innermost exception and frame that has one."""
    found: fx.Node | None = None
    while error is not None and found is None:
        trace = error.__traceback__
        while trace is not None:
            node = trace.tb_frame.f_locals.get("node")
            if isinstance(node, fx.Node) and node.op == "call_function":
                found = node
            trace = trace.tb_next
        error = error.__cause__
    return found


def _layer_of(node: fx.Node) -> tuple[str, str]:
    """(name, class) of the layer that a node came from."""
    stack: dict[str, tuple[str, Any]] = node.meta.get("nn_module_stack") or {}
    name, kind = list(stack.values())[-1] if stack else ("", "WindowToOutputs")
    for part in _WITHIN:
        name = f"{name}.".removeprefix(part).rstrip(".")
    return name, (kind if isinstance(kind, str) else kind.__name__).rpartition(".")[2]
