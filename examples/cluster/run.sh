#!/bin/sh
# A broker, a target, three agents and a coordinator on this machine; everything ends with the run.
set -eu
drumfire=${DRUMFIRE:-drumfire}
nats_server=${DRUMFIRE_NATS_SERVER:-nats-server}
here=$(cd "$(dirname "$0")" && pwd)
store=$(mktemp -d)
nats=nats://127.0.0.1:4229

started=""
finish() {
    for process in $started; do
        kill "$process" 2>/dev/null || true
    done
    wait
    rm -rf "$store"
}
trap finish EXIT INT TERM

"$nats_server" -js -sd "$store" -a 127.0.0.1 -p 4229 -l "$store/nats.log" &
started="$started $!"
"$drumfire" target --listen 127.0.0.1:8089 >"$store/target.log" &
started="$started $!"
for name in one two three; do
    "$drumfire" agent --nats "$nats" --agent-name "$name" --shards 1 &
    started="$started $!"
done

"$drumfire" coordinator "$here/script.yml" --nats "$nats" --agents 3 --report-dir reports
