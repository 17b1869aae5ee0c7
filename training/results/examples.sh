#!/usr/bin/env bash
# What a wearer's own examples are worth, by the runs of finished studies; nothing is trained.
#   training/results/examples.sh STUDIES OUT DIR
# STUDIES holds the folders that `vskd study ... --out STUDIES/NAME` wrote, each by the name of its study, DIR is
# UTD-MHAD. A study that is not there is left out. OUT gets the evaluations (NAME.jsonl, a line for each run), their
# summary over subjects (NAME.json) and the rules; what is there is not computed again.
# How examples count is chosen for each arm on the subjects of odd folds and tested on those of even ones, and the other
# way, so that nobody is tested by a rule that was chosen on them. Repetitions of one day and one strap flatter.
set -euo pipefail
studies=$1 out=$2 dir=$3
mkdir -p "$out"
odd='fold-*[13579]' even='fold-*[02468]'

data_of() {  # STUDY
  data=(--cache "$out/cache")
  case $1 in utd-mhad*) data+=(--root "$dir") ;; esac
}

rule() {  # STUDY ARM odd|even
  local place=$out/$1.$2.$3.rule
  [ -e "$place" ] || vskd examples "$studies/$1/cells/$2"/${!3}/* --choose "$place" "${data[@]}" > /dev/null
}

crossed() {  # NAME STUDY ARMS [OPTIONS OF vskd examples]
  local name=$1 study=$2 arms=$3 cells=$studies/$2/cells
  shift 3
  [ -d "$cells" ] || { echo "$study is not there" >&2; return 0; }
  data_of "$study"
  for arm in $arms; do
    rule "$study" "$arm" odd
    rule "$study" "$arm" even
    local how=(--out "$out/$name.jsonl" "${data[@]}" "$@")
    vskd examples "$cells/$arm"/$even/* --rule "$out/$study.$arm.odd.rule" "${how[@]}" > /dev/null
    vskd examples "$cells/$arm"/$odd/* --rule "$out/$study.$arm.even.rule" "${how[@]}" > "$out/$name.json"
  done
}

# Accuracy by number of examples, image and raw students, and without a network.
crossed utd-mhad utd-mhad-image-or-raw "raw-1 raw-3 raw-12 image-1 image-3 image-12"
# Windows of a real smartwatch: one side enrols, the other is tested (another placement: harder).
crossed shoulder-watch-left shoulder-watch-image-or-raw "raw-1 raw-3 image-3" --enroll side=left --level window
crossed shoulder-watch-right shoulder-watch-image-or-raw "raw-1 raw-3 image-3" --enroll side=right --level window
# Few labels: does what a teacher gave still help a wearer with examples?
crossed two-labelled utd-mhad-watch-two-labelled "alone self wrist skeleton-taught everything" --against alone
crossed all-labelled utd-mhad-watch-all-labelled "alone everything" --against alone
# Which training serves new wearers best.
crossed wearers utd-mhad-wearers "ce supervised-0-3 supervised-1 kd dask" --against ce
# A new activity: its networks train on subjects 1, 3, 5, 7, on whom the rule was chosen, and test 2, 4, 6, 8.
if [ -d "$studies/utd-mhad-new-activity/cells" ]; then
  data_of utd-mhad
  rule utd-mhad-image-or-raw raw-3 odd
  vskd examples "$studies"/utd-mhad-new-activity/cells/*/*/* --rule "$out/utd-mhad-image-or-raw.raw-3.odd.rule" \
    --out "$out/new-activity.jsonl" "${data[@]}" > "$out/new-activity.json"
fi

python3 - "$out" <<'TABLE'
"""Tables of the summaries."""
import collections, json, pathlib, sys

def mean(values):
    return sum(values) / len(values)

out = pathlib.Path(sys.argv[1])
for path in sorted(out.glob("*.json")):
    summary = json.loads(path.read_text())
    print(f"\n{path.stem}, per {summary['level']}\n")
    if summary["new"]:
        named = collections.defaultdict(list)
        for numbers in summary["new"].values():
            for name, value in numbers.items():
                named[name].append(value)
        print("| enrolled: what, examples of each | mean over activities | worst |\n|---|---|---|")
        for name, values in named.items():
            print(f"| {name} | {mean(values):.3f} | {min(values):.3f} |")
        told = collections.defaultdict(list)
        for line in path.with_suffix(".jsonl").read_text().splitlines():
            for count, scores in json.loads(line)["unknown"].items():
                for score, found in scores.items():
                    told[count, score].append(found["auroc"])
        print("\n| examples | score | AUROC, mean over runs |\n|---|---|---|")
        for (count, score), values in told.items():
            print(f"| {count} | {score} | {mean(values):.3f} |")
        continue
    print("| arm | by | examples | accuracy | 95 % | worst subject |\n|---|---|---|---|---|---|")
    for row in summary["rows"]:
        interval = "" if row["low"] is None else f"{row['low']:.3f} to {row['high']:.3f}"
        values = f"{row['mean']:.3f} | {interval} | {row['worst']:.3f}"
        print(f"| {row['arm']} | {row['by']} | {row['examples']} | {values} |")
    print("\n| compared | difference | p, adjusted |\n|---|---|---|")
    for one in summary["comparisons"]:
        if one["p_holm"] is not None:
            print(f"| {one['arm']} against {one['against']} | {one['mean']:+.3f} | {one['p_holm']:.3g} |")
TABLE
