//! The names of everything that is stored. What belongs to a run shares the hash tag `{run}`, so on a cluster each script
//! finds it on one node; what is outside is only ever touched by a step of its own.

use paceline_core::ids::RunId;

/// Seqs in one bitmap: 128 KiB, so that a bitmap which grows is copied cheaply and none nears Redis' limit of 512 MB.
pub(super) const CHUNK_SEQS: u64 = 1 << 20;

#[derive(Debug, Clone)]
pub(super) struct Keys {
    namespace: String,
}

impl Keys {
    pub(super) fn new(namespace: &str) -> Self {
        Self { namespace: namespace.into() }
    }

    /// Ids of all runs, in order: a sorted set whose scores are all 0.
    pub(super) fn runs(&self) -> String {
        format!("{}:runs", self.namespace)
    }

    /// Ids of the runs that have not ended. One that has ended stays until it stands in [`Keys::unkept`].
    pub(super) fn active(&self) -> String {
        format!("{}:active", self.namespace)
    }

    /// `<run>#<revision>` of the ends that the sink does not keep yet, and of those after which the run went on: a sorted set whose
    /// scores are all 0.
    pub(super) fn unkept(&self) -> String {
        format!("{}:unkept", self.namespace)
    }

    /// There once [`Keys::unkept`] has the ends from before there was that list.
    pub(super) fn unkept_is_whole(&self) -> String {
        format!("{}:unkept-is-whole", self.namespace)
    }

    /// The protocol that all roles of the mesh have.
    pub(super) fn protocol(&self) -> String {
        format!("{}:protocol", self.namespace)
    }

    /// The run that a request id started.
    pub(super) fn request(&self, request_id: &str) -> String {
        format!("{}:request:{request_id}", self.namespace)
    }

    /// Worker id → end of its ttl and what it says of itself.
    pub(super) fn workers_alive(&self) -> String {
        format!("{}:workers", self.namespace)
    }

    /// Spec, state, revision, cursor, pacing, lease and counters of a run.
    pub(super) fn run(&self, run: &RunId) -> String {
        self.of_run(run, "run")
    }

    /// First seq → count and due time of each range that is not confirmed.
    pub(super) fn outstanding(&self, run: &RunId) -> String {
        self.of_run(run, "outstanding")
    }

    /// Producer → jobs that it published.
    pub(super) fn producers(&self, run: &RunId) -> String {
        self.of_run(run, "producers")
    }

    /// The counters of a group.
    pub(super) fn group(&self, run: &RunId, group: &str) -> String {
        self.of_run(run, &format!("group:{group}"))
    }

    /// Worker → jobs that it processed for a group.
    pub(super) fn workers(&self, run: &RunId, group: &str) -> String {
        self.of_run(run, &format!("workers:{group}"))
    }

    /// Bitmap of the counted jobs, processed or dead.
    pub(super) fn done(&self, run: &RunId, group: &str, chunk: u64) -> String {
        self.of_run(run, &format!("done:{group}:{chunk}"))
    }

    /// Bitmap of the dead among them.
    pub(super) fn dead(&self, run: &RunId, group: &str, chunk: u64) -> String {
        self.of_run(run, &format!("dead:{group}:{chunk}"))
    }

    /// Every key of a run but the one of the run itself, which says how far its bitmaps go.
    pub(super) fn beside_run(&self, run: &RunId, groups: &[String], cursor: u64) -> Vec<String> {
        let mut keys = vec![self.outstanding(run), self.producers(run)];
        for group in groups {
            keys.extend([self.group(run, group), self.workers(run, group)]);
            for chunk in 0..cursor.div_ceil(CHUNK_SEQS) {
                keys.extend([self.done(run, group, chunk), self.dead(run, group, chunk)]);
            }
        }
        keys
    }

    fn of_run(&self, run: &RunId, what: &str) -> String {
        format!("{}:{{{run}}}:{what}", self.namespace)
    }
}
