//! Producers whose addresses come and go with a name, on paused time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex as StdMutex;

use paceline_core::ErrorKind;
use paceline_runtime::lifecycle::Shutdown;

use super::*;

const NAME: &str = "http://producer:50052";
const OTHER: &str = "http://10.0.0.9:50052";
/// New addresses must be used within this.
const KNOWN_WITHIN: Duration = Duration::from_secs(10);
/// Longer than anything that a test waits for.
const ENDLESS: Duration = Duration::from_secs(600);

/// The name's answer now: addresses, a failure, or no answer at all.
#[derive(Clone)]
enum Dns {
    Has(Vec<u8>),
    Fails,
    IsSilent,
}

struct Names(StdMutex<Dns>);

impl Names {
    fn set(&self, dns: Dns) {
        *self.0.lock().unwrap() = dns;
    }
}

#[async_trait]
impl Resolver for Names {
    async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>> {
        assert_eq!(host, "producer");
        loop {
            match self.0.lock().unwrap().clone() {
                Dns::Has(last) => {
                    return Ok(last.iter().map(|last| SocketAddr::from(([10, 0, 0, *last], port))).collect());
                }
                Dns::Fails => return Err(Error::unavailable("SERVFAIL")),
                Dns::IsSilent => (),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// A machine that publishes, unless it hangs; a machine that hangs on ranges may be well by its own word.
#[derive(Default)]
struct Machine {
    calls: AtomicUsize,
    hangs: std::sync::atomic::AtomicBool,
    is_dead: std::sync::atomic::AtomicBool,
}

#[async_trait]
impl RangePublisher for Machine {
    async fn publish(&self, _: &RunId, _: &Range, _: Sampling) -> Result<String> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if self.hangs.load(Ordering::Relaxed) || self.is_dead.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        Ok("machine".into())
    }

    async fn depth(&self, _: &RunId) -> Result<Depth> {
        Ok(Depth::default())
    }
}

#[async_trait]
impl Health for Machine {
    async fn check(&self) -> Result<()> {
        if self.is_dead.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(800)).await;
            return Err(Error::unavailable("no answer to a health check"));
        }
        Ok(())
    }
}

/// Producers of some entries, the DNS that they ask, and all machines that they ever connected to, by address.
struct Stage {
    producers: Producers,
    dns: Arc<Names>,
    machines: Arc<StdMutex<BTreeMap<String, Arc<Machine>>>>,
    shutdown: Shutdown,
}

fn stage(entries: &[&str], dns: Dns) -> Stage {
    let (dns, machines) = (Arc::new(Names(StdMutex::new(dns))), Arc::<StdMutex<BTreeMap<_, Arc<Machine>>>>::default());
    let entries = entries.iter().map(|entry| Entry::parse(entry).unwrap()).collect();
    let known = machines.clone();
    let connect = move |place: &Place| {
        let machine = known.lock().unwrap().entry(place.address.clone()).or_default().clone();
        Ok((machine.clone() as Arc<dyn RangePublisher>, machine as Arc<dyn Health>))
    };
    let producers = Producers::at(dns.clone(), entries, Box::new(connect)).unwrap();
    Stage { producers, dns, machines, shutdown: Shutdown::new() }
}

impl Stage {
    fn machine(&self, last: u8) -> Arc<Machine> {
        self.machines.lock().unwrap().entry(format!("http://10.0.0.{last}:50052")).or_default().clone()
    }

    fn calls(&self, last: u8) -> usize {
        self.machine(last).calls.load(Ordering::Relaxed)
    }

    async fn publish(&self) -> Result<String> {
        let range = Range { first: 0, count: 1, scheduled_at_ms: 0 };
        self.producers
            .publish(&RunId::parse("some-run").unwrap(), &range, Ask::Range { bytes: 300 }, Sampling::NONE)
            .await
    }

    async fn publish_all(&self, count: usize) {
        for _ in 0..count {
            self.publish().await.unwrap();
        }
    }

    fn addresses(&self) -> Vec<String> {
        self.producers.members().iter().map(|member| member.name.clone()).collect()
    }

