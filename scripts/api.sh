#!/usr/bin/env bash
# Holds a fresh server to its own OpenAPI documents, one for each face: spectral (npm) reads them, schemathesis (PyPI) plays them.
# Versions are pinned here; both are installed into the cache. EXAMPLES sets how many cases an operation gets, SEED which ones, FACES which
# faces: native, valta and valar unless it is set. Arguments go to `st run`.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${XDG_CACHE_HOME:-$HOME/.cache}/bureau
schemathesis=4.32.5
spectral=6.16.3
work=$(mktemp -d)
server=
doubles=
finish() {
  for process in $server $doubles; do
    kill "$process" 2>/dev/null && wait "$process" 2>/dev/null || true
  done
  rm -rf "$work"
}
trap finish EXIT

if [ ! -x "$cache/schemathesis-$schemathesis/bin/st" ]; then
  python3 -m venv "$cache/schemathesis-$schemathesis"
  "$cache/schemathesis-$schemathesis/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$schemathesis"
fi
if [ ! -x "$cache/spectral-$spectral/node_modules/.bin/spectral" ]; then
  mkdir -p "$cache/spectral-$spectral"
  npm install --silent --no-audit --no-fund --prefix "$cache/spectral-$spectral" "@stoplight/spectral-cli@$spectral"
fi

go build -o "$work/bureau" ./app/cmd/bureau
export BUREAU_API_KEY="bureau_$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
url=http://127.0.0.1:$port
mkfifo "$work/port"
python3 scripts/api-doubles.py >"$work/port" &
doubles=$!
read -r outside <"$work/port"
export BUREAU_EGRESS_ALLOW=127.0.0.1:$outside BUREAU_OAUTH_ALLOWED_DOMAINS=example.com
for app in SLACK GITHUB GOOGLE; do
  export "BUREAU_OAUTH_${app}_CLIENT_ID=client" "BUREAU_OAUTH_${app}_CLIENT_SECRET=secret"
done
export BUREAU_OAUTH_SLACK_BASE_URL=http://127.0.0.1:$outside BUREAU_OAUTH_GOOGLE_ISSUER=http://127.0.0.1:$outside
export BUREAU_OAUTH_SLACK_SIGNING_SECRET=signing BUREAU_OAUTH_GITHUB_WEBHOOK_SECRET=signing
BUREAU_RATE_LIMIT_SCALE=0 "$work/bureau" serve --addr "127.0.0.1:$port" --data "$work/data" >"$work/log" 2>&1 &
server=$!
fail() {
  echo "$1"
  tail -n 40 "$work/log"
  exit 1
}
for _ in $(seq 300); do
  curl -fsS "$url/healthz" >/dev/null 2>&1 && break
  kill -0 "$server" 2>/dev/null || fail "the server did not start"
  sleep 0.1
done

faces=${FACES:-native valta valar}
# prefix FACE prints where a face stands.
prefix() { [ "$1" = native ] || echo "/compat/$1"; }
echo 'extends: ["spectral:oas"]' >"$work/ruleset.yaml"
for face in $faces; do
  curl -fsS "$url$(prefix "$face")/openapi.json" >"$work/$face.json"
  "$cache/spectral-$spectral/node_modules/.bin/spectral" lint --fail-severity error --ruleset "$work/ruleset.yaml" "$work/$face.json"
done

# call METHOD PATH [BODY] prints the answer, make PATH BODY the id of what was made.
key=$BUREAU_API_KEY
call() {
  curl -fsS -X "$1" "$url$2" -H "x-api-key: $key" -H 'content-type: application/json' ${3+-d "$3"} ||
    fail "$1 $2 ${3-} failed"
}
ids() { grep -o '"id":"[^"]*"' | cut -d'"' -f4; }
make() { call POST "$1" "$2" | ids | head -n 1; }
# know NAME writes a dictionary for schemathesis, one value a line.
into=$work
know() { sed 's/.*/"&"/' >>"$into/$1.dict"; }

# From a checkout the shipped plugins are compiled first; until then a policy with a rule is a 503.
for _ in $(seq 600); do
  call GET /v1/plugins | grep -q '"state":"building"\|"data":\[\]' || break
  sleep 0.5
done

# A Slack where nobody has to agree.
state=$(call GET /v1/integrations/slack/install | grep -o '"state":"[^"]*"' | cut -d'"' -f4)
installation=$(call GET "/v1/integrations/slack/callback?state=$state&code=x" | ids | head -n 1)
echo "$installation" | know installations

