# shellcheck shell=bash
#
# The home folder of Elasticsearch, put together from Maven Central's jars (infra/local/elasticsearch/pom.xml) and
# our small launcher. Built in a temporary folder and renamed at the end, so that an interrupted install never leaves
# half a home. A stamp over its sources tells a home that is out of date.
#
#   lib/                        the server, a plain class path; launcher.jar is ours
#   modules/transport-netty4/   the HTTP and transport layer, which the server loads as a module
#   plugins/                    empty, but the server looks for it
#   stamp

readonly elasticsearch_sources=(pom.xml Launcher.java plugin-descriptor.properties)

elasticsearch_version() {
    sed -n 's|.*<elasticsearch.version>\(.*\)</elasticsearch.version>.*|\1|p' "$local_dir/elasticsearch/pom.xml"
}

elasticsearch_home() { printf '%s/elasticsearch-%s' "$(cache_dir)" "$(elasticsearch_version)"; }

elasticsearch_stamp() { (cd -- "$local_dir/elasticsearch" && sha256sum -- "${elasticsearch_sources[@]}"); }

elasticsearch_home_is_whole() {
    local home
    home=$(elasticsearch_home)
    [[ -s $home/stamp && $(<"$home/stamp") == "$(elasticsearch_stamp)" ]]
}

# Call under the lock of install.
elasticsearch_home_install() (
    local home building
    if elasticsearch_home_is_whole; then return 0; fi
    home=$(elasticsearch_home)
    say "putting Elasticsearch $(elasticsearch_version) together in $home"
    # Removes the remains of an interrupted install.
    rm -rf -- "$home".building.*
    building=$(mktemp -d -- "$home.building.XXXXXX")
    trap 'rm -rf -- "$building"' EXIT
    # mktemp's folder is for its owner only, but a cache folder may be shared.
    chmod 755 -- "$building"
    elasticsearch_build "$building"
    rm -rf -- "$home"
    mv -T -- "$building" "$home"
)

elasticsearch_build() {
    local home=$1 module=$1/modules/transport-netty4
    mkdir -p -- "$home/lib" "$home/plugins" "$module"
    elasticsearch_fetch_jars "$home/lib"
    mv -- "$home"/lib/netty-*.jar "$home"/lib/transport-netty4-*.jar "$module/"
    sed "s/@VERSION@/$(elasticsearch_version)/" "$local_dir/elasticsearch/plugin-descriptor.properties" \
        >"$module/plugin-descriptor.properties"
    elasticsearch_compile_launcher "$home"
    elasticsearch_stamp >"$home/stamp"
}

elasticsearch_fetch_jars() {
    local output
    output=$(mvn --quiet --batch-mode --strict-checksums --file "$local_dir/elasticsearch/pom.xml" \
        dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$1" 2>&1 </dev/null) || {
        printf '%s\n' "$output" >&2
        fail "maven could not fetch Elasticsearch's jars; see above"
    }
}

elasticsearch_compile_launcher() {
    local home=$1 classes=$1/classes
    "$(javac_find)" --release "$java_major_min" -cp "$home/lib/*" -d "$classes" \
        "$local_dir/elasticsearch/Launcher.java" >&2 || fail "Elasticsearch's launcher does not compile; see above"
    "$(jar_find)" --create --file "$home/lib/launcher.jar" -C "$classes" .
    rm -r -- "$classes"
}
