"""One piece of memory for all tensors of a plan, each alive from the step that makes it to the last that reads it.

The largest tensors are placed first, each at the lowest place that no tensor of its time takes (Pisarchyk & Lee,
"Efficient Memory Management for Deep Neural Net Inference", 2020: greedy by size). A sum is written over the term that
nothing needs any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vskd.plan.steps import Addition, Concatenation, Convolution, Plan, Step

#: Where a tensor may begin: scratch values are two bytes, and four are read at a time.
ALIGNMENT = 4


@dataclass(frozen=True)
class Arena:
    """Where everything lies.

    Attributes
    ----------
    size : bytes
    tensors : (tensors,), first byte of each
    scratch : step -> first byte of the values under its kernel
    """

    size: int
    tensors: tuple[int, ...]
    scratch: Mapping[int, int]


@dataclass(frozen=True)
class _Block:
    """Memory that is taken from one step to another, both included; ``owners`` are tensors, or none for scratch."""

    size: int
    begin: int
    end: int
    owners: tuple[int, ...]


def sources_of(step: Step) -> tuple[int, ...]:
    """The tensors that a step reads."""
    return step.sources if isinstance(step, Addition | Concatenation) else (step.source,)


def scratch_bytes(step: Step) -> int:
    """Of a convolution: the values under its kernel at two places, two bytes each, filled up to a multiple of four."""
    if not isinstance(step, Convolution) or step.is_depthwise:
        return 0
    return 4 * row_length(step)


def row_length(step: Convolution) -> int:
    """Weights of one output, filled up with zeros to a multiple of four."""
    return -(-int(step.weights[0].size) // 4) * 4


def arena_of(plan: Plan) -> Arena:
    """Place the tensors of a plan."""
    blocks = [*_tensors(plan), *_scratch(plan)]
    placed: list[tuple[int, _Block]] = []
    for block in sorted(blocks, key=lambda one: (-one.size, one.begin, one.owners)):
        placed.append((_lowest(block, placed), block))
    tensors = {owner: at for at, block in placed for owner in block.owners}
    return Arena(
        size=max(at + block.size for at, block in placed),
        tensors=tuple(tensors[number] for number in range(len(plan.tensors))),
        scratch={block.begin: at for at, block in placed if not block.owners},
    )


def _tensors(plan: Plan) -> list[_Block]:
    """A block for each tensor, or for several that follow each other in one place."""
    made = {0: -1} | {step.target: index for index, step in enumerate(plan.steps)}
    last = dict(made)
    for index, step in enumerate(plan.steps):
        last |= dict.fromkeys(sources_of(step), index)
    last |= dict.fromkeys(filter(None, (plan.logits, plan.embedding)), len(plan.steps))
    first_of = {number: number for number in made}
    for index, step in enumerate(plan.steps):
        if isinstance(step, Addition):
            over = next((one for one in step.sources if last[one] == index), None)
            if over is not None:
                first_of[step.target] = first_of[over]
    groups: dict[int, list[int]] = {}
    for number, first in first_of.items():
        groups.setdefault(first, []).append(number)
    return [
        _Block(
            -(-plan.tensors[first].size // ALIGNMENT) * ALIGNMENT,
            made[first],
            max(last[number] for number in group),
            tuple(group),
        )
        for first, group in groups.items()
    ]


def _scratch(plan: Plan) -> list[_Block]:
    sizes = ((index, scratch_bytes(step)) for index, step in enumerate(plan.steps))
    return [_Block(size, index, index, ()) for index, size in sizes if size]


def _lowest(block: _Block, placed: list[tuple[int, _Block]]) -> int:
    """The first place where nothing of the block's time lies."""
    beside = sorted((at, at + one.size) for at, one in placed if one.begin <= block.end and block.begin <= one.end)
    place = 0
    for begin, end in beside:
        if place + block.size <= begin:
            break
        place = max(place, end)
    return place
