# shellcheck shell=bash
#
# Probes: a service is up when it has answered in its own language, not when its port is open. Written with bash's
# own sockets, so that nothing has to be installed for it. Each probe has a limit in time: a frozen process still
# accepts connections.

readonly probe_seconds_max=2

# Sends bytes (a printf format) to a port and prints up to so many bytes of the answer, NUL shown as nothing.
probe_exchange() {
    local port=$1 format=$2 bytes_max=$3
    # shellcheck disable=SC2059,SC2016
    timeout "$probe_seconds_max" bash -c '
        exec 3<>"/dev/tcp/127.0.0.1/$1" && printf "$2" >&3 && head -c "$3" <&3 | tr -d "\000"
    ' probe "$port" "$format" "$bytes_max" 2>/dev/null
}

# The broker greets a client that speaks AMQP 0-9-1 with Connection.Start, which begins with its capabilities.
probe_amqp() { [[ $(probe_exchange "$1" 'AMQP\x00\x00\x09\x01' 64) == *capabilities* ]]; }

# While Redis loads its file it answers -LOADING.
probe_redis() { [[ $(probe_exchange "$1" 'PING\r\n' 7) == +PONG* ]]; }

probe_http() {
    local port=$1 path=$2 expected=$3 headers=${4-}
    [[ $(probe_exchange "$port" "GET $path HTTP/1.0\r\n$headers\r\n" 4096) == *$expected* ]]
}

# Of an answer of Redis that may be long: sent with QUIT, so that it ends.
probe_redis_says() {
    local port=$1 command=$2 expected=$3
    [[ $(probe_exchange "$port" "$command\r\nQUIT\r\n" 65536) == *$expected* ]]
}
