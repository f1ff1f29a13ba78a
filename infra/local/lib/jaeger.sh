# shellcheck shell=bash
#
# Jaeger: takes traces as OTLP over gRPC and HTTP, keeps the newest in memory, and answers queries. The program comes from
# jaeger_home.sh; where it can't be built, all goes on without it.

jaeger_installed() { [[ -x $(jaeger_binary) ]]; }

jaeger_port_names() { printf 'grpc http query query_grpc'; }

jaeger_run() {
    process_spawn jaeger env \
        JAEGER_OTLP_GRPC="127.0.0.1:$(port_of jaeger grpc)" JAEGER_OTLP_HTTP="127.0.0.1:$(port_of jaeger http)" \
        JAEGER_QUERY_HTTP="127.0.0.1:$(port_of jaeger query)" JAEGER_QUERY_GRPC="127.0.0.1:$(port_of jaeger query_grpc)" \
        "$(jaeger_binary)" --config "$repository/infra/jaeger/jaeger.yaml"
}

jaeger_answers() { probe_http "$(port_of jaeger query)" /api/services '"data"'; }

jaeger_exports() {
    printf 'export PACELINE_TRACES_ENDPOINT=http://127.0.0.1:%s\n' "$(port_of jaeger grpc)"
    printf 'export PACELINE_TRACES_QUERY_URL=http://127.0.0.1:%s\n' "$(port_of jaeger query)"
}