    /// Plays `story` beside the probes.
    async fn play(&self, story: impl Future<Output = ()>) {
        let both = async {
            tokio::select! {
                biased;
                () = story => (),
                () = self.producers.probe(self.shutdown.clone()) => unreachable!("nobody stops them"),
            }
        };
        tokio::time::timeout(ENDLESS, both).await.expect("nothing hangs for ever");
    }
}

#[tokio::test(start_paused = true)]
async fn all_addresses_of_a_name_are_used_and_new_ones_within_ten_seconds() {
    let stage = stage(&[NAME], Dns::Has(vec![1, 2]));
    stage
        .play(async {
            stage.publish_all(100).await;
            assert_eq!((stage.calls(1), stage.calls(2)), (50, 50));
            stage.dns.set(Dns::Has(vec![3, 1, 2]));
            tokio::time::sleep(KNOWN_WITHIN).await;
            stage.publish_all(90).await;
            assert_eq!((stage.calls(1), stage.calls(2), stage.calls(3)), (80, 80, 30));
            assert_eq!(stage.producers.counts(), (3, 3));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn one_that_is_gone_gets_no_more_ranges_and_what_hangs_there_goes_to_another() {
    let stage = stage(&[NAME], Dns::Has(vec![1]));
    stage
        .play(async {
            stage.publish_all(1).await;
            stage.machine(1).hangs.store(true, Ordering::Relaxed);
            let begun = Instant::now();
            let moving = async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                stage.dns.set(Dns::Has(vec![2]));
                stage.machine(1).is_dead.store(true, Ordering::Relaxed);
            };
            // The range fails at the one that is gone; whoever sends it sends it again.
            let sending = async { while stage.publish().await.is_err() {} };
            tokio::join!(sending, moving);
            assert!(begun.elapsed() <= Duration::from_secs(1) + KNOWN_WITHIN, "{:?}", begun.elapsed());
            assert_eq!(stage.calls(2), 1);
            tokio::time::sleep(KNOWN_WITHIN).await;
            assert_eq!(stage.addresses(), ["http://10.0.0.2:50052"]);
            let before = stage.calls(1);
            stage.publish_all(20).await;
            assert_eq!((stage.calls(1), stage.calls(2)), (before, 21));
        })
        .await;
}

/// A range on its way to a producer that stops in order arrives there, and nobody publishes it twice, however slow the broker is.
#[tokio::test(start_paused = true)]
async fn a_call_to_one_that_is_gone_and_well_ends_where_it_is() {
    let stage = stage(&[NAME], Dns::Has(vec![1]));
    stage
        .play(async {
            stage.publish_all(1).await;
            let member = stage.producers.members()[0].clone();
            let slow = |seconds| {
                member.call(Ask::Question, move |_| async move {
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                    Ok(7)
                })
            };
            let leaving = async {
                stage.dns.set(Dns::Has(vec![2]));
                tokio::time::sleep(KNOWN_WITHIN).await;
                assert_eq!(stage.addresses(), ["http://10.0.0.2:50052"]);
            };
            let (twelve, thirty, ()) = tokio::join!(slow(12), slow(30), leaving);
            assert_eq!((twelve.unwrap().unwrap(), thirty.unwrap().unwrap()), (7, 7));
            assert_eq!(member.call(Ask::Question, |_| async { Ok(7) }).await.unwrap_err(), Turned::LeftOut);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn one_that_comes_back_soon_is_the_same_with_its_breaker_and_window() {
    let stage = stage(&[NAME], Dns::Has(vec![1]));
    let moved = async |last: u8| {
        stage.dns.set(Dns::Has(vec![last]));
        tokio::time::sleep(KNOWN_WITHIN).await;
        assert_eq!(stage.addresses(), [format!("http://10.0.0.{last}:50052")]);
        stage.producers.members()[0].clone()
    };
    stage
        .play(async {
            let first = moved(1).await;
            assert!(!Arc::ptr_eq(&first, &moved(2).await));
            assert!(Arc::ptr_eq(&first, &moved(1).await));
            stage.publish_all(1).await;
            stage.machine(1).is_dead.store(true, Ordering::Relaxed);
            tokio::time::sleep(KNOWN_WITHIN).await;
            assert_eq!(stage.producers.counts(), (0, 1), "it is asked for its health again");
            moved(2).await;
            tokio::time::sleep(Duration::from_secs(60)).await;
            assert!(!Arc::ptr_eq(&first, &moved(1).await), "it is forgotten");
            assert_eq!(stage.producers.counts(), (0, 1));
        })
        .await;
}

/// A server of DNS that answers some of many addresses at a time.
#[tokio::test(start_paused = true)]
async fn answers_that_change_all_the_time_change_no_producer() {
    let stage = stage(&[NAME], Dns::Has(vec![1, 2, 3]));
    stage
        .play(async {
            stage.publish_all(3).await;
            let before = stage.producers.members();
            for last in (1..=3).cycle().take(30) {
                stage.dns.set(Dns::Has(vec![last, 1 + last % 3]));
                tokio::time::sleep(Duration::from_secs(3)).await;
            }
            let after = stage.producers.members();
            assert!(after.len() == 3 && before.iter().zip(&*after).all(|(before, after)| Arc::ptr_eq(before, after)));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_error_of_a_thousand_producers_is_short() {
    let addresses: Vec<_> =
        (0..1_000).map(|number| format!("http://10.1.{}.{}:50052", number / 250, number % 250)).collect();
    let entries: Vec<_> = addresses.iter().map(String::as_str).collect();
    let stage = stage(&entries, Dns::Fails);
    for address in &addresses {
        stage.machines.lock().unwrap()[address].is_dead.store(true, Ordering::Relaxed);
    }
    stage
        .play(async {
            tokio::time::sleep(KNOWN_WITHIN).await;
            let error = stage.producers.check().unwrap_err();
            assert!(error.message.len() < 4_096, "{} bytes", error.message.len());
            let words = ["http://10.1.0.0:50052: no answer", "and 997 more"];
            assert!(words.iter().all(|words| error.message.contains(words)), "{error}");
        })
        .await;
    let long = shortened("ä".repeat(100_000));
    assert_eq!(long.chars().count(), REASON_CHARS_MAX + 1);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_does_not_resolve_yet_is_waited_for_and_said() {
    let stage = stage(&[NAME], Dns::Fails);
    let unknown = stage.producers.check().unwrap_err();
    assert!(unknown.message.contains("http://producer:50052: it was not looked up yet"), "{unknown}");
    stage
        .play(async {
            let begun = Instant::now();
            let error = stage.publish().await.unwrap_err();
            assert!(begun.elapsed() <= WAIT_MAX && error.kind == ErrorKind::Unavailable, "{:?}", begun.elapsed());
            assert!(error.message.contains("http://producer:50052: SERVFAIL"), "{error}");
            assert_eq!(stage.producers.counts(), (0, 1), "unknown is not zero");
            assert_eq!(stage.producers.name_states()[0]["why"], "SERVFAIL");
            stage.dns.set(Dns::Has(vec![]));
            tokio::time::sleep(KNOWN_WITHIN).await;
            assert!(stage.producers.check().unwrap_err().message.contains("has no address now"));
            stage.dns.set(Dns::Has(vec![1]));
            tokio::time::sleep(KNOWN_WITHIN).await;
            stage.publish_all(1).await;
            stage.producers.check().unwrap();
            assert_eq!(stage.producers.counts(), (1, 1));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn no_answer_and_none_are_no_news_about_the_addresses() {
    let stage = stage(&[NAME], Dns::Has(vec![1, 2]));
    stage
        .play(async {
            stage.publish_all(2).await;
            for (dns, words) in
                [(Dns::Fails, "SERVFAIL"), (Dns::Has(vec![]), "has no address now"), (Dns::IsSilent, "is DNS away?")]
            {
                stage.dns.set(dns);
                tokio::time::sleep(KNOWN_WITHIN * 6).await;
                stage.publish_all(10).await;
                stage.producers.check().unwrap();
                assert_eq!(stage.producers.counts(), (2, 2));
                let state = &stage.producers.name_states()[0];
                assert!(state["ok"] == false && state["why"].as_str().unwrap().contains(words), "{state}");
                assert_eq!(state["addresses"].as_array().unwrap().len(), 2);
            }
            stage.dns.set(Dns::Has(vec![2]));
            tokio::time::sleep(KNOWN_WITHIN).await;
            assert_eq!(stage.addresses(), ["http://10.0.0.2:50052"]);
            assert_eq!(stage.producers.name_states()[0]["ok"], true);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn names_and_addresses_mix_and_the_same_producer_counts_once() {
    let stage = stage(&[OTHER, NAME, "http://10.0.0.1:50052"], Dns::Has(vec![1, 2, 9]));
    stage
        .play(async {
            tokio::time::sleep(KNOWN_WITHIN).await;
            assert_eq!(stage.addresses(), [OTHER, "http://10.0.0.1:50052", "http://10.0.0.2:50052"]);
            let before = stage.producers.members();
            stage.dns.set(Dns::Has(vec![2]));
            tokio::time::sleep(KNOWN_WITHIN).await;
            let after = stage.producers.members();
            let stays = |member: &Arc<Member>| after.iter().any(|other| Arc::ptr_eq(member, other));
            assert!(after.len() == 3 && before.iter().all(stays), "each with its breaker and its window");
        })
        .await;
}

/// Its address is in DNS all the time.
#[tokio::test(start_paused = true)]
async fn an_address_that_never_answers_is_left_out_in_bounded_time() {
    let stage = stage(&[NAME], Dns::Has(vec![1, 2]));
    stage.machine(1).is_dead.store(true, Ordering::Relaxed);
    stage
        .play(async {
            for _ in 0..200 {
                let begun = Instant::now();
                stage.publish().await.unwrap();
                assert!(begun.elapsed() <= Duration::from_secs(2), "{:?}", begun.elapsed());
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            assert_eq!(stage.producers.counts(), (1, 2));
            assert!(stage.calls(2) == 200 && stage.calls(1) <= 20, "{}", stage.calls(1));
        })
        .await;
}
