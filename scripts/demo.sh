#!/usr/bin/env bash
# The whole life of a language model on this machine: from real text to a version that is aligned,
# promoted because the evidence is better, grounded in documents, governed, and billed to the last unit.
# `./dev demo` builds first. What a former run made is used again. Each step prints what the fleet
# says and checks it; ends with 0 only when all of it was so, else with what differed.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

started=$SECONDS
. scripts/demo/lib.sh

. scripts/demo/fleet.sh       #        all services
. scripts/demo/train.sh       #  1-5   corpus, tokenizer, blueprint, training, promotion
. scripts/demo/serve.sh       #  6     the same answer plain and as a stream
. scripts/demo/align.sh       #  7-8   SFT, DPO, promotion by evidence
. scripts/demo/retrieval.sh   #  9     answers from documents, with citations
. scripts/demo/guardrails.sh  #  10    what is masked, blocked and held back
. scripts/demo/cache.sh       #  11    the same answer for less
. scripts/demo/tiers.sh       #  12    time to first token, price and credit a tier
. scripts/demo/bill.sh        #  13    report, explanation, workflow, proof

heading 'The fleet goes on'
cat <<EOT
The demo took $(((SECONDS - started) / 60)) min $(((SECONDS - started) % 60)) s.

  HTTP       $http/v1   (OpenAI-compatible; key in .floe/admin.key)
  door       $(jq -r .door .floe/fleet.json)   (gRPC)

Next:
  $floe status
  $floe chat $model -m 'What does river mean?'
  $floe eval ls
  $floe models export $model ./$model         a Hugging Face folder
  $floe keys create --name me --role consumer
  $floe down                               stops it; everything stays in .floe/
EOT
