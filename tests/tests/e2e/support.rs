//! What the cases share: one test per backend, and handlers that a case steers.

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
        let page = sink.ids(&run, after.as_ref(), 1_000).await.expect("the sink answers");
        let Some(last) = page.last().cloned() else { return all };
        for stored in page {
            let document =
                sink.get(&run, &stored.job_id).await.expect("the sink answers").expect("an id has a document");
            all.insert(stored.seq, document);
        }
        after = Some(last);
    }
}

pub fn status_of(documents: &BTreeMap<u64, Document>, status: Status) -> Vec<u64> {
    documents.iter().filter(|(_, document)| document.status == status).map(|(seq, _)| *seq).collect()
}
