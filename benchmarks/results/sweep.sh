#!/usr/bin/env bash
# The sweep of the benchmark: students alone, whole windows of UTD-MHAD, by width and image size; each trained, exported
# with its variants, and measured: all of them in one run, then full and quarter width at 64 px with other pipelines.
# Nothing is chosen by it.
#   benchmarks/results/sweep.sh DIR OUT        DIR: UTD-MHAD; OUT: folder for runs, bundles and the result
# On two idle cores: by estimate half an hour; it was run part by part. At 224 px only the quarter width: the full one would train for an hour.
set -euo pipefail
dir=$1 out=$2
bundles=()
for student in 0.25:64 0.5:64 1.0:64 0.25:96 0.5:96 1.0:96 0.25:224; do
  width=${student%:*} size=${student#*:}
  name=w$width-s$size
  samples=$((size > 128 ? size : 128))
  [ -f "$out/$name/run.json" ] || vskd train student --config utd-mhad-whole --root "$dir" --cache "$out/cache" \
    --set data.train_on_validation=true --set "student.width=$width" --set "gaf.size=$size" \
    --set "window.samples=$samples" --out "$out/$name"
  # A limit of the gate that a student misses is written into its bundle; a latency does not depend on it.
  [ -f "$out/$name.bundle/manifest.json" ] || vskd export "$out/$name" --root "$dir" --cache "$out/cache" --variants \
    --allow-degraded --out "$out/$name.bundle"
  bundles+=("$name.bundle")
done
cd "$out" # so that the results name no path of this machine
engines=(--engine litert --engine onnxruntime)
vskd bench "${bundles[@]}" "${engines[@]}" --no-comparison --quick --out sweep
vskd bench w1.0-s64.bundle "${engines[@]}" --quick --out full-width
vskd bench w0.25-s64.bundle "${engines[@]}" --quick --out quarter-width
