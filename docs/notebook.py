# %% [markdown]
# # From recordings to a wrist, in a notebook
#
# Trains a small network on the embedded synthetic recordings, tests it on people whom it has not seen, exports it, and
# lets it watch a stream as on a watch. Install `vskd[export]` first. This takes a few minutes on two cores; your own
# recordings take the place of the synthetic ones by `vskd.train("folder", ..., root="my-recordings")`.

# %%
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import vskd

# %% [markdown]
# ## Train
#
# `demo` is a preset. `changes` sets keys of it: the small student for watches, fewer recordings and fewer epochs than
# one would take in earnest.

# %%
changes = {"student": "watch", "data.synthetic.trials": 1, "student_training.epochs": 40}
run = vskd.train("demo", "notebook/run", changes=changes, cache="notebook/cache", overwrite=True, progress=False)
run

# %% [markdown]
# ## Test
#
# Accuracy of people who took no part in the training, and the person who is recognised worst.

# %%
result = vskd.evaluate(run, cache="notebook/cache", progress=False)
scores = result.metrics["recording"]["all"]
print(f"accuracy {scores['accuracy']:.2f}, worst person {scores['worst_subject']}: {scores['worst_accuracy']:.2f}")
result

# %% [markdown]
# ## Export
#
# The bundle holds the network as ONNX and TFLite, in float and int8. Before it is written, every model is compared with
# the trained network. So short a training may leave an int8 model that changes more labels than the gate allows:
# `allow_degraded` writes it all the same, and the report says so.

# %%
bundle = vskd.export(
    run, "notebook/watch.bundle", cache="notebook/cache", overwrite=True, allow_degraded=True, progress=False
)
for sentence in bundle.degraded():
    print(sentence)
bundle

# %% [markdown]
# ## Watch a stream
#
# Two minutes of one of the people who were not in the training, through all twelve movements, ten seconds each: what a
# sensor at the wrist gives, timestamps in seconds and acceleration in g. `vskd data stream` writes it.

# %%
words = ["--config", "notebook/run", "--subject", "2", "--out", "notebook/day.csv", "--truth", "notebook/truth.csv"]
subprocess.run([sys.executable, "-m", "vskd", "data", "stream", *words], check=True)
day = np.loadtxt("notebook/day.csv", delimiter=",", skiprows=1)
time_s, xyz = day[:, 0], day[:, 1:]

with vskd.Classifier.open(bundle) as classifier:
    print(classifier)
    events = classifier.push(time_s, xyz)
    for event in events[:5]:
        print(f"{event.end_s:5.2f} s  {event.label:24} {event.probability:.2f}")
    print(len(events), "events of", classifier.health.samples, "samples")

    classifier.reset()
    singly = [event for when, reading in zip(time_s, xyz, strict=True) for event in classifier.push(when, reading)]
    print(len(singly), "events of single samples, the last one", singly[-1].label)

# %% [markdown]
# ## A picture
#
# Gray: what the person did. Dots: what the events say; their height is the probability. A third of
# the preset's recordings and no teacher do not teach much; the whole preset does better.

# %%
truth = [line.split(",") for line in Path("notebook/truth.csv").read_text(encoding="utf-8").split()[1:]]
figure, (above, below) = plt.subplots(2, sharex=True, figsize=(9, 4.5), layout="constrained")
above.plot(time_s, xyz, linewidth=0.5, label=["x", "y", "z"])
above.set_ylabel("acceleration, g")
above.legend(loc="upper right", ncols=3)
for number, (start_s, end_s, label) in enumerate(truth):
    below.axvspan(float(start_s), float(end_s), color="0.9" if number % 2 else "0.8")
    below.text(float(start_s) + 0.3, 0.03, label, rotation=90, fontsize=7)
middle = [(event.start_s + event.end_s) / 2 for event in events]
names = [next((row[2] for row in truth if float(row[0]) <= when < float(row[1])), "") for when in middle]
right = [event.label == name for event, name in zip(events, names, strict=True)]
colours = ["tab:blue" if one else "tab:red" for one in right]
below.scatter(middle, [event.probability for event in events], s=12, c=colours)
below.set(xlabel="time, s", ylabel="probability", ylim=(0, 1))
print(f"{sum(right)} of {len(right)} events name what the person did (blue); red ones do not")

# %% [markdown]
# ## When something is wrong
#
# Every error that you can mend says what, which value, and the way out.

# %%
try:
    vskd.train("demmo", "notebook/other")
except vskd.VskdError as error:
    print(error)
