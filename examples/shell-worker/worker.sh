#!/usr/bin/env bash
# A worker with nothing but curl and jq: its runs say their input in capitals. One run at a time.
set -euo pipefail
url=${TENURE_URL:-http://127.0.0.1:7700}/v1 tenant=${TENURE_TENANT:-default} pool=shout
random=$(head -c 4096 /dev/urandom | LC_ALL=C tr -dc 0-9a-hjkmnp-tv-z)
worker=wkr_0${random:0:25}

# call PATH JSON: the answer. Again while it may pass: 429, 503, or nobody there.
call() {
  curl --silent --show-error --fail-with-body --max-time 60 --retry 5 --retry-connrefused \
    --json "$2" "$url/$1"
}

# commit RUN SEQ JSON: appends to the journal, or ends the run. A refusal means: drop the run.
commit() {
  call "tenants/$tenant/runs/$(jq -r .run <<<"$1"):commit" \
    "$(jq -c --arg seq "$2" --argjson what "$3" '{lease, expectedSeq: $seq} + $what' <<<"$1")"
}

# beat RUN: keeps the lease alive, as long as this script lives.
beat() {
  while sleep 3 && kill -0 $$; do
    call "tenants/$tenant/workers/$worker:heartbeat" "$(jq -c '{leases: [{run, lease}]}' <<<"$1")"
  done >/dev/null 2>&1
}

execute() {
  local run=$1 seq said payload step
  seq=$(jq -r .nextSeq <<<"$run")
  # What is in the journal is not done again: another worker may have come this far.
  said=$(jq -r '.entries[]?.record | select(.key == "shout").succeeded.data' <<<"$run")
  [[ -n $said ]] || step=$(jq -r '.input.data // "" | @base64d | ascii_upcase | @base64' <<<"$run")
  payload="{\"contentType\": \"application/json\", \"data\": \"${said:-$step}\"}"
  if [[ -z $said ]]; then
    step="{\"key\": \"shout\", \"kind\": \"ENTRY_KIND_STEP\", \"attempt\": 1, \"succeeded\": $payload}"
    seq=$(commit "$run" "$seq" "{\"records\": [$step]}" | jq -r .nextSeq)
  fi
  commit "$run" "$seq" "{\"outcome\": {\"succeed\": $payload}}" >/dev/null
}

document=$(cat "$(dirname "$0")/agent.yaml")
call "tenants/$tenant/agents:publish" "$(jq -n --arg document "$document" '{$document}')" >/dev/null
poll="{\"tenants\": [\"$tenant\"], \"pools\": [\"$pool\"], \"capacity\": 1, \"wait\": \"20s\"}"
while true; do
  polled=$(call "workers/$worker:poll" "$poll") || continue
  run=$(jq -c '.dispatched.runs[0] // empty' <<<"$polled")
  [[ -n $run ]] || continue
  beat "$run" & beating=$!
  execute "$run" || echo "dropped $(jq -r .run <<<"$run")" >&2
  kill $beating && wait $beating 2>/dev/null || true
done
