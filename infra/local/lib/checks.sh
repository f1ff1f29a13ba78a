# shellcheck shell=bash
#
# The steps of `lint` in their order, and one rule for every check. Exit code 3: the tools of the check cannot be had here, and it has said so
# in a line. It is left out then, the others go on, and its name is said at the end. Any code but 0 and 3 ends the work.

# shellcheck disable=SC2034  # lint and verify read them
readonly quick=(fmt shape shell proto deny) compiled=(clippy docs)

left_out=()

# Runs a check, which is a command of its own, under its name.
check() {
    local name=$1 code=0
    shift
    "$@" || code=$?
    if ((code == exit_not_installed)); then
        left_out+=("$name")
    elif ((code != 0)); then
        exit "$code"
    fi
}

say_left_out() {
    if ((${#left_out[@]} > 0)); then say "left out: ${left_out[*]}"; fi
}
