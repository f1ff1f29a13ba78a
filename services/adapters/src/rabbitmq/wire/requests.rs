//! What Paceline says: writes the methods of AMQP 0-9-1, each in its frame. The answers are in [`super::method`].

use super::codec::{put_long_string, put_short_string, put_table, put_u16, put_u32, put_u64};
use super::frame;

/// Writes the frame of a method, whose arguments `arguments` puts.
fn put(out: &mut Vec<u8>, channel: u16, (class, method): (u16, u16), arguments: impl FnOnce(&mut Vec<u8>)) {
    frame::put(out, frame::METHOD, channel, |out| {
        put_u16(out, class);
        put_u16(out, method);
        arguments(out);
    });
}

pub fn start_ok(out: &mut Vec<u8>, client: impl FnOnce(&mut Vec<u8>), user: &str, password: &str) {
    put(out, 0, (10, 11), |out| {
        put_table(out, client);
        put_short_string(out, "PLAIN");
        put_long_string(out, format!("\0{user}\0{password}").as_bytes());
        put_short_string(out, "en_US");
    });
}

pub fn tune_ok(out: &mut Vec<u8>, channels_max: u16, frame_bytes_max: u32, heartbeat_s: u16) {
    put(out, 0, (10, 31), |out| {
        put_u16(out, channels_max);
        put_u32(out, frame_bytes_max);
        put_u16(out, heartbeat_s);
    });
}

pub fn open(out: &mut Vec<u8>, vhost: &str) {
    put(out, 0, (10, 40), |out| {
        put_short_string(out, vhost);
        out.extend_from_slice(&[0, 0]);
    });
}

/// Closes the connection (channel 0) or a channel, for no fault.
pub fn close(out: &mut Vec<u8>, channel: u16) {
    let method = if channel == 0 { (10, 50) } else { (20, 40) };
    put(out, channel, method, |out| {
        put_u16(out, 200);
        put_short_string(out, "done");
        put_u32(out, 0);
    });
}

pub fn close_ok(out: &mut Vec<u8>, channel: u16) {
    put(out, channel, if channel == 0 { (10, 51) } else { (20, 41) }, |_| ());
}

pub fn channel_open(out: &mut Vec<u8>, channel: u16) {
    put(out, channel, (20, 10), |out| out.push(0));
}

pub fn channel_flow_ok(out: &mut Vec<u8>, channel: u16, active: bool) {
    put(out, channel, (20, 21), |out| out.push(u8::from(active)));
}

pub fn confirm_select(out: &mut Vec<u8>, channel: u16) {
    put(out, channel, (85, 10), |out| out.push(0));
}

/// A durable direct exchange.
pub fn exchange_declare(out: &mut Vec<u8>, channel: u16, exchange: &str) {
    const DURABLE: u8 = 0b10;
    put(out, channel, (40, 10), |out| {
        put_u16(out, 0);
        put_short_string(out, exchange);
        put_short_string(out, "direct");
        out.push(DURABLE);
        put_table(out, |_| ());
    });
}

/// Refused, with the channel, while something is bound to it.
pub fn exchange_delete_if_unused(out: &mut Vec<u8>, channel: u16, exchange: &str) {
    const IF_UNUSED: u8 = 0b1;
    put(out, channel, (40, 20), |out| {
        put_u16(out, 0);
        put_short_string(out, exchange);
        out.push(IF_UNUSED);
    });
}

/// A durable queue with its arguments.
pub fn queue_declare(out: &mut Vec<u8>, channel: u16, queue: &str, arguments: impl FnOnce(&mut Vec<u8>)) {
    const DURABLE: u8 = 0b10;
    put(out, channel, (50, 10), |out| {
        put_u16(out, 0);
        put_short_string(out, queue);
        out.push(DURABLE);
        put_table(out, arguments);
    });
}

/// Asks about a queue without making it.
pub fn queue_declare_passive(out: &mut Vec<u8>, channel: u16, queue: &str) {
    const PASSIVE: u8 = 0b1;
    put(out, channel, (50, 10), |out| {
        put_u16(out, 0);
        put_short_string(out, queue);
        out.push(PASSIVE);
        put_table(out, |_| ());
    });
}

pub fn queue_bind(out: &mut Vec<u8>, channel: u16, queue: &str, exchange: &str, routing_key: &str) {
    put(out, channel, (50, 20), |out| {
        put_u16(out, 0);
        put_short_string(out, queue);
        put_short_string(out, exchange);
        put_short_string(out, routing_key);
        out.push(0);
        put_table(out, |_| ());
    });
}

pub fn queue_purge(out: &mut Vec<u8>, channel: u16, queue: &str) {
    put(out, channel, (50, 30), |out| {
        put_u16(out, 0);
        put_short_string(out, queue);
        out.push(0);
    });
}

pub fn queue_delete(out: &mut Vec<u8>, channel: u16, queue: &str) {
    put(out, channel, (50, 40), |out| {
        put_u16(out, 0);
        put_short_string(out, queue);
        out.push(0);
    });
}

/// Per consumer, for the consumers that this channel starts from now on.
pub fn qos(out: &mut Vec<u8>, channel: u16, prefetch: u16) {
    put(out, channel, (60, 10), |out| {
        put_u32(out, 0);
        put_u16(out, prefetch);
        out.push(0);
    });
}

pub fn consume(out: &mut Vec<u8>, channel: u16, queue: &str, consumer: &str) {
    put(out, channel, (60, 20), |out| {
        put_u16(out, 0);
        put_short_string(out, queue);
        put_short_string(out, consumer);
        out.push(0);
        put_table(out, |_| ());
    });
}

pub fn cancel(out: &mut Vec<u8>, channel: u16, consumer: &str) {
    put(out, channel, (60, 30), |out| {
        put_short_string(out, consumer);
        out.push(0);
    });
}

pub fn get(out: &mut Vec<u8>, channel: u16, queue: &str) {
    put(out, channel, (60, 70), |out| {
        put_u16(out, 0);
        put_short_string(out, queue);
        out.push(0);
    });
}

/// The method frame of a mandatory publish; header and body frames follow it.
pub fn publish(out: &mut Vec<u8>, channel: u16, exchange: &str, routing_key: &str) {
    const MANDATORY: u8 = 0b1;
    put(out, channel, (60, 40), |out| {
        put_u16(out, 0);
        put_short_string(out, exchange);
        put_short_string(out, routing_key);
        out.push(MANDATORY);
    });
}

pub fn ack(out: &mut Vec<u8>, channel: u16, tag: u64, multiple: bool) {
    put(out, channel, (60, 80), |out| {
        put_u64(out, tag);
        out.push(u8::from(multiple));
    });
}

pub fn nack_requeue(out: &mut Vec<u8>, channel: u16, tag: u64) {
    const REQUEUE: u8 = 0b10;
    put(out, channel, (60, 120), |out| {
        put_u64(out, tag);
        out.push(REQUEUE);
    });
}
