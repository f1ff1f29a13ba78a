# shellcheck shell=bash
#
# The mesh of one smoke: a project of its own, with secrets, ports and volumes of its own, taken away at the end whatever happens.

readonly project=paceline-smoke
readonly up_seconds_max=300
# Of its own, so that the caller's image is left as it is.
export PACELINE_IMAGE=paceline-smoke:smoke

work=$(mktemp -d -- "${TMPDIR:-/tmp}/paceline-smoke.XXXXXX")
env_file=$work/.env

# Variables that the caller has set for another mesh must not reach this one.
clean_environment() {
    env -u COMPOSE_PROFILES -u COMPOSE_FILE -u WORKERS -u PRODUCERS -u SCHEDULERS -u PACELINE_NAMESPACE -u PACELINE_LOG -u PACELINE_TRACES_ENDPOINT -u PACELINE_TRACES_QUERY_URL \
        -u PACELINE_TOKEN -u RABBITMQ_PASSWORD -u REDIS_PASSWORD -u ELASTIC_PASSWORD -u GRAFANA_PASSWORD "$@"
}

# Port 0: docker takes free ones.
compose() {
    clean_environment SCHEDULER_PORTS=0 ELASTICSEARCH_PORT=0 \
        docker compose --ansi never --project-name "$project" --project-directory "$repository" --env-file "$env_file" "$@"
}

secret() { sed -n "s/^$1=//p" "$env_file"; }

mesh_up() {
    local output
    output=$(compose up --detach --wait --wait-timeout "$up_seconds_max" --no-build 2>&1) || {
        printf '%s\n' "$output" | tail -n 20 >&2
        fail "the mesh did not come up; see above"
    }
}

# The logs of a mesh that failed are the only trace of it.
mesh_down() {
    if ((failed)); then compose logs --tail 15 --no-color 2>&1 | cut -c -300 >&2 || true; fi
    compose --profile observe down --volumes --remove-orphans --timeout 5 >/dev/null 2>&1 || true
    # Its layers stay in the cache of the builder.
    docker image rm "$PACELINE_IMAGE" >/dev/null 2>&1 || true
    rm -rf -- "$work"
}

# The containers of a service, oldest first.
containers() { docker ps --all --quiet --filter "label=com.docker.compose.project=$project" --filter "label=com.docker.compose.service=$1" | tac; }

image_of() {
    compose --profile observe config --format json | sed -n "/^    \"$1\": {/,/^    }/s/^ *\"image\": \"\([^\"]*\)\".*/\1/p"
}

address_of() { compose port --index 1 "$1" "$2"; }
