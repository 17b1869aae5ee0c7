#!/usr/bin/env bash
# The fuzz and kill tests: a document for each, whether it found something or not; exit code 1 if one did.
#   benchmarks/results/fuzz.sh OUT [MINUTES OF STREAM] [MINUTES A READER] [KILLS]      OUT: folder for the documents
# Without numbers 15, 5 and 60: an hour and a half.
set -uo pipefail
out=$1 stream=${2:-15} reader=${3:-5} kills=${4:-60} found=0
mkdir -p "$out"
fuzz() { python -m research.fuzz "${@:2}" > "$out/fuzz-$1.json" || found=1; }
fuzz stream stream --minutes "$stream"
for name in $(python -c "from research.fuzz import READERS; print(*READERS)"); do
  fuzz "$name" reader "$name" --minutes "$reader"
done
fuzz kills kills --count "$kills"
exit $found
