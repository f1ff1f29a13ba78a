# shellcheck shell=bash
#
# Prometheus: Debian's package, started by hand. Its configuration is written for this machine: the roles of this folder,
# and the rules of infra/prometheus.

# The time from one look at a role to the next.
scrape_interval=${PACELINE_SCRAPE_INTERVAL:-2s}

prometheus_installed() { command -v prometheus >/dev/null && command -v promtool >/dev/null; }

# Prometheus says: prometheus, version 2.42.0+ds (branch: …
prometheus_version() { prometheus --version 2>&1 | sed -n '1s/.*version \([0-9.]*\).*/\1/p'; }

prometheus_port_names() { printf 'http'; }

prometheus_run() {
    mkdir -p -- "$dir/prometheus/data"
    prometheus_write_config >"$dir/prometheus/prometheus.yml"
    # Without the feature it would drop the trace ids that stand beside the buckets.
    process_spawn prometheus prometheus --config.file="$dir/prometheus/prometheus.yml" \
        --storage.tsdb.path="$dir/prometheus/data" --storage.tsdb.retention.time=2d \
        --web.listen-address="127.0.0.1:$(port_of prometheus http)" --enable-feature=exemplar-storage --log.level=warn
}

prometheus_write_config() {
    local role
    printf 'global: {scrape_interval: %s, evaluation_interval: %s}\n' "$scrape_interval" "$scrape_interval"
    printf 'rule_files: ["%s/infra/prometheus/rules/*.yaml"]\n' "$repository"
    printf 'scrape_configs:\n  - job_name: paceline\n    static_configs:\n'
    for role in "${roles[@]}"; do
        printf '      - targets: ["127.0.0.1:%s"]\n' "$(port_of "$role" admin)"
    done
}

prometheus_answers() { probe_http "$(port_of prometheus http)" /-/ready 'is Ready'; }

prometheus_exports() { printf 'export PACELINE_PROMETHEUS_URL=http://127.0.0.1:%s\n' "$(port_of prometheus http)"; }
