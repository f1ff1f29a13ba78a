# shellcheck shell=bash
#
# A cluster on one machine: three nodes of each service instead of one, each a service of its own to `stack`, to be started,
# stopped, killed and frozen alone. The file D/cluster says that D holds one. All nodes know each other's ports from the
# beginning, so ports are chosen for all of them before the first starts.
#
#   rabbitmq-1 … rabbitmq-3              one cluster; quorum queues have a member on each
#   redis-1 … redis-3, sentinel-1 … 3    a primary, two replicas, and who chooses among them (redis_sentinel.sh)
#   elasticsearch-1 … elasticsearch-3    each may hold data and become the master
#   epmd                                 tells RabbitMQ's nodes each other's ports; struck by nobody, as the machine's own is not

readonly cluster_services=(epmd rabbitmq-{1..3} redis-{1..3} sentinel-{1..3} elasticsearch-{1..3})
# Guest and guest, as RabbitMQ makes it; only this machine is let in.
readonly rabbitmq_login='Authorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n'

# The nodes of a kind, or of a name that is a node already.
cluster_members() {
    local service
    for service in "${cluster_services[@]}"; do
        if [[ $service == "$1" || ${service%-*} == "$1" || ($1 == redis && $service == sentinel-*) ]]; then printf '%s\n' "$service"; fi
    done
}

cluster_make() {
    local service
    for service in rabbitmq redis elasticsearch; do
        [[ ! -e $dir/$service ]] || fail "$dir holds single nodes, not a cluster; take another --dir, or delete their data with: stack wipe"
    done
    mkdir -p -- "$dir"
    : >"$dir/cluster"
}

# Of service.sh's functions, by the kind of the node.
cluster_define() {
    local service kind
    services=("${cluster_services[@]}")
    for service in "${services[@]}"; do
        kind=${service%-*}
        case $kind in
        redis) cluster_define_node "$service" redis redis redis_node ;;
        sentinel) cluster_define_node "$service" redis sentinel sentinel ;;
        rabbitmq) cluster_define_node "$service" rabbitmq 'amqp management distribution' rabbitmq_node ;;
        elasticsearch) cluster_define_node "$service" elasticsearch "$(elasticsearch_port_names)" elasticsearch ;;
        epmd) cluster_define_node epmd rabbitmq epmd epmd_node ;;
        esac
    done
}

cluster_define_node() {
    local service=$1 kind=$2 ports=$3 functions=$4
    eval "${service}_installed() { ${kind}_installed; }
        ${service}_version() { ${kind}_version; }
        ${service}_port_names() { printf '%s' '$ports'; }
        ${service}_run() { ${functions}_run $service; }
        ${service}_answers() { ${functions}_answers $service; }
        ${service}_exports() { :; }"
}

cluster_assign_ports() {
    local service names
    for service in "${services[@]}"; do
        mkdir -p -- "$dir/$service"
        : >>"$dir/$service/lock"
        read -ra names <<<"$("${service}_port_names")"
        ports_assign "$service" "${names[@]}"
    done
}

# Every node of the chosen kinds sees all others, and every copy is where it belongs.
cluster_await() {
    local kind
    for kind in rabbitmq redis elasticsearch; do
        [[ " ${chosen[*]} " == *" $kind-"* ]] || continue
        wait_until "$start_seconds_max" "$BASHPID" "${kind}_cluster_is_whole" || fail "the nodes of $kind do not find each other; see $dir/$kind-*/output.log"
    done
}

cluster_ports() {
    local service
    for service in "${services[@]}"; do printf '%s %s\n' "$service" "$(service_ports "$service")"; done
}

# === what the roles are given ===

# Every address of a kind, running or not: who has them finds those that answer.
cluster_exports() {
    local running=0
    if cluster_runs rabbitmq; then
        printf 'export PACELINE_BROKER_URL=amqp://guest:guest@%s/%%2f\n' "$(cluster_addresses rabbitmq amqp)"
        printf 'export PACELINE_RABBITMQ_MANAGEMENT_URL=http://127.0.0.1:%s\n' "$(port_of rabbitmq-1 management)"
        running=1
    fi
    if cluster_runs redis; then
        printf 'export PACELINE_LEDGER_URL=redis+sentinel://%s/%s\n' "$(cluster_addresses sentinel sentinel)" "$sentinel_primary_name"
        running=1
    fi
    if cluster_runs elasticsearch; then
        printf 'export PACELINE_SINK_URL=http://%s\n' "$(cluster_addresses elasticsearch http)"
        running=1
    fi
    ((running > 0))
}

