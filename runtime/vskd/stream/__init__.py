"""The stream: timestamped samples in, windows of the contract out.

timestamps -> unit -> axes -> order and gaps -> resampling -> windows with a hop.

- Timestamps are the sensor's, never the arrival's. Samples that repeat a time or step back a little are dropped; a
  large step back is a reset clock and counts as a gap.
- A pause longer than ``resampling.max_gap_s`` empties the window: samples are never invented across it.
- Samples that are NaN, infinite or beyond float32 are dropped. Everything dropped is counted in ``Health``.
- Resampling is linear interpolation on a grid anchored at the first sample after a start or a gap. Each regular
  sample depends on its two neighbours and on integers alone, so that any way of cutting a stream into pushes gives
  the same windows, bit for bit. One sample after another, in Python floats: a sensor gives one or some thirty at a
  time, and right after a model's call a dozen numpy calls cost more than the arithmetic.
- Memory is fixed after construction: one window being filled, and the samples of a push a block at a time.
- A wrong unit shows: a wrist's median |a| over the first second lies near 1 g. A stream far from that is refused, and
  stays refused. No window is handed out before that check, however the stream is cut. Zeros before the sensor wakes do
  not count for it: they are windows without an activity, and the first other sample starts a segment.
- Each window is judged (``judge``): a frozen, copied, saturated or sparse one, or one whose gravity has the wrong
  length, carries the defect for which it gets no activity. A contract from before ``signal`` asks for none of it.

Windows for training are cut by the same code (``cut_windows``). Nothing here depends on models.
"""

from vskd.stream.delivery import Delivery
from vskd.stream.health import Health
from vskd.stream.order import Ordered, in_order
from vskd.stream.recording import cut_windows, stretch, whole_window
from vskd.stream.samples import LARGEST, AxisMap, TimeUnit, as_samples, per_second, to_g
from vskd.stream.sliding import BLOCK, Stream
from vskd.stream.unit_check import PLAUSIBLE_G, UNIT_CHECK_SAMPLES, refuse_wrong_unit
from vskd.stream.window import Pause, Window

__all__ = [
    "BLOCK",
    "LARGEST",
    "PLAUSIBLE_G",
    "UNIT_CHECK_SAMPLES",
    "AxisMap",
    "Delivery",
    "Health",
    "Ordered",
    "Pause",
    "Stream",
    "TimeUnit",
    "Window",
    "as_samples",
    "cut_windows",
    "in_order",
    "per_second",
    "refuse_wrong_unit",
    "stretch",
    "to_g",
    "whole_window",
]
