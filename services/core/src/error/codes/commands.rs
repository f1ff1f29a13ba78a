//! Codes of the group 8: the commands of `paceline`.

use super::table::table;

table! {
    COMMAND_FAILED = 8000, Internal, "the command failed on this machine" {
        happened: "The command could not read or write something, or met an answer that it does not know.",
        causes: "The message has the words of the operating system.",
        remedy: "Correct what the message names, such as a path or the rights of a file.",
    }
    TRACE_NOT_FOUND = 8001, NotFound, "there is no such trace" {
        happened: "No trace of the job is kept where the command looked.",
        causes: "The job was not chosen for a trace, has not ended, its trace is old, or the traces are elsewhere.",
        remedy: "Raise `[traces] per_second`. Name the place with `--data-dir` or `--query-url`.",
    }
    TRACE_ID_INVALID = 8002, InvalidArgument, "the text is neither a job nor a trace" {
        happened: "The text is no id of a job and no id of a trace.",
        causes: "The id was cut off or typed by hand.",
        remedy: "Give RUN-SEQ, such as the `_id` of a document, or the 32 digits of a trace.",
    }
    TRACES_UNAVAILABLE = 8003, Unavailable, "the store of traces does not answer" {
        happened: "Jaeger, Tempo or the file of traces does not give an answer that can be used.",
        causes: "The store is not running, or the address is not that of its query API.",
        remedy: "Check `--query-url` with `curl`, and start the store.",
    }
    BENCH_BROKE = 8010, Internal, "the benchmark broke off" {
        happened: "A part of the benchmark ended or gave no answer that can be used.",
        causes: "A role ended while it was measured, or a run did not end as it should.",
        remedy: "Read the log above the message, and run `paceline doctor` before the next try.",
    }
    BENCH_NEEDS_LINUX = 8011, Internal, "the benchmark cannot measure this machine" {
        happened: "The benchmark reads /proc, and a file there is missing or looks different.",
        causes: "The system is not Linux, or a role ended meanwhile.",
        remedy: "Run the benchmark on Linux, and read the log above the message.",
    }
    BENCH_RUN_TAKEN = 8012, Aborted, "the run of the benchmark was taken away" {
        happened: "Another scheduler works on the run of the benchmark.",
        causes: "Something else uses the namespace of the benchmark.",
        remedy: "Stop the other process, and run the benchmark again.",
    }
    BENCH_TOO_SLOW = 8013, Unavailable, "a step of the benchmark took too long" {
        happened: "A step did not end within its time.",
        causes: "A service does not answer, or the machine is overloaded.",
        remedy: "Read the log above the message, and look at the services with `paceline doctor`.",
    }
    PLAN_INVALID = 8020, InvalidArgument, "a number of the plan is not valid" {
        happened: "An option of `paceline plan` is outside of its limits.",
        causes: "The message names each option and its limits.",
        remedy: "Correct the named options. `paceline plan --help` explains them.",
    }
    ROLE_NOT_SERVING = 8021, Unavailable, "a role answers that it does not serve" {
        happened: "The role runs, and its health says that it is not ready.",
        causes: "The role waits for a service, or is stopping.",
        remedy: "Read the log of the role, or its `/readyz`.",
    }
    ENDS_NOT_KEPT = 8022, Unavailable, "ends of runs are not kept in the sink yet" {
        happened: "Runs have ended, and the sink does not keep their ends.",
        causes: "No scheduler runs, or the sink does not take documents.",
        remedy: "Start a scheduler, and look at the sink. Schedulers try until the sink has the ends.",
    }
    CODE_UNKNOWN = 8030, NotFound, "there is no such code" {
        happened: "`paceline explain` got a text that is no code of this version.",
        causes: "The code has a typing error, or is of another version.",
        remedy: "Run `paceline explain` for the list of all codes.",
    }
}
