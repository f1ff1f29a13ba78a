//! Checks of broker and sink: each is reached as a whole, then its queues or its nodes one by one.

use futures::future::join_all;
use paceline_adapters::resolve;
use paceline_core::ErrorKind;
use paceline_core::clock::SystemClock;
use paceline_core::ports::Broker;
use paceline_runtime::settings::Settings;

use super::checkup::DoctorCheck;
use super::reach::{unreached, within};
use crate::connections::must_exist;

/// The broker, then its queues. The broker is connected once and asked everything, because embedded files refuse a second opener.
pub async fn broker(settings: &Settings) -> Vec<DoctorCheck> {
    let reached = within(async {
        must_exist(&settings.broker_url)?;
        let broker = resolve::broker(&settings.connections(), SystemClock::shared()).await?;
        let what = broker.check().await?;
        Ok((broker, what))
    });
    match reached.await {
        Ok((broker, what)) => {
            let queues = settings.queues.keys().map(|queue| depth(&*broker, queue, &settings.group));
            let queues = join_all(queues).await;
            std::iter::once(DoctorCheck::ok("broker", what).required()).chain(queues).collect()
        }
        Err(error) => {
            let skipped = |queue| DoctorCheck::skipped(format!("queue {queue}"), "the broker was not reached");
            let queues = settings.queues.keys().map(skipped);
            std::iter::once(unreached("broker", &settings.broker_url, &error)).chain(queues).collect()
        }
    }
}

async fn depth(broker: &dyn Broker, queue: &str, group: &str) -> DoctorCheck {
    let name = format!("queue {queue}");
    match within(broker.depth(queue, group)).await {
        Ok(depth) => {
            let unacked = depth.unacked.map_or("unknown".to_owned(), |count| count.to_string());
            DoctorCheck::ok(
                name,
                format!("{} ready, {unacked} unacked, {} delayed, {} dead", depth.ready, depth.delayed, depth.dead),
            )
        }
        Err(error) if error.kind == ErrorKind::NotFound => {
            DoctorCheck::skipped(name, "not there yet").with_remedy("the first worker or producer makes it")
        }
        Err(error) => {
            DoctorCheck::failed(name, &error, "if it is not there yet, the first worker or producer makes it")
        }
    }
}

/// The sink as a whole.
pub async fn sink(settings: &Settings) -> DoctorCheck {
    let reached = within(async {
        must_exist(&settings.sink_url)?;
        resolve::sink(&settings.connections(), SystemClock::shared()).await?.writer.check().await
    });
    match reached.await {
        Ok(what) => DoctorCheck::ok("sink", what).required(),
        Err(error) => unreached("sink", &settings.sink_url, &error),
    }
}

/// Each node of a service that has several: a node that is away does not show in a service that others answer for.
pub async fn nodes(settings: &Settings) -> Vec<DoctorCheck> {
    let nodes = resolve::nodes(&settings.connections(), SystemClock::shared()).await;
    let one = |node: resolve::ServiceNode| {
        let name = format!("{} node {}", node.service, node.address);
        match node.answer {
            Ok(what) => DoctorCheck::ok(name, what),
            Err(error) if error.kind == ErrorKind::Unavailable => {
                DoctorCheck::failed(name, &error, "start it again; until then the others do its work")
            }
            Err(error) => DoctorCheck::failed(name, &error, "see docs/clusters.md for what has to stand behind a URL"),
        }
    };
    nodes.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::checkup::CheckVerdict;

    #[tokio::test]
    async fn a_data_folder_that_is_not_there_fails_and_is_not_made() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("data");
        let settings = Settings { sink_url: format!("embedded:{}", folder.display()), ..Settings::default() };
        let check = sink(&settings).await;
        assert_eq!((check.verdict, check.required, folder.exists()), (CheckVerdict::Failed, true, false));
    }
}
