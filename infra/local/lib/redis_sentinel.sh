# shellcheck shell=bash
#
# The Redis servers of a cluster, redis-1 to redis-3, and the sentinels that choose the primary among them. Both rewrite
# their files, which is how they remember who is the primary; so a file is written once, before the first start.

readonly sentinel_primary_name=paceline

# Where others reach a server. A proxy may stand before it: PACELINE_STACK_REDIS_PORTS are its ports, one a server.
redis_announced_port() {
    local service=$1 ports
    read -ra ports <<<"${PACELINE_STACK_REDIS_PORTS-}"
    if ((${#ports[@]} == 0)); then port_of "$service" redis; else printf '%s' "${ports[${service##*-} - 1]}"; fi
}

redis_node_run() {
    local service=$1 home=$dir/$1
    mkdir -p -- "$home/data"
    [[ -s $home/redis.conf ]] || redis_node_config "$service" >"$home/redis.conf"
    process_spawn "$service" redis-server "$home/redis.conf"
}

redis_node_config() {
    local service=$1 announced
    announced=$(redis_announced_port "$service") || return
    cat -- "$repository/infra/redis/redis.conf" "$repository/infra/redis/replica.conf"
    redis_process_config "$dir/$service/data" "$(port_of "$service" redis)"
    printf 'replica-announce-ip 127.0.0.1\nreplica-announce-port %s\n' "$announced"
    if [[ $service != redis-1 ]]; then printf 'replicaof 127.0.0.1 %s\n' "$(redis_announced_port redis-1)"; fi
}

redis_process_config() {
    printf '\nbind 127.0.0.1\nport %s\ndir "%s"\n' "$2" "$1"
    printf 'daemonize no\npidfile ""\nlogfile ""\nset-proc-title no\n'
}

redis_node_answers() { probe_redis "$(port_of "$1" redis)"; }

sentinel_run() {
    local service=$1 home=$dir/$1
    mkdir -p -- "$home/data"
    if [[ ! -s $home/sentinel.conf ]]; then
        # A primary that it has never seen it would take for dead.
        wait_until "$start_seconds_max" "$BASHPID" redis_node_answers redis-1 || fail "$service: redis-1 does not answer"
        sentinel_config "$service" >"$home/sentinel.conf"
    fi
    process_spawn "$service" redis-server "$home/sentinel.conf" --sentinel
}

sentinel_config() {
    cat -- "$repository/infra/redis/sentinel.conf"
    redis_process_config "$dir/$1/data" "$(port_of "$1" sentinel)"
    printf 'sentinel monitor %s 127.0.0.1 %s 2\n' "$sentinel_primary_name" "$(redis_announced_port redis-1)"
}

sentinel_answers() { probe_redis "$(port_of "$1" sentinel)"; }

# Two replicas that follow, three sentinels that know each other.
redis_cluster_is_whole() {
    local service primaries=0
    for service in redis-1 redis-2 redis-3; do
        if probe_redis_says "$(port_of "$service" redis)" 'INFO replication' 'connected_slaves:2'; then primaries=$((primaries + 1)); fi
    done
    ((primaries == 1)) || return 1
    for service in sentinel-1 sentinel-2 sentinel-3; do
        # Of a list, Redis answers first how long it is. A sentinel does not know QUIT.
        [[ $(probe_exchange "$(port_of "$service" sentinel)" "SENTINEL REPLICAS $sentinel_primary_name\r\n" 3) == '*2'* &&
            $(probe_exchange "$(port_of "$service" sentinel)" "SENTINEL SENTINELS $sentinel_primary_name\r\n" 3) == '*2'* ]] || return 1
    done
}
