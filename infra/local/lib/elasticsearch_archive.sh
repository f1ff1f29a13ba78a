# shellcheck shell=bash
#
# A class archive: what the JVM has learnt about Elasticsearch's classes in one start, kept for all later ones (JDK
# name: dynamic class data sharing). Measured on 2 cores: 1.6 s instead of 3.0 s until the node answers, and half
# the CPU. It is recorded once, at install, by starting and stopping a node. Nothing depends on it: without it, or if
# Java or the jars have changed since, the node starts as slowly as before.

# Named after the Java that has recorded it, because no other can read it.
elasticsearch_archive() {
    local java
    java=$(java_find)
    printf '%s/classes-%.12s.jsa' "$(elasticsearch_home)" \
        "$( (printf '%s\n' "$java" && cat -- "$(java_release_file "$java")") | sha256sum)"
}

# Call under the lock of install, when the home has its final place: the archive remembers the paths of the jars.
elasticsearch_archive_install() {
    local archive dir elasticsearch_recording
    archive=$(elasticsearch_archive)
    if [[ -s $archive ]]; then return 0; fi
    say "recording Elasticsearch's class archive"
    # Of an install that was killed; an interrupted one tidies up itself.
    for dir in "$(elasticsearch_home)".recording.*; do
        if [[ -d $dir ]]; then elasticsearch_recording_clean; fi
    done
    # A stack of its own for the recording: these two variables are read by what is called from here.
    dir=$(mktemp -d -- "$(elasticsearch_home).recording.XXXXXX")
    elasticsearch_recording=$dir/classes.jsa
    (
        trap elasticsearch_recording_clean EXIT
        # The JVM writes the archive when it ends.
        (service_start elasticsearch) && (service_stop elasticsearch)
        if [[ -s $elasticsearch_recording ]]; then mv -f -- "$elasticsearch_recording" "$archive"; fi
    )
    [[ -s $archive ]] || say "there is no class archive; Elasticsearch will start more slowly"
}

elasticsearch_recording_clean() {
    (process_kill_all elasticsearch)
    ports_release elasticsearch
    rm -rf -- "$dir"
}