# Things to play with, several of each kind, because some of them are archived, deleted and frozen on the way.
for i in 1 2 3 4 5 6; do
  agent=$(make /v1/agents "{\"name\":\"agent $i\",\"model\":\"offline\"}")
  echo "$agent" | know agents
  make "/v1/agents/$agent/wallet/deposits" '{"amount":"1000"}' >/dev/null
  make "/v1/agents/$agent/wallet/payments" '{"amount":"20","payee":"vendor.example"}' >/dev/null
  call GET "/v1/agents/$agent/wallet/transactions" | ids | know transactions
  make "/v1/agents/$agent/runs" '{"task":"What is 17 * 23?","wait":20}' | know runs
  swarm=$(make /v1/swarms "{\"name\":\"swarm $i\"}")
  echo "$swarm" | know swarms
  call POST "/v1/swarms/$swarm/agents" "{\"agent_id\":\"$agent\"}" >/dev/null
  webhook=$(make /v1/webhooks "{\"url\":\"http://127.0.0.1:$outside/hook\",\"events\":[\"*\"]}")
  echo "$webhook" | know webhooks
  make "/v1/webhooks/$webhook/test" '{}' | know deliveries
  make /v1/policies "{\"scope\":{\"agent_id\":\"$agent\"},\"limits\":{\"require_approval_above\":\"30\"}}" | know policies
  make "/v1/agents/$agent/skills" '{"skill_id":"calculator"}' | know skills
  call POST /v1/knowledge/ingest "{\"agent_id\":\"$agent\",\"chunks\":[{\"text\":\"Refunds are granted within 30 days.\",\"source\":\"a.md\"}]}" >/dev/null
  environment=$(make /v1/environments "{\"name\":\"environment $i\",\"config\":{\"type\":\"cloud\"}}")
  echo "$environment" | know environments
  vault=$(make /v1/vaults "{\"display_name\":\"vault $i\"}")
  echo "$vault" | know vaults
  make "/v1/vaults/$vault/credentials" \
    "{\"display_name\":\"c\",\"auth\":{\"type\":\"static_bearer\",\"token\":\"t$i\",\"mcp_server_url\":\"https://mcp.invalid/$i\"}}" | know credentials
  store=$(make /v1/memory_stores "{\"name\":\"store $i\",\"agent_id\":\"$agent\"}")
  echo "$store" | know stores
  memory=$(call POST "/v1/memory_stores/$store/memories" "{\"path\":\"/a/$i.md\",\"content\":\"Customers like $i.\"}")
  echo "$memory" | ids | head -n 1 | know memories
  echo "$memory" | grep -o '"memory_version_id":"[^"]*"' | cut -d'"' -f4 | head -n 1 | know memory_versions
  make /v1/skills "{\"files\":[{\"filename\":\"s/SKILL.md\",\"content\":\"---\\nname: notes-$i\\ndescription: Notes.\\n---\\nWrite.\\n\"}]}" | know skills
  make /v1/model_cards "{\"model_id\":\"card $i\",\"provider\":\"oai-compatible\",\"model\":\"m\",\"base_url\":\"http://127.0.0.1:$outside/v1\",\"api_key\":\"k\"}" |
    know cards
  make /v1/integrations/slack/publications "{\"agent_id\":\"$agent\",\"installation_id\":\"$installation\"}" | know publications
  make /v1/evals "{\"agent_id\":\"$agent\",\"tasks\":[{\"id\":\"t\",\"messages\":[\"What is 17 * 23?\"],\"scorer\":{\"type\":\"includes\",\"text\":\"391\"}}]}" |
    know evals
  for _ in 1 2; do
    session=$(make /v1/sessions "{\"agent\":\"$agent\"}")
    echo "$session" | know sessions
    echo "sthr_${session#sesn_}" | know threads
    make "/v1/sessions/$session/resources" '{"type":"github_repository","url":"https://github.com/octocat/hello-world"}' | know resources
    make /v1/files "{\"filename\":\"a.txt\",\"content\":\"text\",\"session_id\":\"$session\"}" | know files
    call POST "/v1/sessions/$session/messages" '{"content":"Pay 35 USDC to vendor.example for the renewal"}' >/dev/null
  done
  make /v1/api_keys '{"scopes":["chat"]}' | know keys
  make /v1/tenants '{"name":"another"}' | know tenants
done
call GET /v1/approvals | ids | know approvals
call GET /v1/notices | ids | know notices
call GET /v1/audit | ids | know entries
call GET /v1/skills | ids | know skills
echo http_fetch | know plugins
printf '%s\n' 1 | know versions
echo slack | know integrations
echo google | know providers
echo SKILL.md | know filenames

# play FACE CONFIG plays a face with the key and the dictionaries of the moment.
play() {
  cp "scripts/$2" "$into/"
  "$cache/schemathesis-$schemathesis/bin/st" --config-file "$into/$2" run "$work/$1.json" --url "$url$(prefix "$1")" \
    --header "x-api-key: $key" --checks all --max-examples "${EXAMPLES:-30}" --seed "${SEED:-1}" --workers 1 --request-timeout 20 \
    "${@:3}" || fail "schemathesis found something in the face $1"
}
for face in $faces; do
  if [ "$face" = native ]; then
    play native schemathesis.toml "$@"
    continue
  fi
  # A tenant of its own, because deleting an agent destroys it here.
  key=$(call POST /v1/tenants "{\"name\":\"$face\"}" | grep -o '"api_key":"[^"]*"' | cut -d'"' -f4)
  into=$work/$face
  mkdir "$into"
  for i in $(seq 12); do
    agent=$(make /v1/agents "{\"name\":\"agent $i\",\"model\":\"offline\"}")
    echo "$agent" | know agents
    make "/v1/agents/$agent/wallet/deposits" '{"amount":"1000"}' >/dev/null
    make /v1/policies "{\"scope\":{\"agent_id\":\"$agent\"},\"limits\":{\"require_approval_above\":\"30\"}}" >/dev/null
    call POST "/v1/agents/$agent/wallet/payments" '{"amount":"35","payee":"vendor.example"}' >/dev/null
    make "/v1/agents/$agent/runs" '{"task":"What is 17 * 23?","wait":20}' | know runs
  done
  call GET /v1/approvals | ids | know approvals
  call GET /v1/audit | ids | know entries
  play "$face" schemathesis-compat.toml "$@"
  key=$BUREAU_API_KEY into=$work
done

# The run means nothing if it has locked itself out on the way.
call GET /v1/account | grep -q '"standing":"active"' || fail "the tenant was frozen during the run"
if grep -E '"level":"ERROR"|panic' "$work/log"; then fail "the server logged errors"; fi
