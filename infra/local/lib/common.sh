# shellcheck shell=bash
#
# The things that every other file uses: words to the user, exit codes, names, folders, and the limits by name.

# Of one node each; cluster.sh puts the nodes of a cluster in their place.
services=(rabbitmq redis elasticsearch)

readonly exit_failed=1 exit_usage=2 exit_not_installed=3

# The longest time until a service answers, and until it has ended by itself before it is killed.
readonly start_seconds_max=${PACELINE_START_SECONDS_MAX:-120}
readonly stop_seconds_max=20
# The longest time for which another `stack` may hold a service that this one wants to start or stop.
readonly lock_seconds_max=180

say() { printf 'stack: %s\n' "$*" >&2; }

fail() {
    say "$*"
    exit "$exit_failed"
}

bad_usage() {
    say "$* (try: stack help)"
    exit "$exit_usage"
}

is_service() {
    local service
    for service in "${services[@]}"; do
        if [[ $1 == "$service" ]]; then return 0; fi
    done
    return 1
}

# Where downloads and the list of claimed ports live, for all stacks of this user.
cache_dir() { realpath -m -- "${PACELINE_CACHE_DIR:-${XDG_CACHE_HOME:-${HOME:?}/.cache}/paceline}"; }

# Runs the rest of this shell under a lock, which ends with the shell. File descriptor 9 is kept for it: whatever is
# started to stay must close it (see process_spawn).
lock_or_fail() {
    local file=$1 seconds_max=$2
    mkdir -p -- "$(dirname -- "$file")"
    exec 9>"$file"
    flock -w "$seconds_max" 9 || fail "another stack command has held $file for $seconds_max s"
}

# Tries a command again and again until it succeeds, the time is over (1), or the process has ended (2).
wait_until() {
    local seconds_max=$1 pid=$2 deadline
    shift 2
    deadline=$((SECONDS + seconds_max + 1))
    while ((SECONDS < deadline)); do
        if "$@"; then return 0; fi
        if ! kill -0 "$pid" 2>/dev/null; then return 2; fi
        sleep 0.1
    done
    say "waited $seconds_max s"
    return 1
}

# Three nodes of each service; see cluster.sh.
is_cluster() { [[ -e ${dir-}/cluster ]]; }
