#!/usr/bin/env bash
# Which image: each of the four training subjects of UTD-MHAD's cross-subject split validates once. Test subjects are not
# used. A quarter of the width and 40 epochs, half a minute a run on an idle core.
#   training/results/image-choice.sh DIR OUT
set -euo pipefail
root=$1 out=$2
arm() {
  local name=$1
  shift
  for subject in 1 3 5 7; do
    vskd train student --config utd-mhad-whole --root "$root" --cache "$out/cache" --out "$out/$name-$subject" \
      --set threads=1 --set student.width=0.25 --set student_training.epochs=40 \
      --set "data.validation_subjects=['$subject']" "$@"
  done
}
arm gadf-tanh
arm both-tanh --set "gaf.fields=['gasf','gadf']"
arm gasf-tanh --set "gaf.fields=['gasf']"
arm gasf-minmax --set "gaf.fields=['gasf']" --set gaf.scaling=minmax
