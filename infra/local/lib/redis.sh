# shellcheck shell=bash
#
# Redis, the ledger: one server. Those of a cluster are in redis_sentinel.sh.

redis_installed() { command -v redis-server >/dev/null; }

# Redis says: Redis server v=7.0.15 sha=…
redis_version() { redis-server --version 2>/dev/null | sed -n 's/.* v=\([^ ]*\).*/\1/p'; }

redis_port_names() { printf 'redis'; }

redis_run() {
    mkdir -p -- "$dir/redis/data"
    process_spawn redis redis-server "$repository/infra/redis/redis.conf" \
        --bind 127.0.0.1 --port "$(port_of redis redis)" --dir "$dir/redis/data" \
        --daemonize no --pidfile '' --logfile '' --set-proc-title no
}

redis_answers() { probe_redis "$(port_of redis redis)"; }

redis_exports() { printf 'export PACELINE_LEDGER_URL=redis://127.0.0.1:%s/0\n' "$(port_of redis redis)"; }
