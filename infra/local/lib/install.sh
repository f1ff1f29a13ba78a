# shellcheck shell=bash
#
# Puts on the machine: Debian's RabbitMQ and Redis, a JDK with Maven, then Elasticsearch's home. Only missing things are
# installed, and root is needed only for packages. A second install at the same time waits for the first.
# Of RabbitMQ, only the series that was asked for: 3 is a package, 4 a home folder beside the system.

readonly install_seconds_max=1800
readonly policy_file=/usr/sbin/policy-rc.d policy_mark='written by paceline: stack install'

install_all() (
    local packages
    lock_or_fail "$(cache_dir)/install.lock" "$install_seconds_max"
    read -ra packages <<<"$(packages_missing)"
    if ((${#packages[@]} > 0)); then packages_install "${packages[@]}"; fi
    elasticsearch_home_install
    elasticsearch_archive_install
    if [[ $rabbitmq_series_wanted == 4 ]]; then rabbitmq4_home_install; fi
    say "everything is installed"
)

# Maven and the compiler are needed only to put Elasticsearch's home together: a copied cache folder does without.
packages_missing() {
    local missing=()
    if [[ $rabbitmq_series_wanted != 4 ]] && ! rabbitmq3_installed; then missing+=(rabbitmq-server); fi
    if ! redis_installed; then missing+=(redis-server); fi
    if elasticsearch_home_is_whole; then
        if ! java_find >/dev/null; then missing+=(openjdk-17-jre-headless); fi
    else
        if ! javac_find >/dev/null; then missing+=(openjdk-17-jdk-headless); fi
        if ! command -v mvn >/dev/null; then missing+=(maven); fi
    fi
    printf '%s' "${missing[*]}"
}

# Of a check, which does not hold the lock, and is left out where no package mirror answers.
packages_with_lock() (
    lock_or_fail "$(cache_dir)/install.lock" "$install_seconds_max"
    (packages_install "$@") || exit "$exit_not_installed"
)

packages_install() (
    if ((EUID != 0)); then
        say "missing: $*; installing needs root (without it, \`make test-fast\` runs the embedded tests only)"
        exit "$exit_not_installed"
    fi
    say "installing $*"
    services_stay_off
    trap services_may_start EXIT
    if ! apt_install "$@"; then
        apt-get update -q >&2 || fail "apt-get update failed; see above"
        apt_install "$@" || fail "apt-get could not install $*; see above"
    fi
    services_not_at_boot "$@"
)

apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 \
        install -y -q --no-install-recommends "$@" >&2 </dev/null
}

# === the system's own services ===

# Debian starts a service as soon as its package is installed, unless this file forbids it. It is the documented way,
# and works with and without systemd. A machine that has such a policy keeps its own.
services_stay_off() {
    if [[ -e $policy_file ]] && ! grep -qF -- "$policy_mark" "$policy_file"; then return 0; fi
    printf '#!/bin/sh\n# %s; safe to delete\nexit 101\n' "$policy_mark" >"$policy_file"
    chmod 755 -- "$policy_file"
}

services_may_start() {
    if grep -qsF -- "$policy_mark" "$policy_file"; then rm -f -- "$policy_file"; fi
}

# Only what was installed just now: a service the machine had before is none of our business.
services_not_at_boot() {
    local package
    [[ -d /run/systemd/system ]] || return 0
    for package in "$@"; do
        case $package in
        rabbitmq-server | redis-server | prometheus) systemctl disable --quiet "$package" >&2 || true ;;
        esac
    done
}
