//! Codes of the group 5: the ledger, which keeps the runs and counts the jobs.

use super::table::table;

table! {
    LEDGER_UNREACHABLE = 5001, Unavailable, "the ledger cannot be reached" {
        happened: "No connection to Redis can be opened, or an open one broke.",
        causes: "Redis is not running, the address is wrong, or the network between is down.",
        remedy: "Check with `paceline doctor`. Start Redis, or correct PACELINE_LEDGER_URL.",
    }
    LEDGER_TIMEOUT = 5002, Unavailable, "the ledger does not answer in time" {
        happened: "Redis took a command and gave no answer within the limit.",
        causes: "Redis is overloaded, or a slow command of another program holds it up.",
        remedy: "Look with `redis-cli --latency` and `redis-cli slowlog get`.",
    }
    LEDGER_LOGIN_REFUSED = 5003, FailedPrecondition, "the ledger refuses the login" {
        happened: "Redis does not accept the user or the password, or a permission is missing.",
        causes: "The password is wrong or missing, or the ACL of the user is too narrow.",
        remedy: "Correct user and password in PACELINE_LEDGER_URL. `redis-cli acl getuser USER` shows the permissions.",
    }
    LEDGER_CERTIFICATE_REFUSED = 5004, Unavailable, "the certificate of the ledger is not trusted" {
        happened: "TLS with Redis failed, because its certificate is not trusted.",
        causes: "An authority that this machine does not know signed the certificate.",
        remedy: "Name the file of the authority with PACELINE_CA_FILE.",
    }
    LEDGER_FULL = 5005, Unavailable, "the ledger has no memory left" {
        happened: "Redis has reached its `maxmemory` and refuses to write.",
        causes: "Runs and counts need more memory than Redis may use.",
        remedy: "Raise `maxmemory`, for example with `redis-cli config set maxmemory 2gb`, and set it in redis.conf.",
    }
    LEDGER_DISK_FAILED = 5006, Unavailable, "the ledger cannot write to its disk" {
        happened: "Redis refuses writes, because its last save to disk failed.",
        causes: "The disk is full, or Redis may not write to its folder.",
        remedy: "Free some space, or correct the rights of the folder, and look at the log of Redis.",
    }
    LEDGER_REPLICAS_MISSING = 5007, Unavailable, "too few replicas of the ledger answer" {
        happened: "A write is safe when enough replicas have it, and too few replicas answer.",
        causes: "A replica is down, behind or not configured, or the server is no primary any more.",
        remedy: "Start the replicas, and look with `redis-cli info replication`.",
    }
    LEDGER_IN_CLUSTER_MODE = 5008, FailedPrecondition, "the ledger cannot use Redis Cluster" {
        happened: "The server runs in cluster mode, and the lists of runs need one server.",
        causes: "PACELINE_LEDGER_URL leads to a node of Redis Cluster.",
        remedy: "Use one server, or a primary with replicas and sentinels. docs/clusters.md shows how.",
    }
    LEDGER_BUSY = 5009, Unavailable, "the ledger cannot answer now" {
        happened: "Redis loads its data, or is a replica just now.",
        causes: "Redis was restarted, or another server becomes the primary.",
        remedy: "Wait: roles try again by themselves. Look with `redis-cli info replication` if it lasts.",
    }
    LEDGER_REFUSES_COMMAND = 5010, Internal, "the ledger refuses a command" {
        happened: "Redis answers with an error that Paceline does not know.",
        causes: "The server is too old or another product, or Paceline has a bug.",
        remedy: "Use a version of Redis that docs/operations.md names. Otherwise report the message as a bug.",
    }
    LEDGER_MAY_EVICT = 5011, FailedPrecondition, "the ledger may evict keys" {
        happened: "Redis would drop keys when its memory is full, and counts with them.",
        causes: "`maxmemory-policy` is not `noeviction`.",
        remedy: "Run `redis-cli config set maxmemory-policy noeviction`, and set it in redis.conf.",
    }
    LEDGER_IS_REPLICA = 5012, FailedPrecondition, "the ledger is a replica" {
        happened: "The server takes no writes, because it follows another one.",
        causes: "PACELINE_LEDGER_URL leads to a replica.",
        remedy: "Use the address of the primary, or name the sentinels with `redis+sentinel://`.",
    }
    LEDGER_REPLICAS_TOO_MANY = 5013, FailedPrecondition, "the ledger has too many replicas" {
        happened: "The answer of one replica is the answer of a majority only with few replicas.",
        causes: "The primary has more replicas than Paceline can rely on.",
        remedy: "Take the replicas away that are too many. docs/clusters.md explains the number.",
    }
    LEDGER_PERMISSION_MISSING = 5014, FailedPrecondition, "the user of the ledger may not ask replicas" {
        happened: "Redis refuses the commands that ask the replicas.",
        causes: "The ACL of the user has no WAIT or no PUBLISH on the channel.",
        remedy: "Run the command `ACL SETUSER` of the message on each server, and save it with `ACL SAVE`.",
    }
    SENTINELS_NO_MAJORITY = 5015, Unavailable, "no majority of the sentinels names a primary" {
        happened: "The ledger cannot be found, because too few sentinels answer or agree.",
        causes: "Sentinels are down, the name of the primary is wrong, or a failover is just under way.",
        remedy: "Wait for the failover. Then check the sentinels with `redis-cli -p 26379 sentinel masters`, and \
            PACELINE_LEDGER_URL.",
    }
    LEDGER_PRIMARY_CHANGED = 5016, Unavailable, "another server is the primary of the ledger now" {
        happened: "The connection led to a server that is no primary any more.",
        causes: "The sentinels have made another server the primary.",
        remedy: "Nothing: roles connect to the new primary by themselves.",
    }
    LEASE_LOST = 5017, Aborted, "another scheduler owns the run now" {
        happened: "The scheduler has lost its lease of the run.",
        causes: "The scheduler was slow or cut off for longer than a lease lasts.",
        remedy: "Nothing: the other scheduler goes on with the run. Look at the load of the scheduler if it happens \
            often.",
    }
    LEDGER_DATA_UNREADABLE = 5018, Internal, "data in the ledger cannot be read or written" {
        happened: "A record in the ledger is not in the form that this version writes.",
        causes: "Somebody changed it by hand, another version wrote it, or Paceline has a bug.",
        remedy: "Use the version that wrote the data. Otherwise report the message as a bug.",
    }
    RUN_VANISHED = 5019, Unavailable, "the run has vanished from the ledger" {
        happened: "A scheduler that owns the run does not find it in the ledger.",
        causes: "The ledger has lost its data, or somebody removed the run.",
        remedy: "Look at the ledger with `paceline doctor`. After a loss of data, run `paceline doctor \
            --rebuild-counters`.",
    }
    CLOCKS_DIFFER = 5020, FailedPrecondition, "the clocks of the ledger and this machine differ" {
        happened: "The two clocks are more than a second apart.",
        causes: "A machine does not take its time from NTP.",
        remedy: "Let both machines take their time from NTP. `timedatectl` shows whether a machine does.",
    }
    DATABASE_BROKEN = 5021, Internal, "the embedded database fails" {
        happened: "The embedded database answers with an error that does not pass by itself.",
        causes: "A file is damaged or of another version, or Paceline has a bug.",
        remedy: "Stop the process, copy the data folder, and report the message. Then move the folder away and start \
            again, or restore it from a backup.",
    }
    LEDGER_NODE_AWAY = 5022, Unavailable, "a node of Redis is not reached or disagrees" {
        happened: "Sentinels do not reach one server, or one sentinel names another primary than the latest election.",
        causes: "The node was stopped, is cut off by the network, or has just come back.",
        remedy: "Start the node again, or repair its network; the other nodes do its work meanwhile. A sentinel that \
            disagrees follows the others by itself.",
    }
}
