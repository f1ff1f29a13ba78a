//! Runs that have ended and that the sink does not keep as ended yet.
//!
//! A run's own keys and this list may live on different nodes of a cluster, so no script touches both. An end is not lost all the
//! same: the run stands among the active ones until it is on the list, and whoever reads those moves what has ended. An entry names
//! the revision of the end, so an end is never taken off the list in the place of a later one.
//!
//! A run that FAILED may go on while somebody still retires it, who may take it off the active ones at any time after that and die
//! before looking again. So the entry of an end stays for as long as the run goes on, and whoever looks at the list makes sure that
//! such a run is active; its next end takes the entry's place.

use futures::future::try_join_all;
use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::ports::Runs;
use redis::cmd;

use super::fields::unreadable;
use super::ledger::RedisLedger;

/// Between run and revision: sorts before every character of an id, so entries sort as their runs do.
const SEPARATOR: char = '#';
/// Sorts after the separator, and before every character of an id: the end of a run's entries.
const AFTER_SEPARATOR: char = '$';
/// Runs that are read at once, to find the ends of before.
const PAGE_RUNS: usize = 100;

/// An end as it is listed.
struct End {
    run: RunId,
    revision: u64,
}

impl End {
    fn parse(text: &str) -> Result<Self> {
        let parts = text.split_once(SEPARATOR);
        let end = parts
            .and_then(|(run, revision)| Some(Self { run: RunId::parse(run).ok()?, revision: revision.parse().ok()? }));
        end.ok_or_else(|| unreadable("unkept run", text))
    }

    fn member(&self) -> String {
        format!("{}{SEPARATOR}{}", self.run, self.revision)
    }
}

impl RedisLedger {
    /// Takes a run that has ended from the active ones to the unkept ones, in this order: dying in between leaves it in both. A run
    /// that FAILED may go on at any moment, so its state is read again after the removal: whoever comes last lists it.
    pub(super) async fn retire(&self, run: &RunId, revision: u64) -> Result<()> {
        self.note_end(run, revision).await?;
        self.connection.command::<()>(cmd("SREM").arg(self.keys.active()).arg(run.as_str())).await?;
        match self.read_state(run).await? {
            Some((state, _)) if !state.is_terminal() => self.list_active(run).await,
            _ => Ok(()),
        }
    }

    /// Has whoever looks after ends look at this one.
    pub(super) async fn note_end(&self, run: &RunId, revision: u64) -> Result<()> {
        let end = End { run: run.clone(), revision };
        self.connection.command(cmd("ZADD").arg(self.keys.unkept()).arg(0).arg(end.member())).await
    }

    /// A namespace from before there was this list has its ends on it once somebody has used it. Doing it twice only keeps them twice.
    async fn with_ends_of_before(&self) -> Result<()> {
        self.has_ends_of_before.get_or_try_init(|| self.note_ends_of_before()).await.map(|_| ())
    }

    async fn note_ends_of_before(&self) -> Result<()> {
        let marker = self.keys.unkept_is_whole();
        if self.connection.command::<bool>(cmd("EXISTS").arg(&marker)).await? {
            return Ok(());
        }
        let mut runs = self.list(None, PAGE_RUNS).await?;
        while let Some(last) = runs.last().cloned() {
            let states = try_join_all(runs.iter().map(|run| self.read_state(run))).await?;
            for (run, state) in runs.iter().zip(states) {
                if let Some((state, revision)) = state
                    && state.is_terminal()
                {
                    self.note_end(run, revision).await?;
                }
            }
            runs = self.list(Some(&last), PAGE_RUNS).await?;
        }
        self.connection.command(cmd("SET").arg(marker).arg(1)).await
    }

    pub(super) async fn list_unkept(&self, after: Option<&RunId>, limit: usize) -> Result<Vec<RunId>> {
        self.with_ends_of_before().await?;
        let mut from = after.map_or("-".to_owned(), |run| format!("({run}{AFTER_SEPARATOR}"));
        let mut unkept = Vec::new();
        while unkept.len() < limit {
            let size = limit - unkept.len();
            let mut page = cmd("ZRANGEBYLEX");
            page.arg(self.keys.unkept()).arg(&from).arg("+").arg("LIMIT").arg(0).arg(size);
            let members: Vec<String> = self.connection.command(&page).await?;
            let Some(last) = members.last() else { break };
            from = format!("({last}");
            let is_last = members.len() < size;
            let ends = try_join_all(members.iter().map(|member| self.still_unkept(member))).await?;
            unkept.extend(ends.into_iter().flatten());
            if is_last {
                break;
            }
        }
        Ok(unkept)
    }

    /// The run of an entry, if this is still its end. Makes sure that a run which goes on is active, and removes the entry once the run
    /// has another end, or is gone.
    async fn still_unkept(&self, member: &str) -> Result<Option<RunId>> {
        let end = End::parse(member)?;
        match self.read_state(&end.run).await? {
            Some((state, revision)) if state.is_terminal() && revision == end.revision => return Ok(Some(end.run)),
            Some((state, _)) if !state.is_terminal() => {
                self.enlist(&end.run, state).await?;
                return Ok(None);
            }
            // Whoever made that end may not have listed it yet, and the run may not be active.
            Some((_, revision)) => self.note_end(&end.run, revision).await?,
            None => (),
        }
        self.remove(&end).await?;
        Ok(None)
    }

    /// Puts the entry back if the run has gone on by then.
    pub(super) async fn note_end_kept(&self, run: &RunId, revision: u64) -> Result<()> {
        self.with_ends_of_before().await?;
        self.remove(&End { run: run.clone(), revision }).await?;
        match self.read_state(run).await? {
            Some((state, _)) if !state.is_terminal() => self.note_end(run, revision).await,
            _ => Ok(()),
        }
    }

    async fn remove(&self, end: &End) -> Result<()> {
        self.connection.command::<()>(cmd("ZREM").arg(self.keys.unkept()).arg(end.member())).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_sort_as_their_runs_do() {
        let runs = ["a", "a-b", "a0", "aa", "b"].map(|id| RunId::parse(id).unwrap());
        assert!(runs.is_sorted());
        let members: Vec<String> = runs.iter().map(|run| End { run: run.clone(), revision: 9 }.member()).collect();
        assert!(members.is_sorted(), "{members:?}");
        for (run, next) in runs.iter().zip(&members[1..]) {
            let behind = format!("{run}{AFTER_SEPARATOR}");
            assert!(End { run: run.clone(), revision: u64::MAX }.member() < behind && behind < *next);
        }
        let end = End::parse("a-b#12").unwrap();
        assert_eq!((end.run.as_str(), end.revision, end.member().as_str()), ("a-b", 12, "a-b#12"));
        assert!(End::parse("a-b").is_err());
    }
}
