# shellcheck shell=bash
#
# RabbitMQ, the broker. Debian's own command changes to the user rabbitmq and knows one node a machine, so the
# server script behind it is run, with everything it keeps (data, logs, cookie, generated files) in D/rabbitmq and
# nothing read from the machine's own configuration. Erlang's port mapper, epmd, is one a stack too: it gets a port
# of its own, carries our mark like every other process, and ends with the service.
#
# There are two series: 3, which is the machine's own package, and 4, from a home folder (rabbitmq4_home.sh). A stack
# keeps the series that it was started with, because one cannot read the data of the other.
#
# Functions take the name of the service, since a cluster has several (cluster.sh): rabbitmq, or rabbitmq-1.

# As asked for: by --rabbitmq, else by the variable, else nothing.
rabbitmq_series_wanted=${PACELINE_STACK_RABBITMQ-}

rabbitmq_series() {
    local first=${services[0]}
    if [[ $first == epmd ]]; then first=rabbitmq-1; fi
    if [[ -s $dir/$first/series ]]; then cat -- "$dir/$first/series"; else printf '%s' "${rabbitmq_series_wanted:-3}"; fi
}

rabbitmq_check_series() {
    local series
    series=$(rabbitmq_series)
    [[ -z $rabbitmq_series_wanted || $rabbitmq_series_wanted == "$series" ]] ||
        fail "$dir holds RabbitMQ $series, not $rabbitmq_series_wanted; take another --dir, or delete its data with: stack wipe"
}

rabbitmq_server() {
    if [[ $(rabbitmq_series) == 4 ]]; then
        rabbitmq_server_in "$(rabbitmq4_home)/usr/lib/rabbitmq/lib"
    else
        rabbitmq_server_in /usr/lib/rabbitmq/lib
    fi
}

# Debian keeps every version in a folder of its own, and there is one.
rabbitmq_server_in() {
    local script
    for script in "$1"/rabbitmq_server-*/sbin/rabbitmq-server; do
        if [[ -x $script ]]; then printf '%s' "$script"; return 0; fi
    done
    return 1
}

rabbitmq_installed() {
    if [[ $(rabbitmq_series) == 4 ]]; then rabbitmq4_home_is_whole; else rabbitmq3_installed; fi
}

rabbitmq3_installed() { rabbitmq_server_in /usr/lib/rabbitmq/lib >/dev/null; }

# The name of the server's folder says it: rabbitmq_server-3.10.8.
rabbitmq_version() {
    local server
    server=$(rabbitmq_server) || return 0
    server=${server%/sbin/*}
    printf '%s' "${server##*-}"
}

# The scripts look for Erlang in the PATH.
rabbitmq_path() {
    if [[ $(rabbitmq_series) == 4 ]]; then printf '%s/usr/lib/erlang/bin:' "$(rabbitmq4_home)"; fi
    printf '%s' "$PATH"
}

rabbitmq_port_names() { printf 'amqp management distribution epmd'; }

rabbitmq_run() {
    local service=${1:-rabbitmq} home
    home=$dir/$service
    mkdir -p -- "$home/home" "$home/data" "$home/log" "$home/generated"
    [[ -s $home/series ]] || printf '%s\n' "$(rabbitmq_series)" >"$home/series"
    rabbitmq_write_config "$service" >"$home/rabbitmq.conf"
    cp -- "$repository/infra/rabbitmq/enabled_plugins" "$home/enabled_plugins"
    process_spawn "$service" env \
        PATH="$(rabbitmq_path)" \
        HOME="$home/home" \
        RABBITMQ_CONF_ENV_FILE="$home/no-such-file" \
        RABBITMQ_NODENAME="$(rabbitmq_node_name "$service")" \
        RABBITMQ_CONFIG_FILE="$home/rabbitmq.conf" \
        RABBITMQ_ADVANCED_CONFIG_FILE="$home/advanced.config" \
        RABBITMQ_ENABLED_PLUGINS_FILE="$home/enabled_plugins" \
        RABBITMQ_GENERATED_CONFIG_DIR="$home/generated" \
        RABBITMQ_SCHEMA_DIR="$home/generated" \
        RABBITMQ_MNESIA_BASE="$home/data" \
        RABBITMQ_LOG_BASE="$home/log" \
        RABBITMQ_PID_FILE="$home/server.pid" \
        RABBITMQ_DIST_PORT="$(port_of "$service" distribution)" \
        ERL_EPMD_PORT="$(rabbitmq_epmd_port "$service")" \
        ERL_EPMD_ADDRESS=127.0.0.1 \
        ERL_AFLAGS='-kernel inet_dist_use_interface {127,0,0,1}' \
        RUNNING_UNDER_SYSTEMD=true \
        "$(rabbitmq_server)"
}

# The node is named after the port, because the port is what is unique on this machine and stays with the data.
rabbitmq_node_name() { printf 'paceline-%s@localhost' "$(port_of "${1:-rabbitmq}" amqp)"; }

# One node has its own; the nodes of a cluster share one, which must outlive each of them.
rabbitmq_epmd_port() { if is_cluster; then port_of epmd epmd; else port_of "$1" epmd; fi; }

# The same environment as the server's, so that name, cookie and port mapper are its own and not the machine's.
rabbitmq_ctl() {
    local script service=$1 home=$dir/$1
    shift
    service_pid "$service" >/dev/null || fail "$service is not running in $dir"
    script=$(dirname -- "$(rabbitmq_server)")/rabbitmqctl
    env PATH="$(rabbitmq_path)" HOME="$home/home" RABBITMQ_CONF_ENV_FILE="$home/no-such-file" RABBITMQ_MNESIA_BASE="$home/data" \
        RABBITMQ_NODENAME="$(rabbitmq_node_name "$service")" ERL_EPMD_PORT="$(rabbitmq_epmd_port "$service")" ERL_EPMD_ADDRESS=127.0.0.1 \
        "$script" --node "$(rabbitmq_node_name "$service")" "$@" </dev/null
}

rabbitmq_write_config() {
    local service=$1
    cat -- "$repository/infra/rabbitmq/rabbitmq.conf"
    # A machine for tests may have less free disk than a broker should; the last line of a name holds.
    printf '\ndisk_free_limit.absolute = 50MB\n'
    printf 'listeners.tcp.1 = 127.0.0.1:%s\n' "$(port_of "$service" amqp)"
    printf 'management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = %s\n' "$(port_of "$service" management)"
    if is_cluster; then rabbitmq_cluster_config; fi
}

# The AMQP listener opens last, when queues are recovered and plugins have started.
rabbitmq_answers() { probe_amqp "$(port_of "${1:-rabbitmq}" amqp)"; }

rabbitmq_exports() {
    printf 'export PACELINE_BROKER_URL=amqp://guest:guest@127.0.0.1:%s/%%2f\n' "$(port_of rabbitmq amqp)"
    printf 'export PACELINE_RABBITMQ_MANAGEMENT_URL=http://127.0.0.1:%s\n' "$(port_of rabbitmq management)"
}
