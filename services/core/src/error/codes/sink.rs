//! Codes of the group 4: the sink, which stores the documents.

use super::table::table;

table! {
    SINK_UNREACHABLE = 4001, Unavailable, "the sink does not answer" {
        happened: "No node of Elasticsearch answers, or not in time.",
        causes: "Elasticsearch is not running, is overloaded, or the address is wrong.",
        remedy: "Check with `paceline doctor`. Start Elasticsearch, or correct PACELINE_SINK_URL.",
    }
    SINK_CREDENTIALS_REFUSED = 4002, Unavailable, "the sink refuses the credentials" {
        happened: "Elasticsearch does not accept the user, or the user lacks a privilege.",
        causes: "The password is wrong, or the role of the user does not cover the indices of the namespace.",
        remedy: "Correct user and password in PACELINE_SINK_URL, and let the user manage, read and write the indices \
            of the namespace.",
    }
    SINK_OVERLOADED = 4003, Unavailable, "the sink cannot answer now" {
        happened: "Elasticsearch answers that it cannot do the request now.",
        causes: "Elasticsearch is overloaded, starts, or has no quorum.",
        remedy: "Look at the health with `paceline doctor` and at the log of Elasticsearch. Workers try again by \
            themselves.",
    }
    SINK_REFUSES_REQUEST = 4004, Internal, "the sink refuses a request" {
        happened: "Elasticsearch answers that the request is wrong.",
        causes: "The address belongs to another product or to another version, or Paceline has a bug.",
        remedy: "Check that PACELINE_SINK_URL leads to Elasticsearch 8 or 9. Otherwise report the message as a bug.",
    }
    SINK_ANSWER_UNREADABLE = 4005, Internal, "the answer of the sink cannot be read" {
        happened: "The answer is not what Elasticsearch answers.",
        causes: "A proxy or another product answers at the address.",
        remedy: "Check that PACELINE_SINK_URL leads to Elasticsearch 8 or 9, and no proxy changes the answers.",
    }
    SINK_CLIENT_NOT_BUILT = 4006, FailedPrecondition, "the client of the sink cannot be made" {
        happened: "The settings of the connection to Elasticsearch cannot be used.",
        causes: "The CA file cannot be read or has no certificate in PEM format.",
        remedy: "Correct `ca_file` of the settings (PACELINE_CA_FILE), and check the file with `openssl x509 -in FILE \
            -noout -text`.",
    }
    SINK_INCOMPLETE = 4007, Unavailable, "the sink did a part of a request" {
        happened: "Elasticsearch answered for some documents or shards, and not for all.",
        causes: "A shard is away, or a node was stopped meanwhile.",
        remedy: "Look at the health with `paceline doctor`. Workers and checks try again by themselves.",
    }
    STORED_DATA_UNREADABLE = 4008, Internal, "stored data of a run cannot be read or written" {
        happened: "A document, or what is kept of a run, is not in the form that this version writes.",
        causes: "Somebody changed it by hand, another version wrote it, or Paceline has a bug.",
        remedy: "Use the version that wrote the data. Otherwise report the message as a bug.",
    }
}
