# shellcheck shell=bash
#
# Elasticsearch, the sink: the real server, from the home folder that elasticsearch_home.sh has put together.

elasticsearch_heap() {
    local default=1g
    if is_cluster; then default=512m; fi
    printf '%s' "${PACELINE_ES_HEAP:-$default}"
}
# Set while the class archive is being recorded; see elasticsearch_archive.sh.
elasticsearch_recording=''

elasticsearch_installed() { java_find >/dev/null && elasticsearch_home_is_whole; }

elasticsearch_port_names() { printf 'http transport'; }

# Takes the name of the service: elasticsearch, or one of a cluster such as elasticsearch-2, whose own settings come last.
elasticsearch_run() {
    local service=${1:-elasticsearch} home flags settings=()
    home=$(elasticsearch_home)
    mkdir -p -- "$dir/$service/data" "$dir/$service/snapshots"
    # JNA unpacks a library into it at every start, and leaves it there when the process is killed.
    rm -rf -- "$dir/$service/temporary"
    mkdir -- "$dir/$service/temporary"
    mapfile -t flags < <(elasticsearch_jvm_flags "$dir/$service/temporary")
    if is_cluster; then mapfile -t settings < <(elasticsearch_cluster_settings "$service"); fi
    process_spawn "$service" "$(java_find)" "${flags[@]}" -cp "$(elasticsearch_class_path)" \
        Launcher "$local_dir/elasticsearch/config" \
        path.home="$home" path.data="$dir/$service/data" path.logs="$dir/$service/log" \
        path.repo="$dir/$service/snapshots" \
        http.port="$(port_of "$service" http)" transport.port="$(port_of "$service" transport)" \
        logger.level=INFO "${settings[@]}"
}

# Serial collector: two cores are shared with everything else. Against G1, with 600,000 documents in bulks of 500,
# three runs each: 11-29 % less CPU a document while the JVM is young, which in tests it is, the same later, and
# 0.65 GB of memory instead of 0.93 GB.
elasticsearch_jvm_flags() {
    printf '%s\n' "-Xms$(elasticsearch_heap)" "-Xmx$(elasticsearch_heap)" -XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError \
        -Djava.io.tmpdir="$1" -Dfile.encoding=UTF-8 -Djna.nosys=true
    # Log4j must not close before the node has.
    printf '%s\n' -Dlog4j.shutdownHookEnabled=false -Dlog4j2.disable.jmx=true
    if [[ -n $elasticsearch_recording ]]; then
        # Warnings about classes that cannot be kept are not news.
        printf '%s\n' "-XX:ArchiveClassesAtExit=$elasticsearch_recording" -Xlog:cds=error
    elif [[ -s $(elasticsearch_archive) ]]; then
        printf '%s\n' "-XX:SharedArchiveFile=$(elasticsearch_archive)"
    fi
}

# Named one by one, in an order that no locale changes: the class archive is only good for the same class path.
elasticsearch_class_path() {
    local LC_ALL=C jars IFS=:
    jars=("$(elasticsearch_home)"/lib/*.jar)
    printf '%s' "${jars[*]}"
}

# Yellow: all primary shards of all indices are there. (Green would ask for replicas, which one node cannot hold.)
elasticsearch_answers() {
    probe_http "$(port_of "${1:-elasticsearch}" http)" '/_cluster/health?wait_for_status=yellow&timeout=1s' '"timed_out":false'
}

elasticsearch_exports() { printf 'export PACELINE_SINK_URL=http://127.0.0.1:%s\n' "$(port_of elasticsearch http)"; }
