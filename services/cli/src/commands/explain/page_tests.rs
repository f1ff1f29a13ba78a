//! docs/errors.md is made from the table of codes: `make errors-page` writes it, and the test says when it is not up to date.

use std::path::Path;

use super::*;

const PAGE: &str = "docs/errors.md";
/// Set to write the page instead of comparing it.
const WRITE: &str = "WRITE_ERRORS_PAGE";

const HEAD: &str = "\
# Errors

Each error that a user can meet has a code of the form `PL-nnnn`. A code keeps its meaning: its number is never given to another
error. `paceline explain PL-1040` shows an entry of this page on the command line, without any settings and any service.

Where a code is found:

* a command that fails prints `error[PL-1040]: …` to stderr, and ends with the exit code of the entry. An option that the command
  line does not know is answered with its usage and has no code;
* `paceline doctor` shows the code in the line of a check that failed, and as the field `code` with `--json`. `paceline health` shows
  the code where no admin port can be asked. The exit code of both is that of their verdict, whatever the code of the error is;
* a role that waits for a service writes the field `code` to its log, beside `error`;
* gRPC: the details of the status have a `google.rpc.ErrorInfo` with `reason: \"PL-1040\"` and `domain: \"paceline\"`, beside
  `google.rpc.BadRequest` with the fields and `google.rpc.RetryInfo` with the time to wait, where there are any. The `metadata` has the
  `code` once more, and the `kind` of the error, such as `failed_precondition`. An error of the kind `unpublishable` (PL-1005, PL-1060,
  PL-1061) has `reason: \"UNPUBLISHABLE\"`, and its code in the metadata alone;
* HTTP of the admin port: an error is a line that starts with its code. A path or a method that the port does not have is answered with
  404 or 405 and no code. `/readyz` answers with JSON, which has the reasons and no codes.

The exit code of an entry is that of a command that ends with the error. Many errors are met only in the log of a role, in `/readyz` or in
`paceline doctor`: they end no command.

The first number says what the error is about. Programs decide by the gRPC code or the exit code, and use the code to tell errors of one
kind apart. An error that says nothing more than its kind has a general code: PL-1000 to PL-1005, PL-6000 and PL-9000.

This page is made from the table in `services/core/src/error/codes/` by `make errors-page`. Change the table instead of the page.
";

const GROUPS: [&str; 9] = [
    "Requests and runs",
    "Settings and the start of a role",
    "The broker",
    "The sink",
    "The ledger",
    "Schedulers, producers and workers",
    "Protocol, versions and security",
    "Commands",
    "Bugs",
];

fn page() -> String {
    let mut page = HEAD.to_owned();
    for (group, heading) in (1..).zip(GROUPS) {
        page.push_str(&format!("\n## {heading}\n"));
        codes::all().filter(|code| code.number / 1_000 == group).for_each(|code| page.push_str(&entry(code)));
    }
    page
}

/// The anchor stays when the title changes, so the heading is the code alone.
fn entry(code: &'static Code) -> String {
    let Explained { code, title, kind, grpc_code, exit_code, happened, causes, remedy } = code.into();
    format!(
        "\n### {code}\n\n**{title}** (kind `{kind}`, gRPC `{grpc_code}`, exit code {exit_code})\n\n\
         * What happened: {happened}\n* Possible causes: {causes}\n* What to do: {remedy}\n"
    )
}

#[test]
fn the_page_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(PAGE);
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, page()).unwrap_or_else(|e| panic!("{PAGE}: {e}"));
    }
    let found = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{PAGE}: {e}; run `make errors-page`"));
    assert!(found == page(), "{PAGE} is not the table; run `make errors-page`");
}
