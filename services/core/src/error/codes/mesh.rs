//! Codes of the group 7: protocol, versions and security.

use super::table::table;

table! {
    PROTOCOL_DIFFERS = 7001, FailedPrecondition, "the mesh has another protocol" {
        happened: "Roles of a mesh share one protocol, and this build has another one.",
        causes: "The version of this role is older or newer than that of the mesh.",
        remedy: "Follow docs/operations/upgrade.md: use the version of the mesh, or take its protocol over with \
            `paceline doctor --adopt-protocol`.",
    }
    PRODUCER_PROTOCOL_DIFFERS = 7002, FailedPrecondition, "producer and scheduler have two protocols" {
        happened: "The producer refuses the calls of a scheduler of another protocol.",
        causes: "The two roles have different versions.",
        remedy: "Give both one version. docs/operations/upgrade.md shows the order.",
    }
    PROTOCOL_NUMBER_INVALID = 7003, InvalidArgument, "the number of the protocol is not valid" {
        happened: "The metadata of the call has no number of a protocol.",
        causes: "The caller is no scheduler of Paceline.",
        remedy: "Leave the metadata to the scheduler.",
    }
    PROTOCOL_STILL_USED = 7004, FailedPrecondition, "the old protocol is still in use" {
        happened: "Runs or roles of the other protocol are left, so this protocol cannot be adopted.",
        causes: "Runs have not ended, or roles are alive or were killed less than 10 s ago.",
        remedy: "Let the runs end and stop all roles. Then run `paceline doctor --adopt-protocol` again.",
    }
    PROTOCOL_ADOPTED_MEANWHILE = 7005, Aborted, "another process adopted a protocol meanwhile" {
        happened: "The protocol of the mesh changed while the command ran.",
        causes: "A role or a second command wrote it.",
        remedy: "Look with `paceline doctor`, and decide again.",
    }
    SCHEDULER_NEWER = 7006, Internal, "the scheduler answers something that is unknown here" {
        happened: "The answer has a value that this version does not know.",
        causes: "The scheduler is of a newer version.",
        remedy: "Use the version of the scheduler for the command.",
    }
    TOKEN_WEAK = 7010, InvalidArgument, "the token cannot be used" {
        happened: "PACELINE_TOKEN is too short, is the text of an example, or is not printable ASCII.",
        causes: "The token was copied from an example.",
        remedy: "Make one with `openssl rand -hex 32`, and give the same one to all roles.",
    }
    TOKEN_REQUIRED = 7011, FailedPrecondition, "the address needs a token" {
        happened: "Other machines reach the address, and no token protects it.",
        causes: "PACELINE_TOKEN is not set, and the role listens beyond loopback.",
        remedy: "Set PACELINE_TOKEN, listen on 127.0.0.1, or say `--allow-anonymous`, which lets nobody change the log.",
    }
    TOKEN_REFUSED = 7012, Internal, "the server refuses the token" {
        happened: "The call carries no token, or another one than the server has. The status of gRPC is \
            UNAUTHENTICATED.",
        causes: "PACELINE_TOKEN differs between the caller and the server.",
        remedy: "Set PACELINE_TOKEN of the caller to that of the server.",
    }
}
