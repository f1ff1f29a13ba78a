# shellcheck shell=bash
#
# A small Debian, made by debootstrap and imported: what the stand-ins are built on. Made once a release and kept.

base_image() { printf 'paceline-offline/debian:%s' "$1"; }

base_make() (
    local release=$1 root
    if docker image inspect "$(base_image "$release")" >/dev/null 2>&1; then return 0; fi
    ((EUID == 0)) || fail "debootstrap needs root"
    command -v debootstrap >/dev/null || fail "debootstrap is missing: apt-get install debootstrap"
    root=$(mktemp -d -- "${TMPDIR:-/tmp}/paceline-base.XXXXXX")
    trap 'rm -rf -- "$root"' EXIT
    say "making a Debian $release; this takes about a minute"
    debootstrap --variant=minbase "$release" "$root" "$(rabbitmq4_mirror)" >"$root.log" 2>&1 || {
        tail -n 20 -- "$root.log" >&2
        fail "debootstrap failed; see above and $root.log"
    }
    rm -f -- "$root.log"
    base_configure "$root"
    tar -C "$root" -c . | docker import - "$(base_image "$release")" >/dev/null
)

# Packages must not start services while an image is built. The mirror and how it is reached are this machine's.
base_configure() {
    local root=$1
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 -- "$root/usr/sbin/policy-rc.d"
    apt-config dump | grep -E '^Acquire::(Check-Valid-Until|Check-Date|https?::Proxy)' >"$root/etc/apt/apt.conf.d/90-as-outside" || true
    rm -rf -- "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
}
