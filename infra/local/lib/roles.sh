# shellcheck shell=bash
#
# Paceline's own roles as services of a folder: two schedulers, of which one stands by, a producer and two workers. They take the
# services and the receiver of traces of the same folder, and nothing from this shell's PACELINE_ variables. The second worker
# sends its traces over HTTP, the others over gRPC.

readonly roles=(producer scheduler scheduler2 worker worker2)

# The binary that `make build` makes, or the one that PACELINE_BINARY names.
role_binary() { realpath -m -- "${PACELINE_BINARY:-${CARGO_TARGET_DIR:-$repository/target}/release/paceline}"; }

role_installed() { [[ -x $(role_binary) ]]; }
role_version() { "$(role_binary)" --version | sed 's/.* //'; }
role_kind() { printf '%s' "${1%%[0-9]*}"; }

# Of service.sh's functions, all roles have the same ones.
roles_define() {
    local role
    for role in "${roles[@]}"; do
        eval "${role}_installed() { role_installed; }
            ${role}_version() { role_version; }
            ${role}_port_names() { printf 'grpc admin'; }
            ${role}_run() { role_run $role; }
            ${role}_answers() { probe_http \"\$(port_of $role admin)\" /readyz '\"ready\":true'; }
            ${role}_exports() { :; }"
    done
}
roles_define

role_run() {
    local role=$1 kind flags=()
    kind=$(role_kind "$role")
    flags=(--id "$role" --admin "127.0.0.1:$(port_of "$role" admin)")
    if [[ $kind != worker ]]; then flags+=(--listen "127.0.0.1:$(port_of "$role" grpc)"); fi
    if [[ $kind == scheduler ]]; then flags+=(--producers "http://127.0.0.1:$(port_of producer grpc)"); fi
    mapfile -t variables < <(role_variables "$role")
    process_spawn "$role" env "${variables[@]}" "$(role_binary)" "$kind" \
        --config "$repository/infra/local/observe.toml" "${flags[@]}"
}

# As arguments of env: whatever this shell has is taken away first.
role_variables() {
    local role=$1 name
    for name in "${!PACELINE_@}"; do printf -- '-u\n%s\n' "$name"; done
    for name in rabbitmq redis elasticsearch; do "${name}_exports" | sed 's/^export //'; done
    printf 'PACELINE_LOG_FORMAT=json\n'
    if service_pid jaeger >/dev/null; then
        if [[ $role == worker2 ]]; then
            printf 'PACELINE_TRACES_PROTOCOL=http\nPACELINE_TRACES_ENDPOINT=http://127.0.0.1:%s\n' "$(port_of jaeger http)"
        else
            printf 'PACELINE_TRACES_ENDPOINT=http://127.0.0.1:%s\n' "$(port_of jaeger grpc)"
        fi
    fi
}

# The command line, with the addresses of this folder.
paceline() {
    local query=''
    if service_pid jaeger >/dev/null; then query=PACELINE_TRACES_QUERY_URL=http://127.0.0.1:$(port_of jaeger query); fi
    mapfile -t variables < <(role_variables cli)
    env "${variables[@]}" PACELINE_SERVER="http://127.0.0.1:$(port_of scheduler grpc)" \
        PACELINE_PRODUCERS="http://127.0.0.1:$(port_of producer grpc)" ${query:+"$query"} \
        "$(role_binary)" --config "$repository/infra/local/observe.toml" "$@"
}
