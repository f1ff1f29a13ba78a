//! Shared by the cases: one test per backend, and handlers that a case steers.

use std::collections::BTreeMap;

use paceline_core::document::{Document, Status};
use paceline_core::ids::RunId;
use paceline_tests::Mesh;

/// Makes `embedded::<case>` and, with the services, `services::<case>` of each case.
macro_rules! both {
    ($($case:ident),+ $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() { super::$case(paceline_tests::Backend::Embedded).await })+
        }
        #[cfg(feature = "services")]
        mod services {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() { super::$case(paceline_tests::Backend::Services).await })+
        }
    };
}

/// Every document of a run, by seq.
pub async fn documents(mesh: &Mesh, run: &str) -> BTreeMap<u64, Document> {
    let sink = mesh.backends().await.sink;
    let run = RunId::parse(run).expect("a run id");
    let mut all = BTreeMap::new();
    let mut after = None;
    loop {
        let page = sink.reader.ids(&run, after.as_ref(), 1_000).await.expect("the sink answers");
        let Some(last) = page.last().cloned() else { return all };
        for stored in page {
            let document =
                sink.reader.get(&run, &stored.job_id).await.expect("the sink answers").expect("an id has a document");
            all.insert(stored.seq, document);
        }
        after = Some(last);
    }
}

pub fn status_of(documents: &BTreeMap<u64, Document>, status: Status) -> Vec<u64> {
    documents.iter().filter(|(_, document)| document.status == status).map(|(seq, _)| *seq).collect()
}

/// The environment that puts a process on the mesh's services, with a free admin port.
#[cfg(feature = "services")]
pub fn environment(mesh: &Mesh) -> [(&'static str, String); 5] {
    let at = &mesh.connections;
    [
        ("PACELINE_ADMIN", "127.0.0.1:0".to_owned()),
        ("PACELINE_BROKER_URL", at.broker_url.clone()),
        ("PACELINE_SINK_URL", at.sink_url.clone()),
        ("PACELINE_LEDGER_URL", at.ledger_url.clone()),
        ("PACELINE_NAMESPACE", at.namespace.clone()),
    ]
}

/// The values that a role names in its first line, such as its addresses.
#[cfg(feature = "services")]
pub async fn said(process: &mut paceline_tests::process::Process, which: &[&str]) -> Vec<String> {
    let line = process.json().await;
    which.iter().map(|name| line[name].as_str().unwrap_or_else(|| panic!("{name} in {line}")).to_owned()).collect()
}
