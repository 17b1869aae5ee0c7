#!/usr/bin/env bash
# The sweep of the benchmark: students alone, whole windows of UTD-MHAD, by width and image size; each trained, exported
# with its other forms, and measured in one run of `vskd bench`. Nothing is chosen by it.
#   benchmarks/results/sweep.sh DIR OUT        DIR: UTD-MHAD; OUT: folder for runs, bundles and the result
# On two cores: about an hour, half of it for the student of full width at 224 px.
set -euo pipefail
dir=$1 out=$2
here=$(cd "$(dirname "$0")/../.." && pwd)
config=$here/training/presets/utd-mhad-whole.toml
bundles=()
for student in 0.25:64 0.5:64 1.0:64 0.25:96 0.5:96 1.0:96 1.0:224; do
  width=${student%:*} size=${student#*:}
  name=w$width-s$size
  samples=$((size > 128 ? size : 128))
  [ -f "$out/$name/run.json" ] || vskd train student --config "$config" --root "$dir" --cache "$out/cache" \
    --set data.train_on_validation=true --set "student.width=$width" --set "gaf.size=$size" \
    --set "window.samples=$samples" --out "$out/$name"
  # A limit of the gate that a student misses is written into its bundle; a latency does not depend on it.
  [ -f "$out/$name.bundle/manifest.json" ] || vskd export "$out/$name" --root "$dir" --cache "$out/cache" --forms \
    --allow-degraded --out "$out/$name.bundle"
  bundles+=("$out/$name.bundle")
done
vskd bench "${bundles[@]}" --engine litert --engine onnxruntime --out "$out/bench"
