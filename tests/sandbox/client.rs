//! A client of a scheduler, as tests use it. A test waits on the run's own watch, with a limit, and never by sleeping.

use std::time::Duration;

use paceline_core::ids::RunId;
use paceline_core::ports::Backends;
use paceline_core::verify::{VerifyOptions, verify};
use paceline_proto::v1::scheduler_service_client::SchedulerServiceClient;
use paceline_proto::v1::{
    GetRunRequest, PauseRunRequest, ResumeRunRequest, Run, RunState, Snapshot, StartRunRequest, StopRunRequest,
    UpdateRunRequest, WatchRunRequest,
};
use tonic::transport::Channel;

use crate::mesh::Mesh;
use crate::role::Role;

/// The longest that any wait of a test takes before it fails.
const WAIT_MAX: Duration = Duration::from_secs(120);

/// A client of one scheduler.
#[derive(Clone)]
pub struct Client(pub SchedulerServiceClient<Channel>);

impl Client {
    pub async fn of(scheduler: &Role) -> Self {
        Self::at(&scheduler.url())
    }

    pub fn at(url: &str) -> Self {
        let channel = paceline_runtime::grpc::channel(url, None).expect("a valid address");
        Self(SchedulerServiceClient::new(channel))
    }

    /// `jobs` a minute, up to `total`.
    pub async fn start(&mut self, jobs: u64, total: Option<u64>) -> String {
        self.start_with(StartRunRequest { jobs, per_minutes: 1.0, total, ..Default::default() }).await.run_id
    }

    pub async fn start_with(&mut self, request: StartRunRequest) -> Run {
        self.0.start_run(request).await.expect("the run starts").into_inner().run.expect("a run")
    }

    pub async fn get(&mut self, run: &str) -> Run {
        let answer = self.0.get_run(GetRunRequest { run_id: run.into() }).await.expect("the run is there");
        answer.into_inner().run.expect("a run")
    }

    pub async fn update(&mut self, run: &str, jobs: u64) -> Run {
        let request = UpdateRunRequest { run_id: run.into(), jobs: Some(jobs), per_minutes: Some(1.0), total: None };
        self.0.update_run(request).await.expect("the run is updated").into_inner().run.expect("a run")
    }

    pub async fn pause(&mut self, run: &str) -> Run {
        self.0
            .pause_run(PauseRunRequest { run_id: run.into() })
            .await
            .expect("it pauses")
            .into_inner()
            .run
            .expect("a run")
    }

    pub async fn resume(&mut self, run: &str) -> Run {
        self.0
            .resume_run(ResumeRunRequest { run_id: run.into() })
            .await
            .expect("it resumes")
            .into_inner()
            .run
            .expect("a run")
    }

    pub async fn stop(&mut self, run: &str) -> Run {
        self.0.stop_run(StopRunRequest { run_id: run.into() }).await.expect("it stops").into_inner().run.expect("a run")
    }

    /// Watches the run until `enough` says so, and checks L1 in every update on the way.
    pub async fn until(&mut self, run: &str, what: &str, enough: impl Fn(&Run) -> bool) -> Run {
        let mut last = None;
        let watching = async {
            let request = WatchRunRequest { run_id: run.into() };
            let mut updates = self.0.watch_run(request).await.expect("the run can be watched").into_inner();
            while let Some(update) = updates.message().await.expect("the watch goes on") {
                let run = update.run.expect("a run");
                check_l1(&run);
                if enough(&run) {
                    return run;
                }
                last = Some(run);
            }
            panic!("the watch ended before {what}: {last:?}");
        };
        match tokio::time::timeout(WAIT_MAX, watching).await {
            Ok(run) => run,
            Err(_) => panic!("no {what} within {WAIT_MAX:?}"),
        }
    }

    pub async fn until_ended(&mut self, run: &str) -> Run {
        self.until(run, "end", |run| matches!(run.state(), RunState::Completed | RunState::Stopped | RunState::Failed))
            .await
    }
}

/// L1, in every snapshot that anybody sees.
pub fn check_l1(run: &Run) {
    let numbers = numbers(run);
    assert!(numbers.processed + numbers.dead <= numbers.enqueued, "L1 broken: {numbers:?}");
    assert!(numbers.published <= numbers.enqueued, "published what is not reserved: {numbers:?}");
}

pub fn numbers(run: &Run) -> &Snapshot {
    run.snapshot.as_ref().expect("a run has numbers")
}

/// L2 for a run that has drained: the four sets agree exactly. Answers (stored, dead).
pub async fn assert_exact(mesh: &Mesh, run: &str, enqueued: u64) -> (u64, u64) {
    let Backends { sink, ledger, .. } = mesh.backends().await;
    let run = RunId::parse(run).expect("a run id");
    let options = VerifyOptions { group: mesh.group.clone(), strict: true };
    let verification = verify(&*ledger.counts, &*sink.reader, &run, &options).await.expect("the run can be verified");
    assert!(verification.ok, "{verification:#?}");
    assert_eq!(verification.enqueued, enqueued, "{verification:#?}");
    (verification.stored, verification.dead)
}
