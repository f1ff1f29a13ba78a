# shellcheck shell=bash
#
# The collector's program, compiled from its Go modules by the collector's own builder, in the version that the compose file names.
# Needs Go and some two minutes on two cores, once; the result is kept in the cache folder.

collector_version() { image_in_compose otel/opentelemetry-collector | sed 's/.*://'; }

collector_binary() { printf '%s/otelcol-%s' "$(cache_dir)" "$(collector_version)"; }

collector_install() (
    local building version
    if [[ -x $(collector_binary) ]]; then return 0; fi
    command -v go >/dev/null || fail "the collector is compiled by Go, which is missing"
    version=$(collector_version)
    say "building the collector $version, once; this takes some minutes"
    building=$(mktemp -d -- "$(collector_binary).building.XXXXXX")
    trap 'rm -rf -- "$building"' EXIT
    sed "s|@VERSION@|$version|; s|@FOLDER@|$building|" "$offline_dir/collector/builder.yaml" >"$building/builder.yaml"
    {
        GOBIN=$building CGO_ENABLED=0 go install "go.opentelemetry.io/collector/cmd/builder@v$version" &&
            CGO_ENABLED=0 "$building/builder" --config "$building/builder.yaml"
    } >"$building/log" 2>&1 || {
        tail -n 20 -- "$building/log" >&2
        fail "the collector could not be built; see above"
    }
    mv -- "$building/otelcol" "$(collector_binary)"
)
