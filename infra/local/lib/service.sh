# shellcheck shell=bash
#
# One service, whichever it is: start, stop, kill, status. What differs is in <service>.sh, which defines
#
#   <service>_installed   is the program on this machine?
#   <service>_version     which one is it?
#   <service>_port_names  the names of the ports it needs
#   <service>_run         prepares its folder and spawns it
#   <service>_answers     does it answer now?
#   <service>_exports     the variables it gives to Paceline
#
# Everything of a service is in D/<service>: pid, port.*, lock, output.log and its data.

require_installed() {
    local service missing=()
    for service in "$@"; do "${service}_installed" || missing+=("$service"); done
    ((${#missing[@]} == 0)) && return 0
    say "not installed: ${missing[*]}; run: infra/local/stack install$(install_options)"
    exit "$exit_not_installed"
}

# For a stack of RabbitMQ 4 there is more to install than by default.
install_options() {
    if [[ $(rabbitmq_series) == 4 ]]; then printf ' --rabbitmq 4'; fi
}

# Call in a subshell: the lock is held until that ends.
service_start() {
    local service=$1 pid names began_ms
    lock_or_fail "$dir/$service/lock" "$lock_seconds_max"
    began_ms=$(date +%s%3N)
    if ! service_pid "$service" >/dev/null; then
        process_kill_all "$service"
        read -ra names <<<"$("${service}_port_names")"
        ports_assign "$service" "${names[@]}"
        ports_check_free "$service"
        "${service}_run"
    fi
    pid=$(<"$dir/$service/pid")
    if "${service}_answers"; then return 0; fi
    if wait_until "$start_seconds_max" "$pid" "${service}_answers"; then
        say "$service $("${service}_version") answers after $(($(date +%s%3N) - began_ms)) ms"
        return 0
    fi
    say "$service (pid $pid) does not answer; the end of $dir/$service/output.log:"
    tail -n 15 -- "$dir/$service/output.log" >&2
    exit "$exit_failed"
}

# Call in a subshell, as above. Without its lock the folder is none of ours, and must not get one by this.
service_stop() {
    local service=$1
    [[ -f $dir/$service/lock ]] || return 0
    lock_or_fail "$dir/$service/lock" "$lock_seconds_max"
    process_stop_all "$service"
}

# Takes no lock: a fault test may kill a service while it starts.
service_kill() {
    local service=$1
    service_pid "$service" >/dev/null || fail "$service is not running in $dir"
    process_kill_all "$service"
}

service_signal() {
    local service=$1 pid
    pid=$(service_pid "$service") || fail "$service is not running in $dir"
    kill -s "$2" "$pid"
}

# A copy of the data as it is on the disk now; the service may run on, if it can start from such a copy (Redis can).
service_save() {
    local service=$1
    [[ -d $dir/$service/data ]] || fail "$service has no data in $dir"
    rm -rf -- "$dir/$service/saved"
    cp -a -- "$dir/$service/data" "$dir/$service/saved"
}

# Puts the saved copy back; all changes since it was made are lost. For tests of exactly that.
service_restore() {
    local service=$1
    [[ -d $dir/$service/saved ]] || fail "$service has no saved data in $dir; run first: stack save $service"
    service_forget "$service"
    cp -a -- "$dir/$service/saved" "$dir/$service/data"
}

service_forget() {
    local service=$1
    if service_pid "$service" >/dev/null; then fail "$service is running in $dir; stop or kill it first"; fi
    rm -rf -- "${dir:?}/$service/data"
}

service_status() {
    local service=$1 pid state=down memory=- ports=- answers=1
    if pid=$(service_pid "$service"); then
        if "${service}_answers"; then state=up answers=0; else state='does not answer'; fi
        memory=$(awk '/^VmRSS:/ { printf "%d MB", $2 / 1024 }' "/proc/$pid/status" 2>/dev/null || true)
        ports=$(service_ports "$service")
    fi
    printf '%-14s %-8s %-16s pid %-8s memory %-8s ports %s\n' \
        "$service" "$("${service}_version")" "$state" "${pid:--}" "${memory:--}" "$ports"
    return "$answers"
}

# The lock is the first thing that a start puts into a folder of ours; one without it is ours only if it is empty,
# because the start was interrupted before that.
service_folder_is_ours() {
    local folder=$dir/$1 content
    if [[ ! -e $folder || -f $folder/lock ]]; then return 0; fi
    content=$(ls -A -- "$folder") && [[ -d $folder && -z $content ]]
}

service_ports() {
    local service=$1 file list=''
    for file in "$dir/$service"/port.*; do list+="${file##*/port.}=$(<"$file") "; done
    printf '%s' "${list% }"
}
