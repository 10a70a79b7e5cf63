#!/bin/sh
# Judges the random bits with dieharder (Debian's package), on one stream and on 16 interleaved streams of neighbouring keys.
# Each argument is a test's number as `dieharder -l` lists them, with options where it needs any: '203 -n 11'. Without arguments all are run, which takes hours.
cd "$(dirname "$0")/.." || exit 1
for stream in one interleaved; do
  echo "== $stream"
  if [ $# -eq 0 ]; then
    node bench/random-stream.mjs "$stream" | dieharder -a -g 200
  else
    for test in "$@"; do
      # Unquoted, so that the options become words.
      # shellcheck disable=SC2086
      node bench/random-stream.mjs "$stream" | dieharder -d $test -g 200 -D test_name -D ntuple -D tsamples -D psamples -D pvalues -D assessment
    done
  fi
done
