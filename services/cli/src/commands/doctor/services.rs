//! Checks of broker and sink: each is reached as a whole, then its queues or its nodes one by one.

use futures::future::join_all;
use paceline_adapters::resolve;
use paceline_core::ErrorKind;
use paceline_core::clock::SystemClock;
use paceline_core::ports::Broker;
use paceline_runtime::settings::Settings;

use super::checkup::Check;
use super::reach::{unreached, within};
use crate::connections::{connections, must_exist};

/// The broker, then its queues. The broker is connected once and asked everything, because embedded files refuse a second opener.
pub async fn broker(settings: &Settings) -> Vec<Check> {
    let reached = within(async {
        must_exist(&settings.broker_url)?;
        let broker = resolve::broker(&connections(settings), SystemClock::shared()).await?;
        let what = broker.check().await?;
        Ok((broker, what))
    });
    match reached.await {
        Ok((broker, what)) => {
            let queues = settings.queues.keys().map(|queue| depth(&*broker, queue, &settings.group));
            let queues = join_all(queues).await;
            std::iter::once(Check::ok("broker", what).required()).chain(queues).collect()
        }
        Err(error) => {
            let skipped = |queue| Check::skipped(format!("queue {queue}"), "the broker was not reached");
            let queues = settings.queues.keys().map(skipped);
            std::iter::once(unreached("broker", &settings.broker_url, &error)).chain(queues).collect()
        }
    }
}

async fn depth(broker: &dyn Broker, queue: &str, group: &str) -> Check {
    let name = format!("queue {queue}");
    match within(broker.depth(queue, group)).await {
        Ok(depth) => {
            let unacked = depth.unacked.map_or("unknown".to_owned(), |count| count.to_string());
            Check::ok(
                name,
                format!("{} ready, {unacked} unacked, {} delayed, {} dead", depth.ready, depth.delayed, depth.dead),
            )
        }
        Err(error) if error.kind == ErrorKind::NotFound => {
            Check::skipped(name, "not there yet").with_remedy("the first worker or producer makes it")
        }
        Err(error) => Check::failed(name, &error, "if it is not there yet, the first worker or producer makes it"),
    }
}

/// The sink as a whole.
pub async fn sink(settings: &Settings) -> Check {
    let reached = within(async {
        must_exist(&settings.sink_url)?;
        resolve::sink(&connections(settings), SystemClock::shared()).await?.writer.check().await
    });
    match reached.await {
        Ok(what) => Check::ok("sink", what).required(),
        Err(error) => unreached("sink", &settings.sink_url, &error),
    }
}

/// Each node of a service that has several: a node that is away does not show in a service that others answer for.
pub async fn nodes(settings: &Settings) -> Vec<Check> {
    let nodes = resolve::nodes(&connections(settings), SystemClock::shared()).await;
    let one = |node: resolve::Node| {
        let name = format!("{} node {}", node.service, node.address);
        match node.answer {
            Ok(what) => Check::ok(name, what),
            Err(error) if error.kind == ErrorKind::Unavailable => {
                Check::failed(name, &error, "start it again; until then the others do its work")
            }
            Err(error) => Check::failed(name, &error, "see docs/clusters.md for what has to stand behind a URL"),
        }
    };
    nodes.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::checkup::Verdict;

    #[tokio::test]
    async fn a_data_folder_that_is_not_there_fails_and_is_not_made() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("data");
        let settings = Settings { sink_url: format!("embedded:{}", folder.display()), ..Settings::default() };
        let check = sink(&settings).await;
        assert_eq!((check.verdict, check.required, folder.exists()), (Verdict::Failed, true, false));
    }
}
