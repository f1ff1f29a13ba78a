# shellcheck shell=bash
#
# A second reader of the dashboards, grafana/check/schema: Grafana's own Go library, strict. Needs Go; built once into the cache.

schema_home() {
    printf '%s/grafana-schema-%.12s' "$(cache_dir)" "$(cat -- "$repository"/grafana/check/schema/{go.mod,go.sum,main.go} | sha256sum)"
}

schema_check() {
    local program output
    program=$(schema_home)
    if [[ ! -x $program ]]; then
        if ! command -v go >/dev/null; then
            say "there is no Go, so the dashboards were read by the schema of grafana/src alone"
            return 0
        fi
        # Without a network it is as if there were no Go.
        if ! output=$(cd -- "$repository/grafana/check/schema" && go mod download 2>&1); then
            tail -n 3 <<<"$output" >&2
            if grep -qE 'mismatch|errors parsing|SECURITY' <<<"$output"; then fail "grafana/check/schema/go.mod or go.sum is wrong; see above"; fi
            say "Grafana's Go library could not be downloaded, so the dashboards were read by the schema of grafana/src alone"
            return 0
        fi
        output=$(cd -- "$repository/grafana/check/schema" && go build -o "$program.$$" . 2>&1) || {
            printf '%s\n' "$output" >&2
            fail "grafana/check/schema could not be built; see above"
        }
        mv -f -- "$program.$$" "$program"
    fi
    "$program" "$@"
}
