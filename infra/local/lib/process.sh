# shellcheck shell=bash
#
# Processes: started in a session of their own, found again by pid file, ended in good order. A process counts as
# ours only if its environment carries the mark "<service>@<dir>" given to it at the start, so that a pid file from
# before a reboot, or a number the kernel has given to somebody else, never leads to a wrong kill.

# Not one of PACELINE_'s variables: the roles refuse those that they do not know.
process_mark() { printf 'STACK_PROCESS=%s@%s' "$1" "$dir"; }

process_is_ours() {
    local service=$1 pid=$2
    grep -qszxF -- "$(process_mark "$service")" "/proc/$pid/environ"
}

# Prints the pid of a service's main process if it runs.
service_pid() {
    local service=$1 pid
    [[ -s $dir/$service/pid ]] || return 1
    pid=$(<"$dir/$service/pid")
    [[ $pid =~ ^[0-9]+$ ]] && process_is_ours "$service" "$pid" || return 1
    printf '%s\n' "$pid"
}

# Starts a command that outlives this script: in its own session (a Ctrl-C here does not reach it), in the service's
# folder (a crash dump lands there), output to a log, as many open files as the machine allows up to a limit by name,
# and none of ours kept open, because whoever waits for the end of a pipe we were given would wait for the service's.
process_spawn() {
    local service=$1
    shift
    (
        cd -- "$dir/$service" || exit
        process_raise_open_files
        process_close_inherited_files
        exec env -- "$(process_mark "$service")" setsid -- "$@"
    ) </dev/null >>"$dir/$service/output.log" 2>&1 &
    printf '%s\n' "$!" >"$dir/$service/pid"
    disown
}

process_raise_open_files() {
    local files_open_max=65536 files_hard
    files_hard=$(ulimit -Hn)
    if [[ $files_hard != unlimited ]] && ((files_hard < files_open_max)); then files_open_max=$files_hard; fi
    ulimit -Sn "$files_open_max"
}

process_close_inherited_files() {
    local file number
    for file in "/proc/$BASHPID/fd"/*; do
        number=${file##*/}
        # 255 is bash's own, and closed by itself at exec.
        if ((number > 2 && number != 255)); then exec {number}>&-; fi
    done
}

# Prints all processes of a service: the main one and whatever it has left behind.
process_list() {
    local pid
    grep -lszxF -- "$(process_mark "$1")" /proc/[0-9]*/environ | while IFS=/ read -r _ _ pid _; do
        printf '%s\n' "$pid"
    done || true
}

# Gone is gone with all threads: a process that is being torn down loses its environment first and its ports last.
process_is_gone() {
    local pid=$1 threads
    threads=("/proc/$pid/task"/*)
    [[ ! -d /proc/$pid ]] || { ((${#threads[@]} == 1)) && grep -qs '^State:.[ZX]' "/proc/$pid/status"; }
}

# Waits for the end of a process; fails when the time is over.
process_await_end() {
    local pid=$1 seconds_max=$2 deadline
    deadline=$((SECONDS + seconds_max + 1))
    until process_is_gone "$pid"; do
        ((SECONDS < deadline)) || return 1
        sleep 0.05
    done
}

# SIGKILL to every process of a service, and again until none is left: one may just have started another.
process_kill_all() {
    local service=$1 pid pids
    while pids=$(process_list "$service") && [[ -n $pids ]]; do
        for pid in $pids; do
            if process_is_ours "$service" "$pid"; then kill -KILL "$pid" 2>/dev/null || true; fi
        done
        for pid in $pids; do
            process_await_end "$pid" "$stop_seconds_max" || fail "$service: process $pid survives SIGKILL"
        done
    done
    rm -f -- "$dir/$service/pid"
}

# SIGTERM to the main process (and SIGCONT, should a test have frozen it), a bounded wait, then SIGKILL for the rest.
process_stop_all() {
    local service=$1 pid
    if pid=$(service_pid "$service"); then
        kill -TERM "$pid" 2>/dev/null || true
        kill -CONT "$pid" 2>/dev/null || true
        process_await_end "$pid" "$stop_seconds_max" ||
            say "$service did not stop within $stop_seconds_max s, killing it"
    fi
    process_kill_all "$service"
}
