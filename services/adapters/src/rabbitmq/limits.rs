//! Bounds of a connection to RabbitMQ: each wait, and the sizes on which both sides agree.

use std::time::Duration;

use lapin::types::ChannelId;

/// The longest that connecting, logging in and opening the vhost may take together.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest that the broker may take to answer a request.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Both sides agree on it at most: Paceline takes a broker for dead after two heartbeats without a byte, and RabbitMQ a client after
/// two to three. So the jobs of a worker that was stopped or cut off go to others after 6 to 9 s.
pub const HEARTBEAT_S: u16 = 3;
pub const CHANNELS_MAX: ChannelId = 2047;
/// RabbitMQ's own limit. lapin has two buffers of 32 frames, so more would cost memory.
pub const FRAME_BYTES_MAX: u32 = 128 * 1024;
