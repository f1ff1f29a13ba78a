# shellcheck shell=bash
#
# Bad input gets one clear line: no secrets, default ones, an open port without a token.

refusals() {
    refuses "without .env" 'make env' clean_environment docker compose --project-directory "$repository" --env-file /dev/null config --quiet
    printf 'REDIS_PASSWORD=changeme\n' >"$work/default.env"
    refuses "a default secret in .env" 'REDIS_PASSWORD .* is a default' "$smoke_dir/env" "$work/default.env"
    refuses "a role with a default password" 'ledger_url: has a default password' \
        role -e PACELINE_LEDGER_URL=redis://:changeme@redis:6379 -- worker
    refuses "guest for a broker elsewhere" 'broker_url: has a default password' \
        role -e PACELINE_BROKER_URL=amqp://guest:guest@rabbitmq -- producer
    refuses "no password for a broker elsewhere, which is guest" 'broker_url: has no password' \
        role -e PACELINE_BROKER_URL=amqp://rabbitmq:5672 -- producer
    refuses "a user without password" 'broker_url: has no password' role -e PACELINE_BROKER_URL=amqp://guest@rabbitmq -- producer
    refuses "guest for several brokers" 'broker_url: has a default password' \
        role -e PACELINE_BROKER_URL=amqp://u:guest@rabbit1:5672,rabbit2:5672 -- producer
    refuses "a default password in other letters" 'broker_url: has a default password' \
        role -e PACELINE_BROKER_URL=amqp://u:gu%65st@rabbitmq -- producer
    refuses "a default password of sentinels" 'ledger_url: has a default password' \
        role -e 'PACELINE_LEDGER_URL=redis+sentinel://s1:26379,s2:26379/paceline?sentinel_password=changeme' -- worker
    refuses "an open port without a token" 'PACELINE_TOKEN' role -- scheduler --listen 0.0.0.0:50051
    refuses "a default token" 'too short or a default' role -e PACELINE_TOKEN=change-me-change-me -- scheduler --listen 0.0.0.0:50051
}

# The command must fail, and say so in a single line that has these words.
refuses() {
    local case=$1 words=$2 output
    shift 2
    if output=$("$@" 2>&1); then fail "$case: was not refused"; fi
    [[ $(grep -c . <<<"$output") == 1 ]] || fail "$case: not one line but: $output"
    grep -q -- "$words" <<<"$output" || fail "$case: expected the words \"$words\", but it said: $output"
    say "refused as it should be, $case"
}

# A role of its own, without network: variables, --, the role and its flags.
role() {
    local variables=()
    while [[ $1 != -- ]]; do variables+=("$1"); shift; done
    shift
    timeout 20 docker run --rm --network none --read-only "${variables[@]}" "$image" "$@"
}
