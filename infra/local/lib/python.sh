# shellcheck shell=bash
#
# A Python folder in the cache with what a file of requirements pins, made anew when that file or Python changes.

# Of the dashboards, unless a script has said another.
requirements=${requirements-grafana/requirements.txt}

python_home() {
    printf '%s/python-%.12s' "$(cache_dir)" "$( (python3 --version && cat -- "$repository/$requirements") | sha256sum)"
}

python_of_dashboards() { printf '%s/bin/python' "$(python_home)"; }

python_install() (
    local home output
    # `|| exit`, because the caller may ask for the code of this function, and then no failure in it ends it by itself.
    command -v python3 >/dev/null || packages_of_python || exit
    home=$(python_home)
    if [[ -f $home/whole ]]; then return 0; fi
    lock_or_fail "$(cache_dir)/python.lock" "$install_seconds_max"
    if [[ -f $home/whole ]]; then return 0; fi
    rm -rf -- "$home"
    # Debian keeps this module in a package of its own.
    python3 -c 'import venv, ensurepip' 2>/dev/null || packages_of_python || exit
    python3 -m venv "$home" >&2 || fail "python3 could not make $home; see above"
    if ! output=$("$home/bin/pip" install --quiet --disable-pip-version-check --requirement "$repository/$requirements" 2>&1); then
        printf '%s\n' "$output" >&2
        # An index that is there names other versions.
        if grep -qF 'from versions: none' <<<"$output"; then
            say "no package index answers, so what $requirements names cannot be had"
            exit "$exit_not_installed"
        fi
        fail "pip could not install what $requirements names; see above"
    fi
    touch -- "$home/whole"
)

packages_of_python() { packages_with_lock python3 python3-venv; }
