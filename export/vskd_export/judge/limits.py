"""Every limit of the gate, in one place, and how many windows are judged.

The question behind each limit is whether a user of the trained network would notice the exported model. Three limits
are kept elsewhere, because a device needs them too: the tolerance of a float model's logits
(``Contract.logit_tolerance``), the margin above which a label must not flip (``vskd.checks.golden.FLIP_MARGIN``) and
the least cosine between an embedding and itself on other kernels (``LEAST_COSINE``, there).
"""

from __future__ import annotations

#: A pixel of the image from float64, given the same segment averages, under every scaling.
IMAGE_LIMIT = 2e-6

#: An average of a segment from float64, relative to the largest reading in the window.
AVERAGE_LIMIT = 1e-6

#: A probability from the softmax of the same engine's logits.
PROBABILITY_LIMIT = 1e-5

#: Macro-F1 that a quantized model may lose on held-out windows.
MAX_MACRO_F1_LOSS = 0.005

#: F1 that any one class may lose.
MAX_CLASS_F1_LOSS = 0.02

#: Share of held-out windows whose label may differ from the trained network's.
MAX_FLIP_RATE = 0.01

#: Share of held-out windows whose nearest example by cosine may differ from the trained network's, median over sets.
MAX_NEAREST_CHANGED = 0.01

#: Sets of examples, one window of each class in every set. The median, because examples of two classes may be so alike
#: that chance decides between them: over 40 random sets the share was 0.1 to 1.2 % of one model, over one more 4.7 %.
EXAMPLE_SETS = 8

#: Bytes of the float weights over those of the quantized ones, for each bit that a float32 weight is reduced to:
#: int8 must reach 3.9 of 4, half precision 1.95 of 2. Only weights left behind in float32 can miss it.
SIZE_RATIO_BITS = 0.975 * 32

#: From this size of the float file on, the whole files must keep that ratio too. Below it they cannot: the encoder's
#: float table, the graph and the scales take some 120 KB whatever the width (at quarter width 3 MB become 0.84 MB, a
#: ratio of 3.6, though every weight is a quarter).
WHOLE_FILE_BYTES = 20_000_000

#: Every held-out window is judged; of more than these, as many evenly spaced ones. By then chance moves a flip rate of
#: 1 % by 0.14 points (one standard error), and each window costs a full-width float model some 5 ms in every engine.
MAX_JUDGED_WINDOWS = 5000

#: Recorded windows among the golden ones, balanced by class; the adversarial ones come on top.
GOLDEN_RECORDED_WINDOWS = 32

#: Golden windows to run on reference kernels, LiteRT's and TensorFlow Lite Micro's, which are slow.
REFERENCE_WINDOWS = 8

#: Recorded golden windows on which the layers of a quantized model are compared with the float one's.
LAYER_WINDOWS = 8
