#!/usr/bin/env bash
# As a watch sees it: runs side by side on continuous streams of their own test subjects, each by its exported bundle.
#   training/results/streams.sh DIR OUT RUN...      e.g. ... runs/image runs/raw; RUN is a folder of `vskd train student`,
# each with a name of its own
# A bundle of each run is exported to OUT once. Each is tested as exported, and with two decision rules that a watch
# needs where there are pauses: the motion gate, and the threshold for unknown activities that keeps 95 % of the
# validation windows (`vskd evaluate`). Neither rule looks at a test subject. SEEDS="0 1 2" joins three streams of each.
# UTD-MHAD: five seconds of computing for each seed and rule, half a minute for an export.
set -euo pipefail
root=$1 out=$2
shift 2
data=(--root "$root" --cache "$out/cache")
recipe=${RECIPE:-int8} still=${STILL_BELOW_G:-0.05}
mkdir -p "$out"
for run in "$@"; do
  name=$(basename "$run")
  [ -d "$out/$name.bundle" ] || vskd export "$run" "${data[@]}" --allow-degraded --out "$out/$name.bundle"
  vskd evaluate "$run" "${data[@]}" --bundle "$out/$name.bundle" --recipe "$recipe" > "$out/$name.windows.json"
  unknown=$(python3 -c 'import json, sys
found = json.load(open(sys.argv[1]))["unknown_below"]
print(found["threshold"] if found else "0")' "$out/$name.windows.json")
  for seed in ${SEEDS:-0}; do
    stream=(vskd evaluate "$run" "${data[@]}" --bundle "$out/$name.bundle" --recipe "$recipe" --stream --seed "$seed")
    "${stream[@]}" > "$out/$name.plain.$seed.json"
    "${stream[@]}" --set "still_below_g=$still" --set "unknown_below=$unknown" > "$out/$name.rules.$seed.json"
  done
done
python3 - "$out" "$@" <<'TABLE'
"""One line for each run, rules and seed."""
import json, pathlib, sys

out, runs = pathlib.Path(sys.argv[1]), [pathlib.Path(run).name for run in sys.argv[2:]]
print("| run | rules | seed | windows: network | reported | found | delay p50, p90, s | false per hour | in vain | model |")
print("|---|---|---|---|---|---|---|---|---|---|")
for path in sorted(path for run in runs for path in out.glob(f"{run}.*.*.json")):
    *name, rules, seed = path.stem.split(".")
    document = json.loads(path.read_text())
    windows, events = document["total"]["windows"], document["total"]["events"]
    shares = [windows["accuracy_network"], windows["accuracy_reported"], events["found"]]
    delays = ", ".join("n/a" if value is None else f"{value:.2f}" for value in map(events["delay_s"].get, ("p50", "p90")))
    shown = " | ".join("n/a" if share is None else f"{share:.3f}" for share in shares)
    false, vain = events["false_per_hour"]["all"], events["shown_in_vain"]
    print(f"| {'.'.join(name)} | {rules} | {seed} | {shown} | {delays} | {false:.1f} | {vain:.3f} | {document['model']} |")
TABLE
