//! Codes of the group 2: settings, the start of a role, and what a role uses of its machine.

use super::table::table;

table! {
    SETTINGS_FILE_MISSING = 2001, NotFound, "the settings file is not there" {
        happened: "The file that `--config` or PACELINE_CONFIG names does not exist.",
        causes: "The path has a typing error, or the command runs in another folder.",
        remedy: "Correct the path, or leave it out to use `paceline.toml` and the variables alone.",
    }
    SETTINGS_INVALID = 2002, InvalidArgument, "a setting is not valid" {
        happened: "The settings file, a PACELINE_ variable or a flag has a value that cannot work.",
        causes: "The message names each setting and its rule.",
        remedy: "Correct the named settings. `paceline.example.toml` explains all of them.",
    }
    ADDRESS_INVALID = 2003, InvalidArgument, "the text is not an address" {
        happened: "An address cannot be used as it is written.",
        causes: "The scheme or the port is missing, or a character is not allowed.",
        remedy: "Write the address as the message shows, such as `http://127.0.0.1:50051`.",
    }
    SERVICE_URL_INVALID = 2004, InvalidArgument, "the URL of a service is not valid" {
        happened: "The URL of the broker, the sink or the ledger cannot be used as it is written.",
        causes: "A part is missing, or a character of the password is not percent-encoded.",
        remedy: "Write the URL as the message shows. Percent-encode special characters of user and password.",
    }
    CA_FILE_UNUSABLE = 2005, InvalidArgument, "the CA file cannot be used" {
        happened: "The file with the certificates of the trusted authority cannot be read.",
        causes: "The path is wrong, the role may not read the file, or the file has no certificate in PEM format.",
        remedy: "Correct `ca_file` of the settings (PACELINE_CA_FILE), and check the file with `openssl x509 -in FILE \
            -noout -text`.",
    }
    LOG_FILTER_INVALID = 2006, InvalidArgument, "the filter of the log is not valid" {
        happened: "The text is no filter in the syntax of RUST_LOG.",
        causes: "A level has a typing error, or the text is too long.",
        remedy: "Use a level, such as `info`, or pairs such as `paceline_worker=debug,warn`.",
    }
    LOG_NOT_CHANGEABLE = 2007, FailedPrecondition, "the log of this process cannot be changed" {
        happened: "The process has no log of its own.",
        causes: "A program that embeds the role writes the log.",
        remedy: "Change the log in that program.",
    }
    ADMIN_ADDRESS_INVALID = 2008, InvalidArgument, "the address of the admin port is not valid" {
        happened: "The text is no place for an admin port, or several workers would share one place.",
        causes: "The host is a name instead of an address, or a fixed port is given for more than one worker.",
        remedy: "Write `HOST:PORT` such as `127.0.0.1:9464`, a HOST alone, or `off`.",
    }
    ADMIN_OFF = 2009, FailedPrecondition, "the admin port is off" {
        happened: "The command asks the admin port of a role, and the settings turn that port off.",
        causes: "PACELINE_ADMIN or `admin` of the settings file is `off`.",
        remedy: "Set PACELINE_ADMIN to HOST:PORT for the role and for the command.",
    }
    PORT_UNUSABLE = 2010, Unavailable, "the port cannot be used" {
        happened: "The role cannot listen on its address.",
        causes: "Another process has the port, or the machine does not have the address.",
        remedy: "Stop the other process, or choose another port. Port 0 takes a free one.",
    }
    SERVER_ENDED = 2011, Unavailable, "a server inside the role ended" {
        happened: "The role stopped to serve gRPC or its admin port.",
        causes: "The operating system closed the socket or has no file descriptors left.",
        remedy: "Read the log before this message, raise the limit of open files if it is low, and start the role \
            again.",
    }
    DATA_FOLDER_MISSING = 2012, NotFound, "the data folder is not there" {
        happened: "The command reads the data of `paceline dev`, and the folder does not exist.",
        causes: "Nothing ran with this folder yet, or `--data-dir` names another one.",
        remedy: "Start `paceline dev` first, or name its folder with `--data-dir`.",
    }
    DATA_FOLDER_UNUSABLE = 2013, Unavailable, "the data folder cannot be used" {
        happened: "The folder or a file in it cannot be made, opened, locked or written.",
        causes: "The role may not write there, the file system is read-only, the disk is full, or the folder was moved away.",
        remedy: "Give the user of the role the right to write, free some space, or choose another folder with \
            `--data-dir`. Restart the role if its folder was moved.",
    }
    DATA_FOLDER_IN_USE = 2014, FailedPrecondition, "another process uses the data folder" {
        happened: "One process at a time may use a data folder.",
        causes: "Another `paceline dev` runs with the same folder.",
        remedy: "Stop the other process, or choose another folder with `--data-dir`.",
    }
    DATABASE_BUSY = 2015, Unavailable, "the embedded database cannot write now" {
        happened: "The disk did not take what the embedded database wrote.",
        causes: "The disk is full, another program holds the file, or the disk has an error.",
        remedy: "Free some space, look at the disk with `df` and `dmesg`, and try again.",
    }
    DATABASE_CLOSED = 2016, Unavailable, "the embedded database is closed" {
        happened: "The process is ending, and the database takes no more work.",
        causes: "A call came after the stop of the process began.",
        remedy: "Try again after the next start.",
    }
    HOST_NOT_RESOLVED = 2017, Unavailable, "the name of a host does not resolve" {
        happened: "DNS answers no address for the name of a host.",
        causes: "The name has a typing error, DNS does not answer, or no process stands behind the name now.",
        remedy: "Ask with `getent hosts NAME` on the same machine, and correct the name or DNS.",
    }
    NODES_OF_TWO_CLUSTERS = 2018, FailedPrecondition, "the URL names nodes of two clusters" {
        happened: "Two nodes of one URL belong to different clusters.",
        causes: "The address of one node is that of another installation.",
        remedy: "Remove the node that does not belong, or correct its address.",
    }
    TELEMETRY_NOT_TAKEN = 2019, Unavailable, "the collector takes no telemetry" {
        happened: "The collector of traces or metrics does not answer or refuses.",
        causes: "The collector is not running, or the endpoint is that of another port.",
        remedy: "Check `[traces] endpoint` and `[metrics] endpoint`, and the log of the collector. Runs go on \
            meanwhile.",
    }
}
