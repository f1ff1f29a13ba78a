//! Codes of the group 6: producers, schedulers and workers as other processes see them.

use super::table::table;

table! {
    SERVICE_UNAVAILABLE = 6000, Unavailable, "a service does not answer" {
        happened: "A service that the call needs does not answer or cannot answer now.",
        causes: "The service is down, starts or is overloaded.",
        remedy: "Try again later. `paceline doctor` looks at all services.",
    }
    NO_PRODUCER_WORKS = 6001, Unavailable, "no producer works now" {
        happened: "The scheduler found no producer that takes jobs.",
        causes: "Producers are not started, do not answer, or cannot reach the broker.",
        remedy: "Start one with `paceline producer`, check PACELINE_PRODUCERS, and see the reason of each producer in \
            the message.",
    }
    PRODUCER_SILENT = 6002, Unavailable, "a producer does not answer" {
        happened: "A producer gave no answer within the limit.",
        causes: "The producer was stopped, is overloaded, or the network between is down.",
        remedy: "Look at the log and `/readyz` of the producer. The scheduler uses the other producers meanwhile.",
    }
    PRODUCER_NOT_SERVING = 6003, FailedPrecondition, "a producer says that it is not ready" {
        happened: "The producer answers, and says that it does not serve.",
        causes: "The producer cannot reach the broker or the ledger.",
        remedy: "Read `/readyz` of the producer, or run `paceline health` on its machine.",
    }
    PRODUCER_TOO_OLD = 6004, Unavailable, "a producer cannot look at the queue" {
        happened: "The producer does not know the question about a queue or a group.",
        causes: "The producer is of an older version.",
        remedy: "Give all roles one version. docs/operations/upgrade.md shows the order.",
    }
    PRODUCERS_INVALID = 6005, InvalidArgument, "the addresses of the producers are not valid" {
        happened: "The setting `producers` has no address, or a text that is no address.",
        causes: "The setting is empty or has a typing error.",
        remedy: "Set PACELINE_PRODUCERS to addresses such as `http://127.0.0.1:50052`, with commas between.",
    }
    RANGE_PARTLY_CONFIRMED = 6006, Unavailable, "a part of a range is confirmed" {
        happened: "The producer confirmed some jobs of a range, and not all.",
        causes: "The broker failed while the producer published.",
        remedy: "Nothing: the scheduler publishes the range again, and each document is stored once.",
    }
    PUBLISHES_STUCK = 6007, Unavailable, "the broker confirms nothing for a while" {
        happened: "Publishes of the producer wait, and the broker confirms none of them.",
        causes: "The broker blocks publishers, or is cut off.",
        remedy: "Look with `rabbitmq-diagnostics alarms` and `paceline doctor`.",
    }
    SCHEDULER_UNREACHABLE = 6010, Unavailable, "no scheduler answers" {
        happened: "Nobody answers at the address of the scheduler.",
        causes: "No scheduler runs, or the address is that of another machine.",
        remedy: "Start one with `paceline dev` or `paceline scheduler`, or name another with `--server` or \
            PACELINE_SERVER.",
    }
    SCHEDULER_TIMEOUT = 6011, Unavailable, "the scheduler does not answer in time" {
        happened: "The scheduler took the call and gave no answer within the limit.",
        causes: "The scheduler waits for the ledger, or is overloaded.",
        remedy: "Look at `/readyz` of the scheduler, and at the ledger with `paceline doctor`.",
    }
    WATCH_ENDED = 6012, Unavailable, "the scheduler ended the stream" {
        happened: "The stream of a run ended before the run did.",
        causes: "The scheduler was stopped or restarted.",
        remedy: "Run `paceline run watch RUN` again. The run goes on.",
    }
    DEMAND_UNKNOWN = 6020, Unavailable, "nobody can say how many workers are needed" {
        happened: "The length of the queue, its runs or its workers are not known.",
        causes: "The broker or the ledger does not answer, or the workers stopped to announce themselves.",
        remedy: "Run `paceline doctor`. An autoscaler keeps the present number of workers meanwhile.",
    }
    SCALING_AIM_INVALID = 6021, InvalidArgument, "the aim of scaling is not valid" {
        happened: "A number of the question about workers breaks its rule.",
        causes: "A number is 0, is too large, or the least is above the most.",
        remedy: "Correct the named numbers, as docs/scaling.md explains them.",
    }
    SCALED_OBJECT_INVALID = 6022, InvalidArgument, "the trigger of KEDA is not valid" {
        happened: "The metadata of the trigger has a key or a value that cannot work, or names another metric.",
        causes: "A key has a typing error, or a value is no number.",
        remedy: "Correct the trigger as docs/scaling.md shows.",
    }
    WORKER_STALLED = 6030, Unavailable, "a worker does not get on" {
        happened: "A worker announces itself, and a part of its work stands still.",
        causes: "A handler hangs, or the sink or the ledger does not answer.",
        remedy: "Read the log and `/readyz` of the worker, and restart the worker if it does not get on by itself.",
    }
    WORKER_CANNOT_START = 6031, InvalidArgument, "the worker cannot start with these options" {
        happened: "The autoscaler started a worker, and the worker refused its options or settings.",
        causes: "An option, a setting or a variable is wrong.",
        remedy: "Correct what the words of the worker above the message name.",
    }
}
