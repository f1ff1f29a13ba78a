# shellcheck shell=bash
#
# A Java that Elasticsearch can run on: $JAVA_HOME first, then the path, then Debian's folder. The version is read
# from the file every JDK carries, because asking Java itself costs a tenth of a second a time.

readonly java_major_min=17

java_find() { java_tool java; }
javac_find() { java_tool javac; }
jar_find() { java_tool jar; }

java_tool() {
    local tool=$1 candidate
    for candidate in ${JAVA_HOME:+"$JAVA_HOME/bin/$tool"} "$(command -v "$tool" || true)" /usr/lib/jvm/*/bin/"$tool"; do
        if [[ -x $candidate ]] && (($(java_major "$candidate") >= java_major_min)); then
            readlink -f -- "$candidate"
            return 0
        fi
    done
    return 1
}

# The first number of JAVA_VERSION: 17 for "17.0.15", 1 for "1.8.0"; 0 if there is no such file.
java_major() {
    local major
    major=$(sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$(java_release_file "$1")" 2>/dev/null || true)
    printf '%s' "${major:-0}"
}

java_release_file() { printf '%s/release' "$(dirname -- "$(dirname -- "$(readlink -f -- "$1")")")"; }
