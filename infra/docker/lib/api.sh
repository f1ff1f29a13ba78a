# shellcheck shell=bash
#
# Talking to the mesh as its users do: gRPC by grpcurl, or the CLI in a container where there is no grpcurl; documents by curl.

readonly wait_seconds_max=180

# Built from its Go module once, where there is Go.
grpcurl_find() {
    local cache=${PACELINE_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/paceline}
    if command -v grpcurl; then return 0; fi
    if [[ ! -x $cache/bin/grpcurl ]] && command -v go >/dev/null; then
        say "building grpcurl, once"
        GOBIN=$cache/bin go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4 >&2 || return 1
    fi
    [[ -x $cache/bin/grpcurl ]] && printf '%s' "$cache/bin/grpcurl"
}

# The token reaches grpcurl by its environment: a command line can be read by everybody.
rpc() {
    local method=$1 body=$2
    # shellcheck disable=SC2016
    PACELINE_TOKEN=$(secret PACELINE_TOKEN) "$grpcurl" -plaintext -expand-headers -H 'authorization: Bearer ${PACELINE_TOKEN}' \
        -d "$body" "$(address_of scheduler 50051)" "paceline.v1.SchedulerService/$method" | tr -d ' \n'
}

cli() { compose exec -T scheduler paceline "$@"; }

# Prints the id of a run of 1000 jobs a minute, each of which takes so many milliseconds.
run_start() {
    local total=$1 milliseconds=$2 payload
    payload="{\"simulate\":{\"ms\":$milliseconds}}"
    if [[ -n $grpcurl ]]; then
        rpc StartRun "{\"jobs\":1000,\"per_minutes\":1,\"total\":$total,\"handler\":\"simulate\",\"payload\":$payload}" |
            sed -n 's/.*"runId":"\([^"]*\)".*/\1/p'
    else
        cli --json run start --jobs 1000 --per-minutes 1 --total "$total" --handler simulate --payload "$payload" |
            sed -n 's/.*"run_id":"\([^"]*\)".*/\1/p'
    fi
}

run_read() {
    if [[ -n $grpcurl ]]; then rpc GetRun "{\"run_id\":\"$1\"}"; else cli --json run get "$1"; fi
}

# A number of a run that was read. What is 0 is left out by gRPC's JSON; an answer without a run is no answer.
number() {
    local answer=$1 field=$2 found
    [[ $answer == *"$run"* ]] || return 1
    found=$(sed -n "s/.*\"$field\":\"\{0,1\}\([0-9][0-9]*\).*/\1/p" <<<"$answer")
    printf '%s' "${found:-0}"
}

# The number of jobs that the worker in this container has done; 0 if no worker has the container's id in its own.
done_by() {
    local answer=$1 container=$2 found
    [[ $answer == *"$run"* ]] || return 1
    found=$(sed -n "s/.*\"worker-${container:0:12}-[^\"]*\":\"\{0,1\}\([0-9][0-9]*\).*/\1/p" <<<"$answer")
    printf '%s' "${found:-0}"
}

# Reads the run until it has done so many jobs; sets `answer`.
wait_for_processed() {
    local jobs=$1 deadline=$((SECONDS + wait_seconds_max)) processed
    while ((SECONDS < deadline)); do
        # One scheduler of two may be just leaving: the next answer counts.
        if answer=$(run_read "$run") && processed=$(number "$answer" processed) && ((processed >= jobs)); then return 0; fi
        sleep 0.2
    done
    fail "run $run has not done $jobs jobs within $wait_seconds_max s; its last answer: $answer"
}

# Documents of the run that Elasticsearch counts, itself.
count_documents() {
    local at
    at=$(address_of elasticsearch 9200)
    documents_ask "http://$at/paceline-jobs-*/_refresh" -X POST >/dev/null
    documents_ask "http://$at/paceline-jobs-*/_count" -H 'content-type: application/json' -d "{\"query\":{\"term\":{\"runId\":\"$run\"}}}" |
        sed -n 's/.*"count":\([0-9]*\).*/\1/p'
}

documents_ask() { printf 'user = "elastic:%s"' "$(secret ELASTIC_PASSWORD)" | curl -fsS -m 30 -K - "$@"; }
