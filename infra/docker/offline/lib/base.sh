# shellcheck shell=bash
#
# A small Debian, made by debootstrap and imported: what the stand-ins are built on. Made once a release and kept.

base_image() { printf 'paceline-offline/debian:%s' "$1"; }

base_make() (
    local release=$1 root mirror
    if docker image inspect "$(base_image "$release")" >/dev/null 2>&1; then return 0; fi
    ((EUID == 0)) || fail "debootstrap needs root"
    mirror=$(rabbitmq4_mirror)
    # debootstrap writes it into the image.
    [[ $mirror != *://*@* ]] || fail "the Debian mirror has a login in its URL, which would stay in the images; set PACELINE_DEBIAN_MIRROR to one without"
    command -v debootstrap >/dev/null || fail "debootstrap is missing: apt-get install debootstrap"
    root=$(mktemp -d -- "${TMPDIR:-/tmp}/paceline-base.XXXXXX")
    trap 'rm -rf -- "$root"' EXIT
    say "making a Debian $release; this takes about a minute"
    debootstrap --variant=minbase "$release" "$root" "$mirror" >"$root.log" 2>&1 || {
        tail -n 20 -- "$root.log" >&2
        fail "debootstrap failed; see above and $root.log"
    }
    rm -f -- "$root.log"
    base_configure "$root"
    tar -C "$root" -c . | docker import - "$(base_image "$release")" >/dev/null
)

# Packages must not start services while an image is built. The mirror is this machine's.
base_configure() {
    local root=$1
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 -- "$root/usr/sbin/policy-rc.d"
    rm -rf -- "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
}

# The settings with which this machine's apt reaches its mirror. A proxy may have a login, so they are mounted while packages are fetched,
# and are in no image.
apt_as_outside() { apt-config dump | grep -E '^Acquire::(Check-Valid-Until|Check-Date|https?::Proxy)' || true; }
