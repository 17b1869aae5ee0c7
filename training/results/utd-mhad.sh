#!/usr/bin/env bash
# The commands behind the UTD-MHAD figures of the README; run one at a time there, never in one go.
#   training/results/utd-mhad.sh DIR OUT        DIR holds Inertial/ and Depth/; OUT gets the runs and bundles
# Of the settings only the image was compared on validation subjects (image-choice.sh); the others are from pilot runs
# that had been compared on the test subjects, see README.
set -euo pipefail
root=$1 out=$2
data=(--root "$root" --cache "$out/cache")
final=(--set data.train_on_validation=true --set threads=1)
for window in whole sliding; do
  config=(--config "utd-mhad-$window" "${data[@]}" "${final[@]}")
  vskd train student "${config[@]}" --out "$out/alone-$window"
  vskd train teacher "${config[@]}" --out "$out/teacher-$window"
  vskd train student "${config[@]}" --out "$out/distilled-$window" --teacher "$out/teacher-$window"
  vskd export "$out/distilled-$window" "${data[@]}" --out "$out/$window.bundle"
  vskd verify "$out/$window.bundle"
  vskd evaluate "$out/distilled-$window" "${data[@]}" --bundle "$out/$window.bundle" > "$out/int8-$window.json"
  vskd data recording --config "utd-mhad-$window" "${data[@]}" --id a9_s2_t1 --out "$out/a9_s2_t1.csv"
  vskd run "$out/$window.bundle" --input "$out/a9_s2_t1.csv"
  vskd bench "$out/$window.bundle" --engine litert --engine onnxruntime --out "$out/bench-$window"
done
