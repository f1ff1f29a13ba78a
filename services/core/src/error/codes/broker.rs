//! Codes of the group 3: the broker, its queues, and the messages on their way.

use super::table::table;

table! {
    BROKER_UNREACHABLE = 3001, Unavailable, "the broker cannot be reached" {
        happened: "No connection to the broker can be opened.",
        causes: "The broker is not running, the address is wrong, or the network between is down.",
        remedy: "Check with `paceline doctor`. Start the broker, or correct PACELINE_BROKER_URL.",
    }
    BROKER_CONNECTION_LOST = 3002, Unavailable, "the connection to the broker is lost" {
        happened: "An open connection or channel of the broker is of no use any more.",
        causes: "The broker was stopped, an operator closed the connection, or the network failed.",
        remedy: "Nothing, if it happens once: roles connect again by themselves. Otherwise look at the log of \
            RabbitMQ.",
    }
    BROKER_TIMEOUT = 3003, Unavailable, "the broker does not answer in time" {
        happened: "The broker took a request and gave no answer within the limit.",
        causes: "The broker is overloaded, or just chooses a new leader for a queue.",
        remedy: "Look at memory, disk and load with `rabbitmq-diagnostics status`.",
    }
    BROKER_LOGIN_REFUSED = 3004, FailedPrecondition, "the broker refuses the login" {
        happened: "RabbitMQ does not accept the user or the password.",
        causes: "The password is wrong, or the user does not exist. The user `guest` may log in only from the same \
            machine.",
        remedy: "Check with `rabbitmqctl authenticate_user USER PASSWORD`, and correct PACELINE_BROKER_URL.",
    }
    BROKER_VHOST_REFUSED = 3005, FailedPrecondition, "the broker refuses the vhost" {
        happened: "RabbitMQ has no such vhost, or does not let the user in.",
        causes: "The vhost was not made, or the user has no permissions there.",
        remedy: "Run `rabbitmqctl add_vhost VHOST` and `rabbitmqctl set_permissions -p VHOST USER \".*\" \".*\" \
            \".*\"`.",
    }
    BROKER_CONNECTION_REFUSED = 3006, FailedPrecondition, "the broker refuses the connection" {
        happened: "RabbitMQ closes the connection with a code that Paceline does not know.",
        causes: "A plugin or a policy of RabbitMQ does not allow the connection.",
        remedy: "Look at the log of RabbitMQ for the same moment.",
    }
    BROKER_NOT_AMQP = 3007, FailedPrecondition, "something other than RabbitMQ answers" {
        happened: "The program at the port does not speak AMQP 0-9-1.",
        causes: "The port is that of another service, such as the management page on 15672.",
        remedy: "Use the port of AMQP, which is 5672, or 5671 with `amqps://`.",
    }
    BROKER_CERTIFICATE_REFUSED = 3008, FailedPrecondition, "the certificate of the broker is not trusted" {
        happened: "TLS with the broker failed, because of its certificate or because the port speaks no TLS.",
        causes: "An authority that this machine does not know signed the certificate, or the URL has the wrong scheme.",
        remedy: "Name the file of the authority with PACELINE_CA_FILE, or use `amqp://` for a port without TLS.",
    }
    BROKER_PERMISSION_MISSING = 3009, FailedPrecondition, "the user may not do this on the broker" {
        happened: "RabbitMQ refuses an operation to the user.",
        causes: "The user has no permission to configure, write or read the named queue or exchange.",
        remedy: "Run `rabbitmqctl set_permissions -p VHOST USER \".*\" \".*\" \".*\"`.",
    }
    QUEUE_SETTINGS_DIFFER = 3010, FailedPrecondition, "the queue or exchange was made with other settings" {
        happened: "A queue or an exchange exists with settings that this version does not declare.",
        causes: "Another version or a person made it.",
        remedy: "Let the queue run empty, and delete it with `rabbitmqctl delete_queue NAME`. Delete an exchange in \
            the management of RabbitMQ. Then start a worker, which makes both.",
    }
    QUEUE_MISSING = 3011, NotFound, "the queue or exchange does not exist on the broker" {
        happened: "Nobody has declared the queue or the exchange yet, or somebody has deleted it.",
        causes: "No worker of the group has started yet.",
        remedy: "Start a worker of the queue and the group: it declares the queue and the exchange.",
    }
    QUEUE_GONE = 3012, Unavailable, "the queue is gone or not complete" {
        happened: "A queue, or a part of what belongs to it, was there before and is missing now.",
        causes: "Somebody deleted or moved the queue while roles used it.",
        remedy: "Wait a moment: a worker or producer declares the queue again when it connects. Restart a worker if \
            it does not.",
    }
    PUBLISH_NOT_CONFIRMED = 3013, Unavailable, "the broker did not confirm a publish" {
        happened: "Messages were sent, and the broker gave no confirmation for some of them.",
        causes: "The broker is overloaded or was stopped meanwhile.",
        remedy: "Nothing, if it happens once: the scheduler publishes the jobs again. Otherwise look at the load of \
            RabbitMQ.",
    }
    BROKER_BLOCKS_PUBLISHERS = 3014, Unavailable, "the broker blocks publishers" {
        happened: "RabbitMQ takes no publishes for now.",
        causes: "Memory or disk of RabbitMQ is beyond its alarm.",
        remedy: "Look with `rabbitmq-diagnostics alarms`, and free memory or disk. Publishing goes on by itself.",
    }
    QUEUE_FULL = 3015, ResourceExhausted, "the queue is full or about to stop" {
        happened: "The broker refused a message of a queue, and does not say why.",
        causes: "The queue has reached its length, as workers are slower than the runs, or its node is being stopped.",
        remedy: "Nothing, if it happens once: the message is published again. Otherwise start more workers, or lower \
            the rate with `paceline run update`. `paceline scale explain` says how many workers are needed.",
    }
    BROKER_BEHIND = 3016, ResourceExhausted, "the broker is behind with its confirmations" {
        happened: "The broker confirms more slowly than jobs are published.",
        causes: "The broker is at its limit.",
        remedy: "Lower the rate of the runs, or give the broker faster disks. `paceline plan` estimates what a rate \
            needs.",
    }
    CHANNELS_EXHAUSTED = 3017, ResourceExhausted, "all channels of the connection are in use" {
        happened: "Each consumer needs a channel, and RabbitMQ limits channels.",
        causes: "A worker has many consumers on one connection.",
        remedy: "Start fewer consumers with `--consumers`, or raise `channel_max` in the configuration of RabbitMQ.",
    }
    CHANNELS_TOO_FEW = 3018, FailedPrecondition, "the broker allows too few channels" {
        happened: "RabbitMQ allows fewer channels than a publisher needs.",
        causes: "`channel_max` is very low in the configuration of RabbitMQ.",
        remedy: "Raise `channel_max`, and restart RabbitMQ.",
    }
    DELIVERY_LOST = 3019, Aborted, "the delivery belongs to a channel that is gone" {
        happened: "A worker settled a message after the channel of the message had ended.",
        causes: "The connection broke, or the consumer was stopped.",
        remedy: "Nothing: the broker delivers the message again, and the document is stored once.",
    }
    MESSAGE_FIELD_TOO_LONG = 3020, InvalidArgument, "a field of a message is too long" {
        happened: "A text does not fit its place in a message.",
        causes: "A name is longer than this version allows.",
        remedy: "Use a shorter name for what the message names.",
    }
}
