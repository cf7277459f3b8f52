#!/usr/bin/env bash
# Scores reviews on this machine. Creates .venv on first use.
#
#   ./run_local.sh                          scores the shipped samples with the shipped model
#   ./run_local.sh INPUT... --output DIR    scores your reviews; takes the arguments of `batch-scorer score`
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
extras="[report]"
source "$here/scripts/venv.sh"

if [ $# -gt 0 ]; then
    exec "$venv/bin/batch-scorer" score "$@"
fi
cd "$here"
# Four of the 51 samples are bad on purpose.
"$venv/bin/batch-scorer" score batch_scorer/samples --output out/samples --overwrite \
    --id-column review_id --keep label=true_label --max-error-rate 0.2
echo
"$venv/bin/batch-scorer" inspect out/samples
