# shellcheck shell=bash
#
# Jaeger's program, built from its Go module: no binary of it is published in a package registry. `go install` refuses the
# module for its replace directives, so a writable copy of it is built. Needs Go 1.24, and some three minutes on two cores, once;
# the result is kept in the cache folder. Its pages are not in the module, so only its API answers.

readonly jaeger_wanted=1.76.0
readonly jaeger_module=github.com/jaegertracing/jaeger

jaeger_version() { printf '%s' "$jaeger_wanted"; }

jaeger_binary() { printf '%s/jaeger-%s' "$(cache_dir)" "$jaeger_wanted"; }

# Fails with a reason, and leaves nothing half done, where Go or the module cannot be had.
jaeger_install() (
    local building source
    if jaeger_installed; then return 0; fi
    if ! command -v go >/dev/null; then
        say "Jaeger is not there, and without Go it can't be built: install Go 1.24 or later, or go on without traces"
        return 1
    fi
    lock_or_fail "$(cache_dir)/jaeger.lock" "$install_seconds_max"
    if jaeger_installed; then return 0; fi
    say "building Jaeger $jaeger_wanted, once; this takes some minutes"
    building=$(mktemp -d -- "$(jaeger_binary).building.XXXXXX")
    trap 'chmod -R u+w -- "$building"; rm -rf -- "$building"' EXIT
    if ! source=$(jaeger_fetch "$building") || ! jaeger_build "$source" "$building/jaeger"; then
        say "Jaeger could not be built; see above"
        return 1
    fi
    mv -T -- "$building/jaeger" "$(jaeger_binary)"
)

# Prints a folder with the module's source that may be written to.
jaeger_fetch() {
    local building=$1 downloaded
    downloaded=$(cd -- "$building" && go mod download -json "$jaeger_module@v$jaeger_wanted") || {
        printf '%s\n' "$downloaded" >&2
        return 1
    }
    downloaded=$(sed -n 's/.*"Dir": "\(.*\)".*/\1/p' <<<"$downloaded")
    cp -r -- "$downloaded" "$building/source" && chmod -R u+w -- "$building/source" && printf '%s' "$building/source"
}

jaeger_build() {
    local output
    output=$(cd -- "$1" && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$2" ./cmd/jaeger 2>&1) || {
        tail -n 15 <<<"$output" >&2
        return 1
    }
}
