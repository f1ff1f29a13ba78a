# shellcheck shell=bash
#
# The configurations of the profile observe, each checked by the program that reads it, from its image. With OFFLINE=1 an image that
# is not here is said in one line; elsewhere it was fetched, and its absence is a failure.

observe_checked() {
    compose --profile observe config --quiet || fail "the compose file is wrong with its profile"
    checked_by collector infra/otel/collector.yaml "" validate --config=/checked
    checked_by prometheus infra/docker/prometheus.yml promtool check config --syntax-only /checked
    checked_by tempo infra/tempo/tempo.yaml "" -config.file=/checked -config.verify
}

# Entrypoint "" is the image's own.
checked_by() {
    local service=$1 file=$2 entrypoint=$3 image output
    shift 3
    image=$(image_of "$service")
    if ! docker image inspect "$image" >/dev/null 2>&1; then
        [[ ${OFFLINE-} == 1 ]] || fail "$file: $image is not here, although it was fetched"
        say "$file is not checked: $image is not here"
        return 0
    fi
    output=$(docker run --rm --network none --volume "$repository/$file:/checked:ro" ${entrypoint:+--entrypoint "$entrypoint"} "$image" "$@" 2>&1) ||
        fail "$file: $output"
    say "$file is checked by $image"
}
