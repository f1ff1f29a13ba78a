//! Codes of the group 9: bugs of Paceline.

use super::table::table;

table! {
    INTERNAL = 9000, Internal, "Paceline has a bug" {
        happened: "Paceline met a state that its own rules exclude.",
        causes: "This is a bug of Paceline.",
        remedy: "Report the message, the output of `paceline --version` and the log around the moment. Restart the \
            role if it stands still.",
    }
}
