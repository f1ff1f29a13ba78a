//! Cases about listing a run's ids: order, pages, completeness.

use super::harness::SinkHarness;
use super::support::{all_ids, dead, document, documents, get, new_run, store, stored_id};
use crate::document::Document;
use crate::ports::documents::StoredId;

pub async fn ids_come_in_order_and_pages(harness: &mut impl SinkHarness) {
    let sink = harness.sink();
    let run = new_run();
    // 9, 10 and 100 tell the order of numbers from the order of letters.
    let seqs = [100, 3, 9, 0, 10, 5, 1 << 40, 4];
    let batch: Vec<Document> = seqs.map(|seq| if seq == 5 { dead(&run, seq) } else { document(&run, seq) }).into();
    store(&sink, &batch).await;

    let mut expected: Vec<StoredId> = batch.iter().map(stored_id).collect();
    expected.sort_by_key(|id| id.seq);
    for limit in [1, 3, 8, 10_000] {
        assert_eq!(all_ids(&sink, &run, limit).await, expected, "limit {limit}");
    }
}

pub async fn ids_list_a_run_whole(harness: &mut impl SinkHarness) {
    let sink = harness.sink();
    let run = new_run();
    let batch = documents(&run, 0..2_500);
    store(&sink, &batch).await;
    let expected: Vec<StoredId> = batch.iter().map(stored_id).collect();
    assert_eq!(all_ids(&sink, &run, 1_000).await, expected);
}

pub async fn ids_tell_foreign_job_ids(harness: &mut impl SinkHarness) {
    let sink = harness.sink();
    let run = new_run();
    let foreign = |job_id: &str, seq| Document { job_id: job_id.into(), ..document(&run, seq) };
    let strange = "../ä?#%2F \"\u{1F680}\" a:b";
    let batch = [
        document(&run, 6),
        foreign("zzz", 7),
        document(&run, 7),
        foreign("!first", 7),
        foreign(strange, 7),
        document(&run, 8),
    ];
    store(&sink, &batch).await;
    store(&sink, &batch).await;

    let mut expected: Vec<StoredId> = batch.iter().map(stored_id).collect();
    expected.sort_by(|a, b| (a.seq, &a.job_id).cmp(&(b.seq, &b.job_id)));
    for limit in [1, 2, 100] {
        assert_eq!(all_ids(&sink, &run, limit).await, expected, "limit {limit}");
    }
    for document in &batch {
        assert_eq!(get(&sink, document).await.as_ref(), Some(document));
    }

    // A foreign id that moves to another seq with a newer attempt is still one document.
    let moved = Document { attempts: 2, ..foreign("zzz", 9) };
    store(&sink, std::slice::from_ref(&moved)).await;
    assert_eq!(all_ids(&sink, &run, 100).await.iter().filter(|id| id.job_id == "zzz").count(), 1);
    assert_eq!(get(&sink, &moved).await, Some(moved));
    assert!(sink.writer.delete(&run, strange).await.expect("delete answers"));
}
