"""One process of the benchmark: loads one case and times it on command.

``python -m vskd_benchmarks.measure.worker JOB``, where JOB is JSON. Commands come in on standard input and replies
leave on standard output, one JSON document a line; end of input ends the process. The parent lets one worker
compute at a time, in turns, so that all of them meet the same machine.

Jobs (``bundle`` is a folder)
    ``{"kind": "model", "bundle", "file", "engine", "threads"}``: a model of the bundle
    ``{"kind": "network", "bundle", "file", "encoder", "threads", "trained"}``: an ONNX file beside it
    ``{"kind": "signature", "bundle", "file", "threads"}``: the image-input variant in LiteRT
    ``{"kind": "torch", "bundle", "threads"}``: the usual pipeline in eager torch
    ``{"kind": "library", "package"}``: an interpreter with numpy and an engine's library, for its memory
    ``{"kind": "make", "bundle", "folder", "macs"}``: writes networks, see ``vskd_benchmarks.pipelines.networks``
Commands
    ``{"do": "warm_up", "path_only", "rule"}``, the fields of ``WarmUpRule``
    ``{"do": "block", "path_only", "calls", "discard", "period_ns"}``: so many calls, after some that bring the caches
        back; one each ``period_ns``, or back to back where that is 0; the yardstick before and after them
    ``{"do": "outputs"}``: logits of every window of the signal and of the golden windows
    ``{"do": "repeat", "blocks", "calls"}``: the model's call on varied and on one repeated input
    ``{"do": "memory"}``
Replies
    the first one describes what was loaded; an error is ``{"error": {"kind", "message", "hint"}}``
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from vskd.bundle import Bundle
from vskd.closed import to_mapping
from vskd.errors import VskdError
from vskd_benchmarks.measure.latency import WarmUpRule, warm_up
from vskd_benchmarks.measure.memory import peak_memory, resident_bytes
from vskd_benchmarks.measure.yardstick import Yardstick
from vskd_benchmarks.pipelines.cases import Clock, PipelineCase, open_model

#: Outputs kept of each block, evenly spread, for the audit of outputs.
SAMPLES_PER_BLOCK = 8


class Worker:
    """The case of one process and the commands on it.

    Parameters
    ----------
    case : None where there is nothing to time
    clock : nanoseconds; a test passes its own
    sleep : s
    """

    def __init__(
        self,
        case: PipelineCase | None,
        *,
        clock: Clock = time.perf_counter_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._maybe_case = case
        self._clock = clock
        self._sleep = sleep
        self._yardstick = Yardstick()

    @property
    def _case(self) -> PipelineCase:
        if self._maybe_case is None:
            raise VskdError("this process has nothing to time")
        return self._maybe_case

    def answer(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Execute a command; the reply."""
        kind = command["do"]
        if kind == "memory":
            return {"memory": peak_memory()}
        if kind == "warm_up":
            run, rule = self._runner(command["path_only"])[0], WarmUpRule(**command["rule"])
            return to_mapping(warm_up(lambda: run(self._clock)[0], rule, self._clock))
        if kind == "outputs":
            return {"outputs": _plain(self._case.all_outputs()), "golden": _plain(self._case.golden_outputs())}
        if kind == "repeat":
            return self._repeat(command["blocks"], command["calls"])
        return self._block(command)

    def _runner(self, path_only: bool) -> tuple[Callable[[Clock], tuple[int, ...]], tuple[str, ...]]:
        case = self._case
        return (case.run_path, case.path_series) if path_only else (case.run_once, case.series)

    def _block(self, command: Mapping[str, Any]) -> dict[str, Any]:
        run, series = self._runner(command["path_only"])
        calls, period_ns = command["calls"], command["period_ns"]
        own_ns = time.process_time_ns()
        yardstick_ns = self._yardstick.readings(self._clock)
        for _ in range(command["discard"]):
            run(self._clock)
        rows, started, sampled = [], [], []
        stride = max(1, calls // SAMPLES_PER_BLOCK)
        before, from_ns, busy_ns = _switches(), self._clock(), time.process_time_ns()
        for index in range(calls):
            if period_ns:
                self._sleep(max(0, from_ns + (index + 1) * period_ns - self._clock()) / 1e9)
            started.append(self._clock())
            rows.append(run(self._clock))
            if index % stride == 0 and (output := self._case.last_output()) is not None:
                sampled.append((output[0], output[1].copy()))
        busy_ns, wall_ns, after = time.process_time_ns() - busy_ns, self._clock() - from_ns, _switches()
        yardstick_ns += self._yardstick.readings(self._clock)
        columns = np.array(rows, dtype=np.int64).T.tolist()
        return {
            "latency_ns": dict(zip(series, columns, strict=True)),
            "yardstick_ns": yardstick_ns,
            "started_ns": started,
            "interval_ns": [from_ns, from_ns + wall_ns],
            "sampled": [[row, logits.tolist()] for row, logits in sampled],
            "cpu_ns": busy_ns,
            "wall_ns": wall_ns,
            "voluntary_switches": after[0] - before[0],
            "involuntary_switches": after[1] - before[1],
            "resident_bytes": resident_bytes(),
            "own_ns": time.process_time_ns() - own_ns,
        }

    def _repeat(self, blocks: int, calls: int) -> dict[str, Any]:
        case, inputs = self._case, list(self._case.inputs())
        varied: list[list[int]] = []
        repeated: list[list[int]] = []
        for block in range(blocks):
            # Within a block an input follows itself, so that an answer kept from the call before would show. Which of
            # the two comes first changes, so that a machine that speeds up favours neither.
            turns = [(varied, [inputs[(block * calls + index) % len(inputs)] for index in range(calls + 1)])]
            turns.append((repeated, [inputs[block % len(inputs)]] * (calls + 1)))
            for kept, ready in reversed(turns) if block % 2 else turns:
                kept.append([self._timed(case, each) for each in ready][1:])
        return {"varied_ns": varied, "repeated_ns": repeated}

    def _timed(self, case: PipelineCase, ready: Any) -> int:
        start = self._clock()
        case.call(ready)
        return self._clock() - start


def _plain(logits: Any) -> list[list[float]] | None:
    return None if logits is None else logits.astype(np.float64).tolist()


def _switches() -> tuple[int, int]:
    """(voluntary, involuntary) context switches of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_nvcsw, usage.ru_nivcsw


def open_job(job: Mapping[str, Any]) -> tuple[PipelineCase | None, dict[str, Any]]:
    """Load what a job names: the case, and its description.

    Raises
    ------
    VskdError : it cannot be loaded
    """
    if job["kind"] == "library":
        importlib.import_module(job["package"])
        return None, {}
    bundle = Bundle.open(job["bundle"])
    if job["kind"] == "make":
        from vskd_benchmarks.pipelines.networks import make_networks

        return None, make_networks(bundle, Path(job["folder"]), macs=job["macs"])
    case = _open_case(bundle, job)
    first_ns = case.run_path(time.perf_counter_ns)[0]
    return case, {**case.describe(), "first_inference_ns": first_ns}


def _open_case(bundle: Bundle, job: Mapping[str, Any]) -> PipelineCase:
    kind = job["kind"]
    if kind == "model":
        entry = next(model for model in bundle.models if model.file == job["file"])
        return open_model(bundle, entry, engine=job["engine"], threads=job["threads"])
    # Imported here: a model's worker must not carry what only the comparison needs.
    from vskd_benchmarks.pipelines import baselines

    if kind == "torch":
        return baselines.open_torch_pipeline(bundle, job["threads"])
    if kind == "signature":
        return baselines.open_image_signature(bundle, job["file"], job["threads"])
    return baselines.open_network(
        bundle,
        Path(job["file"]),
        encoder=job["encoder"],
        threads=job["threads"],
        trained=job["trained"],
    )


def serve(job: Mapping[str, Any], commands: TextIO, replies: TextIO) -> int:
    """Reply to commands until they end; returns the exit code."""
    try:
        case, description = open_job(job)
        _send(replies, {"ready": description})
        worker = Worker(case)
        for line in commands:
            _send(replies, worker.answer(json.loads(line)))
    except VskdError as error:
        kind = type(error).__name__
        _send(replies, {"error": {"kind": kind, "message": error.message, "hint": error.hint}})
        return 1
    return 0


def _send(replies: TextIO, document: dict[str, Any]) -> None:
    replies.write(json.dumps(document) + "\n")
    replies.flush()


def main() -> int:
    """Entry point of the process."""
    # Engines write on standard output as they like; the replies get a channel of their own.
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return serve(json.loads(sys.argv[1]), sys.stdin, channel)


if __name__ == "__main__":
    sys.exit(main())
