//! Codes of the group 1: requests, and the runs that they are about. The first six are the general codes of their kinds.

use super::table::table;

table! {
    REQUEST_INVALID = 1000, InvalidArgument, "a request or an option is not valid" {
        happened: "A field of the request or an option of the command has a value that can never work.",
        causes: "The message names each field and its rule.",
        remedy: "Correct the named fields and send the request again. `paceline COMMAND --help` lists the options of \
            a command.",
    }
    NOT_FOUND = 1001, NotFound, "there is no such thing" {
        happened: "The thing that the message names is not there.",
        causes: "The name has a typing error, the thing was removed, or the command asked another mesh.",
        remedy: "Compare the name with `paceline run list`. Check `--namespace` and PACELINE_NAMESPACE.",
    }
    PRECONDITION_FAILED = 1002, FailedPrecondition, "the present state does not allow this" {
        happened: "The request is right, and the state of the thing does not allow it now.",
        causes: "The message names the state.",
        remedy: "Look at the state with `paceline run get RUN` or `paceline doctor`, change what the message names, \
            and try again.",
    }
    LIMIT_REACHED = 1003, ResourceExhausted, "a limit is reached" {
        happened: "A named limit does not allow more now.",
        causes: "More work is asked for than the limit allows.",
        remedy: "Wait and try again, or raise the limit that the message names.",
    }
    CHANGED_MEANWHILE = 1004, Aborted, "the thing changed meanwhile" {
        happened: "Another process changed the thing between the reading and the writing.",
        causes: "Two processes worked on the same thing.",
        remedy: "Send the same request again.",
    }
    JOBS_NOT_PUBLISHABLE = 1005, Unpublishable, "no producer can ever publish these jobs" {
        happened: "The run says something about its jobs that no producer can publish.",
        causes: "The run was accepted by an older version, or its record in the ledger was changed.",
        remedy: "Start a new run without what the message names.",
    }
    RATE_INVALID = 1010, InvalidArgument, "the rate of a run is not valid" {
        happened: "The number of jobs or of minutes does not make a rate.",
        causes: "A number is 0, is no number, or is above the limit, or only one of both numbers was given.",
        remedy: "Give `--jobs` of 1 or more and `--per-minutes` above 0, both together.",
    }
    TOTAL_INVALID = 1011, InvalidArgument, "the total of a run is not valid" {
        happened: "The total is 0 or above the limit.",
        causes: "A total counts jobs, and a run without a total goes on until it is stopped.",
        remedy: "Give a `--total` within the limits of the message, or leave `--total` out.",
    }
    PAYLOAD_INVALID = 1012, InvalidArgument, "the payload of a run is not valid" {
        happened: "The payload cannot become part of the documents.",
        causes: "The file cannot be read, the text is no JSON object, a number fits no double, or a field has a name \
            that Paceline writes.",
        remedy: "Correct the payload as the message says. A number of many digits can be written as a string.",
    }
    PAYLOAD_TOO_LARGE = 1013, InvalidArgument, "the payload of a run is too large" {
        happened: "The payload has more bytes than a run may have.",
        causes: "Each message of the run carries the payload, so its size is limited.",
        remedy: "Put the large part elsewhere, and its address into the payload.",
    }
    QUEUE_UNKNOWN = 1014, InvalidArgument, "the queue is not configured" {
        happened: "The request names a queue that the role does not know.",
        causes: "The name has a typing error, or the settings of the role have no such queue.",
        remedy: "Use a queue of the list in the message, or add a section `[queues.NAME]` to the settings of all \
            roles.",
    }
    HANDLER_UNKNOWN = 1015, InvalidArgument, "there is no such handler" {
        happened: "The request names a handler that the workers do not have.",
        causes: "The name has a typing error, or the handler is part of another version.",
        remedy: "Use a handler of the list in the message.",
    }
    GROUP_UNKNOWN = 1016, InvalidArgument, "the run has no such group" {
        happened: "The request names a group that the run was not made for, or too many groups.",
        causes: "The groups of a run are fixed when the run starts.",
        remedy: "Use a group of the list in the message, or start a new run.",
    }
    RUN_ID_INVALID = 1017, InvalidArgument, "the text is not the id of a run" {
        happened: "The id has characters or a length that no id has.",
        causes: "The id was typed by hand or cut off.",
        remedy: "Copy the id from `paceline run list`, or say `last` for the newest run.",
    }
    NAME_INVALID = 1018, InvalidArgument, "a name has characters that names cannot have" {
        happened: "The name of a queue, a group, a namespace or a process (`--id`) breaks the rule of the message.",
        causes: "Names become parts of queues, keys and indices, which allow few characters.",
        remedy: "Choose a name of a-z, 0-9, `_`, `.` and `-`. A group and a namespace have no dots.",
    }
    REQUEST_ID_TOO_LONG = 1019, InvalidArgument, "the id of a request is too long" {
        happened: "The request carries an idempotency key above the limit.",
        causes: "The key was made of a long text.",
        remedy: "Use a short key, such as a UUID.",
    }
    PAGE_TOKEN_INVALID = 1020, InvalidArgument, "the page token is not valid" {
        happened: "The token does not come from a page of the same list.",
        causes: "The token was changed, cut off or made by hand.",
        remedy: "Use the `next_page_token` of the page before, or start without a token.",
    }
    UPDATE_EMPTY = 1021, InvalidArgument, "the update changes nothing" {
        happened: "The request names neither a rate nor a total.",
        causes: "All options that change something were left out.",
        remedy: "Give `--jobs` with `--per-minutes`, or `--total`, or all three.",
    }
    RANGE_INVALID = 1022, InvalidArgument, "the number of jobs in a range is not valid" {
        happened: "A range has no jobs, or more jobs than a range may have.",
        causes: "The caller of the producer is no scheduler of this version.",
        remedy: "Publish ranges through a scheduler, and give all roles one version.",
    }
    RUN_SPEC_FIXED = 1023, InvalidArgument, "only rate and total of a run may change" {
        happened: "The change touches a part of the run that is fixed.",
        causes: "Messages of the run carry that part already.",
        remedy: "Start a new run for the rest, and stop the old one with `paceline run stop RUN`.",
    }
    RUN_UNKNOWN = 1030, NotFound, "there is no such run" {
        happened: "The ledger does not know the run.",
        causes: "The id has a typing error, the run is of another namespace, or the ledger has lost its data.",
        remedy: "Compare with `paceline run list`. After a loss of the ledger, run `paceline doctor \
            --rebuild-counters`.",
    }
    NO_RUNS_YET = 1031, NotFound, "there are no runs yet" {
        happened: "The command asked for the newest run, and the mesh has no run.",
        causes: "Nothing was started in this namespace.",
        remedy: "Start a run with `paceline run start`, or check `--namespace`.",
    }
    RUN_TOTAL_BELOW_ENQUEUED = 1040, FailedPrecondition, "the new total is below the jobs that are enqueued" {
        happened: "The run has enqueued more jobs than the new total allows.",
        causes: "Jobs that are enqueued cannot be taken back.",
        remedy: "Ask for a total of at least the number in the message, or stop the run with `paceline run stop RUN`.",
    }
    RUN_STATE_FORBIDS = 1041, FailedPrecondition, "the state of the run does not allow this" {
        happened: "The run is in a state in which the change is not possible.",
        causes: "The run has ended, or is about to end, or waits for another change.",
        remedy: "A run that FAILED goes on with `paceline run resume RUN`, or ends with `paceline run stop RUN`. One \
            that COMPLETED or STOPPED does not go on: start a new one.",
    }
    RUN_NOT_DRAINED = 1042, FailedPrecondition, "the run still has jobs to do" {
        happened: "A run ends after its last job is counted, and jobs are left.",
        causes: "Workers are busy, or none is there.",
        remedy: "Wait, or start workers. `paceline run watch RUN` shows the jobs that are left.",
    }
    RUN_CHANGED_MEANWHILE = 1050, Aborted, "the run changed meanwhile" {
        happened: "Another change of the run came between.",
        causes: "Two callers change the run, or the run changes its state just now.",
        remedy: "Send the same request again.",
    }
    HANDLER_NAME_TOO_LONG = 1060, Unpublishable, "the handler of the run has too long a name" {
        happened: "No message can carry the name of the handler.",
        causes: "An older version accepted the run.",
        remedy: "Start a new run with a handler of this version.",
    }
    JOB_TOO_LARGE = 1061, Unpublishable, "a job of the run is larger than a message may be" {
        happened: "Payload, trace and names of a job together are above the limit of a message.",
        causes: "An older version accepted the payload.",
        remedy: "Start a new run with a smaller payload.",
    }
}
