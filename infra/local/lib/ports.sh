# shellcheck shell=bash
#
# Ports: chosen free once, then remembered in D, so that a service that was killed comes back where its clients look
# for it. Two stacks that start at the same time must not choose the same one, so each port is also claimed by a
# file in the cache folder; a claim whose stack has been deleted counts for nothing.

# Below the range from which the kernel picks ports for clients (32768 upwards), so that a client's connection never
# sits on a port that a killed service wants back.
readonly port_first=20000 port_count=12000 port_attempts_max=500

port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

port_of() {
    local service=$1 name=$2
    cat -- "$dir/$service/port.$name"
}

# Chooses the ports of a service that it does not have yet.
ports_assign() {
    local service=$1 name port
    shift
    for name in "$@"; do
        if [[ -s $dir/$service/port.$name ]]; then continue; fi
        port=$(port_claim "$service") || fail "$service: found no free port"
        printf '%s\n' "$port" >"$dir/$service/port.$name"
    done
}

# Fails if somebody else has taken a remembered port while the service was not running.
ports_check_free() {
    local service=$1 file port
    for file in "$dir/$service"/port.*; do
        port=$(<"$file")
        port_is_free "$port" ||
            fail "$service: its port $port is taken by another program; end that, or start anew with: stack wipe"
    done
}

ports_release() {
    local service=$1 file
    for file in "$dir/$service"/port.*; do
        if [[ -s $file ]]; then rm -f -- "$(cache_dir)/ports/$(<"$file")"; fi
    done
}

port_claim() (
    local service=$1 claims port attempt
    claims=$(cache_dir)/ports
    lock_or_fail "$claims/lock" "$lock_seconds_max"
    for ((attempt = 0; attempt < port_attempts_max; attempt++)); do
        port=$((port_first + RANDOM % port_count))
        if port_is_claimed "$claims/$port" || ! port_is_free "$port"; then continue; fi
        printf '%s\n' "$dir/$service" >"$claims/$port"
        printf '%s\n' "$port"
        return 0
    done
    return 1
)

port_is_claimed() { [[ -s $1 && -d $(<"$1") ]]; }
