#!/bin/sh
# Installs the programs that smelt is measured beside into a virtual environment that git ignores: `sh bench/peers.sh`.
# One that cannot be installed leaves the others standing; the benchmark says why it is missing.
cd "$(dirname "$0")" || exit 1
if [ ! -x .venv/bin/python ]; then
  python3 -m venv .venv || exit 1
  echo '*' > .venv/.gitignore
fi
install() {
  name=$1
  shift
  if .venv/bin/python -m pip install --quiet --disable-pip-version-check "$@" 2> .venv/pip.log; then
    rm -f ".venv/$name.failed"
    echo "$name: installed"
  else
    grep -i error .venv/pip.log | tail -1 > ".venv/$name.failed"
    echo "$name: not installed: $(cat ".venv/$name.failed")"
  fi
}
install pytorch torch==2.13.0 numpy safetensors
install sd-mecha torch==2.13.0 sd-mecha==1.1.5
install mergekit torch==2.13.0 mergekit==0.1.5
install adapters torch==2.13.0 peft==0.21.2 lycoris-lora==4.1.3
