# shellcheck shell=bash
#
# RabbitMQ, the broker. Debian's own command changes to the user rabbitmq and knows one node a machine, so the
# server script behind it is run, with everything it keeps (data, logs, cookie, generated files) in D/rabbitmq and
# nothing read from the machine's own configuration. Erlang's port mapper, epmd, is one a stack too: it gets a port
# of its own, carries our mark like every other process, and ends with the service.

rabbitmq_server() {
    local script
    for script in /usr/lib/rabbitmq/bin/rabbitmq-server /usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server; do
        if [[ -x $script ]]; then printf '%s' "$script"; return 0; fi
    done
    return 1
}

rabbitmq_installed() { rabbitmq_server >/dev/null; }

rabbitmq_port_names() { printf 'amqp management distribution epmd'; }

rabbitmq_run() {
    local home=$dir/rabbitmq
    mkdir -p -- "$home/home" "$home/data" "$home/log" "$home/generated"
    rabbitmq_write_config >"$home/rabbitmq.conf"
    cp -- "$repository/infra/rabbitmq/enabled_plugins" "$home/enabled_plugins"
    process_spawn rabbitmq env \
        HOME="$home/home" \
        RABBITMQ_CONF_ENV_FILE="$home/no-such-file" \
        RABBITMQ_NODENAME="$(rabbitmq_node_name)" \
        RABBITMQ_CONFIG_FILE="$home/rabbitmq.conf" \
        RABBITMQ_ADVANCED_CONFIG_FILE="$home/advanced.config" \
        RABBITMQ_ENABLED_PLUGINS_FILE="$home/enabled_plugins" \
        RABBITMQ_GENERATED_CONFIG_DIR="$home/generated" \
        RABBITMQ_SCHEMA_DIR="$home/generated" \
        RABBITMQ_MNESIA_BASE="$home/data" \
        RABBITMQ_LOG_BASE="$home/log" \
        RABBITMQ_PID_FILE="$home/server.pid" \
        RABBITMQ_DIST_PORT="$(port_of rabbitmq distribution)" \
        ERL_EPMD_PORT="$(port_of rabbitmq epmd)" \
        ERL_EPMD_ADDRESS=127.0.0.1 \
        ERL_AFLAGS='-kernel inet_dist_use_interface {127,0,0,1}' \
        RUNNING_UNDER_SYSTEMD=true \
        "$(rabbitmq_server)"
}

# The node is named after the port, because the port is what is unique on this machine and stays with the data.
rabbitmq_node_name() { printf 'paceline-%s@localhost' "$(port_of rabbitmq amqp)"; }

# The same environment as the server's, so that name, cookie and port mapper are its own and not the machine's.
rabbitmq_ctl() {
    local script home=$dir/rabbitmq
    service_pid rabbitmq >/dev/null || fail "rabbitmq is not running in $dir"
    script=$(dirname -- "$(rabbitmq_server)")/rabbitmqctl
    env HOME="$home/home" RABBITMQ_CONF_ENV_FILE="$home/no-such-file" RABBITMQ_MNESIA_BASE="$home/data" \
        RABBITMQ_NODENAME="$(rabbitmq_node_name)" ERL_EPMD_PORT="$(port_of rabbitmq epmd)" ERL_EPMD_ADDRESS=127.0.0.1 \
        "$script" --node "$(rabbitmq_node_name)" "$@" </dev/null
}

rabbitmq_write_config() {
    cat -- "$repository/infra/rabbitmq/rabbitmq.conf"
    printf '\nlisteners.tcp.1 = 127.0.0.1:%s\n' "$(port_of rabbitmq amqp)"
    printf 'management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = %s\n' "$(port_of rabbitmq management)"
}

# The AMQP listener opens last, when queues are recovered and plugins have started.
rabbitmq_answers() { probe_amqp "$(port_of rabbitmq amqp)"; }

rabbitmq_exports() {
    printf 'export PACELINE_BROKER_URL=amqp://guest:guest@127.0.0.1:%s/%%2f\n' "$(port_of rabbitmq amqp)"
    printf 'export PACELINE_RABBITMQ_MANAGEMENT_URL=http://127.0.0.1:%s\n' "$(port_of rabbitmq management)"
}
