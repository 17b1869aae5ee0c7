#!/bin/sh
# Tries and measures a bundle on this machine, without a network and without root.
#
#   sh install-and-run.sh              install into venv/ beside this file, self-test, benchmark into results/
#   sh install-and-run.sh --no-bench   install and self-test only
#
# PYTHON=/path/to/python3.11 sh install-and-run.sh takes that Python. Exit code 0 done, 1 something to mend, 2 misuse.
set -eu

fail() {
  echo "error: $1" >&2
  [ -z "${2:-}" ] || echo "       $2" >&2
  exit 1
}

bench=yes
for word in "$@"; do
  case $word in
    --no-bench) bench=no ;;
    *) echo "usage: sh install-and-run.sh [--no-bench], not $word" >&2; exit 2 ;;
  esac
done

unset CDPATH # cd would look for the folder elsewhere first
cd -- "$(dirname -- "$0")"

# 1. What came is what was packed, and nothing else: before a line of it is run or installed.
if ! said=$(LC_ALL=C sha256sum --strict -c SHA256SUMS 2>&1); then
  fail "this kit was changed or cut short: $(echo "$said" | grep -v ': OK$' | head -n 1)" "Copy and unpack it again"
fi
strange=$(find kit.conf requirements.txt wheels bundle ! -type d | while IFS= read -r name; do
  [ -f "$name" ] && [ ! -h "$name" ] && cut -c67- SHA256SUMS | grep -qxF -e "$name" || echo "$name"
done | LC_ALL=C tr -cd '[:print:]\n' | head -n 1)
[ -z "$strange" ] || fail "this kit was changed: $strange is not among its files" "Copy and unpack it again"
. ./kit.conf

# 2. A Python that the wheels are for. Its own word counts: a 64-bit kernel may carry a 32-bit system.
facts='import platform, struct, sys
machine, bits = platform.machine(), 8 * struct.calcsize("P")
if bits == 32 and machine in ("aarch64", "armv8l"):
    machine = "armv7l"
print("%d.%d on %s, %d bit" % (sys.version_info[:2] + (machine, bits)))'
wanted="$KIT_PYTHON on $KIT_MACHINE, $KIT_BITS bit"
python= found=
if [ -n "${PYTHON:-}" ]; then set -- "$PYTHON"; else set -- python3 "python$KIT_PYTHON"; fi
for candidate in "$@"; do
  is=$("$candidate" -c "$facts" 2>/dev/null) || continue
  if [ "$is" = "$wanted" ]; then python=$candidate; break; fi
  found="${found:+$found; }$candidate is $is"
done
[ -n "$python" ] || fail "this kit is for Python $wanted; ${found:-none of $* runs here}" \
  "Make one for this machine: vskd pi-kit BUNDLE --out KIT.tar.gz --machine ... --python ..."

# 3. No armv7l wheel of numpy is published: there it is the system's.
site=
if [ "$KIT_SYSTEM_NUMPY" = yes ]; then
  "$python" -c 'import numpy, sys; sys.exit(not ((1, 24) <= tuple(map(int, numpy.__version__.split(".")[:2])) < (2,)))' \
    2>/dev/null || fail "this kit needs the system's numpy, 1.24 or later and below 2, and $python has none" \
    "While there is a network: sudo apt install python3-numpy"
  site=--system-site-packages
fi

# 4. Install. pip comes along, since a system's Python may lack it.
"$python" -m venv --without-pip --clear $site venv || fail "$python cannot make a virtual environment in $(pwd)"
set -- wheels/pip-*.whl
PIP_CONFIG_FILE=/dev/null venv/bin/python "$1/pip" --disable-pip-version-check install --quiet \
  --no-index --find-links wheels --only-binary :all: --requirement requirements.txt ||
  fail "the wheels could not be installed; pip's words stand above"

# 5. Every stage against the golden vectors, then the benchmark.
venv/bin/vskd selftest "./$KIT_BUNDLE"
[ "$bench" = yes ] || exit 0
number=1
while [ -e "results/$number" ]; do number=$((number + 1)); done
mkdir -p results
venv/bin/vskd bench "./$KIT_BUNDLE" --out "results/$number" ||
  fail "the benchmark did not finish" "Again without it: sh install-and-run.sh --no-bench"
echo "done: $(pwd)/results/$number" >&2