cluster_runs() {
    local service
    for service in "${chosen[@]}"; do
        if [[ ${service%-*} == "$1" ]] && service_pid "$service" >/dev/null; then return 0; fi
    done
    return 1
}

cluster_addresses() {
    local kind=$1 port=$2 number list=''
    for number in 1 2 3; do list+=127.0.0.1:$(port_of "$kind-$number" "$port"),; done
    printf '%s' "${list%,}"
}

# === RabbitMQ ===

epmd_node_run() {
    local path
    path=$(rabbitmq_path)
    # The secret by which the nodes know each other.
    [[ -s $dir/epmd/cookie ]] || (umask 077 && head -c 24 /dev/urandom | base64 | tr -dc A-Za-z0-9 >"$dir/epmd/cookie")
    process_spawn epmd env PATH="$path" ERL_EPMD_ADDRESS=127.0.0.1 epmd -port "$(port_of epmd epmd)"
}

epmd_node_answers() { ! port_is_free "$(port_of epmd epmd)"; }

rabbitmq_node_run() {
    local service=$1
    wait_until "$start_seconds_max" "$BASHPID" epmd_node_answers || fail "$service: epmd does not answer"
    # The first node is the cluster that the others join.
    if [[ $service != rabbitmq-1 && ! -d $dir/$service/data ]]; then
        wait_until "$start_seconds_max" "$BASHPID" rabbitmq_answers rabbitmq-1 || fail "$service: rabbitmq-1 does not answer"
    fi
    mkdir -p -- "$dir/$service/home"
    if [[ ! -s $dir/$service/home/.erlang.cookie ]]; then
        install -m 400 -- "$dir/epmd/cookie" "$dir/$service/home/.erlang.cookie"
    fi
    rabbitmq_run "$service"
}

rabbitmq_node_answers() { rabbitmq_answers "$1"; }

rabbitmq_cluster_config() {
    local number
    cat -- "$repository/infra/rabbitmq/cluster.conf"
    for number in 1 2 3; do
        printf 'cluster_formation.classic_config.nodes.%s = %s\n' "$number" "$(rabbitmq_node_name "rabbitmq-$number")"
    done
}

rabbitmq_cluster_is_whole() {
    local answer
    answer=$(probe_exchange "$(port_of rabbitmq-1 management)" \
        "GET /api/nodes?columns=partitions,running HTTP/1.0\r\n$rabbitmq_login\r\n" 4096) || return 1
    # Nodes that were apart and have not come together list each other as partitions.
    answer=${answer//'{"partitions":[],"running":true}'/up}
    [[ $answer == *'[up,up,up]'* ]]
}

# === Elasticsearch ===

elasticsearch_cluster_settings() {
    local service=$1 number seeds=''
    for number in 1 2 3; do seeds+=127.0.0.1:$(port_of "elasticsearch-$number" transport),; done
    printf '%s\n' "node.name=$service" discovery.type=multi-node "discovery.seed_hosts=${seeds%,}" \
        cluster.initial_master_nodes=elasticsearch-1,elasticsearch-2,elasticsearch-3
    # A node that is frozen is left out after 6 s; by default that takes half a minute, and writes to its shards wait.
    printf 'cluster.fault_detection.%s\n' {leader,follower}_check.{interval=1s,timeout=2s,retry_count=2}
    # The first word of a new master goes to the frozen one too, and nothing else happens until that has answered or this is
    # over, by default 30 s.
    printf 'cluster.publish.timeout=5s\n'
}

elasticsearch_cluster_is_whole() {
    local number
    for number in 1 2 3; do
        probe_http "$(port_of "elasticsearch-$number" http)" '/_cluster/health?wait_for_nodes=3&wait_for_status=green&timeout=1s' '"timed_out":false' || return 1
    done
}
