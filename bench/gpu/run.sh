#!/bin/sh
# Unpacks the pieces that lie beside it and runs the check as soon as all pieces are there: sh run.sh [options of the check]
# The pieces may come one folder after the other; what is unpacked stays in SMELT_CHECK (a folder among the temporary ones unless given) as long as the machine does.
# The record goes to $OUT/check-gpu.json, or beside what was unpacked where OUT is not set. Exit codes: 0 passed, 1 failed, 3 no device, 4 more pieces are to come, 5 it cannot be unpacked.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
place=${SMELT_CHECK:-$(dirname "$(mktemp -u)")/smelt-check}
out=${OUT:-$place}
mkdir -p "$place/pieces" "$place/tree" "$out"

say() { printf '%s\n' "$*" >&2; }
stop() { say "$*"; exit 5; }

command -v tar >/dev/null || stop 'tar is not there: install it'
if command -v xz >/dev/null; then expand() { xz -dc; }
elif command -v python3 >/dev/null && python3 -c 'import lzma' 2>/dev/null; then
  expand() { python3 -c 'import lzma, shutil, sys; shutil.copyfileobj(lzma.open(sys.stdin.buffer), sys.stdout.buffer, 1 << 20)'; }
else stop 'neither xz nor python3 with lzma is there: install one of them'
fi
if command -v sha256sum >/dev/null; then digest() { sha256sum "$1" | cut -d ' ' -f 1; }
else digest() { python3 -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$1"; }
fi

# A piece of another bundle must not be mixed with these.
if [ "$(cat "$here/pieces.txt")" != "$(cat "$place/pieces.txt" 2>/dev/null || true)" ]; then
  rm -rf "$place/pieces" "$place/tree"
  mkdir -p "$place/pieces" "$place/tree"
  cp "$here/pieces.txt" "$place/pieces.txt"
fi

while read -r wanted name; do
  [ -f "$here/$name" ] || continue
  [ ! -f "$place/pieces/$name" ] || continue
  [ "$(digest "$here/$name")" = "$wanted" ] || stop "$name is damaged: carry it again"
  cp "$here/$name" "$place/pieces/$name.new"
  mv "$place/pieces/$name.new" "$place/pieces/$name"
done < "$here/pieces.txt"

missing=
for name in $(sed 's/^[^ ]*  //' "$here/pieces.txt"); do
  [ -f "$place/pieces/$name" ] || missing="$missing $name"
done

# Each archive is unpacked when its last piece has come, while others may still be on their way.
for archive in $(sed 's/^[^ ]*  //; s/\.[0-9]*$//' "$here/pieces.txt" | uniq); do
  [ ! -f "$place/tree/.$archive" ] || continue
  case "$missing" in *" $archive."*) continue ;; esac
  cat "$place/pieces/$archive".* | expand | tar -xf - -C "$place/tree" --no-same-owner || stop "$archive cannot be unpacked: is there room in $place?"
  touch "$place/tree/.$archive"
done
if [ -n "$missing" ]; then
  say "unpacked so far; still to come:$missing"
  exit 4
fi

node=$place/tree/bin/node
"$node" -e 0 || stop 'the Node.js that was carried does not run here: is this Linux x64 with the GNU C library?'

# The CUDA libraries of a PyTorch or of a toolkit, wherever they are; smelt looks in the usual places by itself.
is_whole() { [ -e "$1/libcudart.so.13" ] && [ -e "$1/libcublas.so.13" ] && [ -e "$1/libcublasLt.so.13" ]; }
look() {
  for folder in $(python3 -c 'import glob, nvidia; [print(found) for path in nvidia.__path__ for found in glob.glob(path + "/*/lib")]' 2>/dev/null || true); do
    if is_whole "$folder"; then echo "$folder"; return; fi
  done
  for found in $(find / \( -path /proc -o -path /sys \) -prune -o -name libcublasLt.so.13 -print 2>/dev/null | head -n 20); do
    if is_whole "$(dirname "$found")"; then dirname "$found"; return; fi
  done
}
if [ -z "${SMELT_CUDA_LIBRARIES:-}" ]; then
  SMELT_CUDA_LIBRARIES=$(look)
  if [ -n "$SMELT_CUDA_LIBRARIES" ]; then export SMELT_CUDA_LIBRARIES; else unset SMELT_CUDA_LIBRARIES; fi
fi
say "CUDA libraries: ${SMELT_CUDA_LIBRARIES:-where smelt finds them}"
XDG_DATA_HOME=$place/data XDG_CACHE_HOME=$place/cache
export XDG_DATA_HOME XDG_CACHE_HOME
exec "$node" "$place/tree/bench/gpu/check.mjs" --out "$out/check-gpu.json" "$@"
