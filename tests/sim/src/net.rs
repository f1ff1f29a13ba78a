//! The way of a call from a process to a service and back. What is under way belongs to the network, not to the caller: it may
//! have its effect after the caller gave up or died.

use std::time::Duration;

use paceline_core::{Error, Result};
use tokio::sync::oneshot;

use crate::at::At;
use crate::process::{Dies, Process};
use crate::storm::{Fate, Service};
use crate::world::{State, World};

/// One process's line to one service.
#[derive(Clone)]
pub struct Link {
    pub world: World,
    pub process: Process,
    pub service: Service,
}

/// The question, in words for the trace.
pub struct Call {
    pub name: &'static str,
    pub words: String,
    /// Idempotent: the network may bring it twice.
    pub may_repeat: bool,
}

impl Call {
    pub fn new(name: &'static str, words: String) -> Self {
        Self { name, words, may_repeat: false }
    }

    pub fn idempotent(name: &'static str, words: String) -> Self {
        Self { name, words, may_repeat: true }
    }
}

impl Link {
    pub fn new(world: &World, process: &Process, service: Service) -> Self {
        Self { world: world.clone(), process: process.clone(), service }
    }

    /// Sends a call whose effect is one step of the world.
    pub async fn call<T: Send + 'static>(
        &self,
        call: Call,
        mut effect: impl FnMut(&mut State, At) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (world, process) = (self.world.clone(), self.process.clone());
        let (name, service) = (call.name, self.service.name());
        let words = call.words;
        let apply = move |is_late: bool, is_copy: bool| {
            let at = At { is_late, is_copy, ..world.at(process.number()) };
            world.step(at, |state| {
                let answer = effect(state, at);
                let end = match &answer {
                    Ok(_) => "ok".to_owned(),
                    Err(error) => format!("{:?}", error.kind),
                };
                let manner = match (is_late, is_copy) {
                    (false, false) => "",
                    (true, false) => " (late)",
                    (_, true) => " (again)",
                };
                let line = format!("{} {service}.{name} {words}{manner}: {end}", process.name());
                (answer, line)
            })
        };
        self.send(name, call.may_repeat, Effect::Step(Box::new(apply))).await
    }

    /// Sends a call through the network, whatever its effect is.
    pub async fn send<T: Send + 'static>(&self, name: &str, may_repeat: bool, effect: Effect<T>) -> Result<T> {
        self.process.gate().await;
        let dies = self.process.dies();
        if dies == Dies::BeforeEffect {
            return self.die(name).await;
        }
        let fate = self.fate(may_repeat);
        let (answering, answer) = oneshot::channel();
        let travel = Travel { link: self.clone(), fate, effect, answering, kills: dies == Dies::AfterEffect };
        self.world.tasks().spawn(travel.run());
        let answer = tokio::time::timeout(Duration::from_millis(self.service.timeout_ms()), answer).await;
        self.process.gate().await;
        if dies == Dies::AfterEffect {
            return self.die(name).await;
        }
        match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => {
                let (service, after_ms) = (self.service.name(), self.service.timeout_ms());
                Err(Error::unavailable(format!("{service}: no answer to {name} within {after_ms} ms")))
            }
        }
    }

    fn fate(&self, may_repeat: bool) -> Fate {
        let state = &mut *self.world.state();
        state.storm.fate(&mut state.random, self.process.place(), self.service, may_repeat)
    }

    /// The process ends here; what waits for an answer is dropped with it.
    async fn die<T>(&self, name: &str) -> T {
        if !self.process.crash().is_triggered() {
            self.world.note(&format!("{} dies at {}.{name}", self.process.name(), self.service.name()));
            self.process.crash().trigger();
        }
        std::future::pending().await
    }

    /// Waits until something can come from the service again.
    pub async fn reachable(&self) {
        const POLL: Duration = Duration::from_millis(20);
        self.process.gate().await;
        while self.world.state().storm.is_cut(self.process.place(), self.service) {
            tokio::time::sleep(POLL).await;
            self.process.gate().await;
        }
    }
}

/// The work of a call at the place where the call arrives.
pub enum Effect<T> {
    /// One step: (nobody waits any more, it is a copy) → answer.
    Step(Box<dyn FnMut(bool, bool) -> Result<T> + Send>),
    /// Work of another process, which takes its time.
    Work(Box<dyn Fn() -> futures::future::BoxFuture<'static, Result<T>> + Send + Sync>),
}

/// A call under way.
struct Travel<T> {
    link: Link,
    fate: Fate,
    effect: Effect<T>,
    answering: oneshot::Sender<Result<T>>,
    /// The caller dies once it has had its effect.
    kills: bool,
}

impl<T: Send + 'static> Travel<T> {
    async fn run(mut self) {
        let (there, again, back) = match self.fate {
            Fate::Refused { after } => {
                sleep_us(after).await;
                let refused = Error::unavailable(format!("{}: connection refused", self.link.service.name()));
                _ = self.answering.send(Err(refused));
                return;
            }
            Fate::Unwelcome { after } => {
                sleep_us(after).await;
                let words = format!("{}: access refused for this user", self.link.service.name());
                _ = self.answering.send(Err(Error::failed_precondition(words)));
                return;
            }
            // The sender stays, so that the caller waits its time out.
            Fate::RequestLost => return self.answering.closed().await,
            Fate::Normal { there, back } => (there, None, Some(back)),
            Fate::AnswerLost { there } | Fate::Late { there } => (there, None, None),
            Fate::Twice { there, again, back } => (there, Some(again), Some(back)),
        };
        sleep_us(there).await;
        // A message of a dead process may have been lost with it.
        if self.link.process.crash().is_triggered() && self.link.world.state().random.bool() {
            return;
        }
        let is_late = self.answering.is_closed();
        let answer = self.happen(is_late, false).await;
        if self.kills {
            self.link.process.crash().trigger();
        }
        if let Some(back) = back {
            sleep_us(back).await;
            _ = self.answering.send(answer);
        } else {
            self.answering.closed().await;
        }
        if let Some(again) = again {
            sleep_us(again).await;
            _ = Self::happen_by(&mut self.effect, true, true).await;
        }
    }

    async fn happen(&mut self, is_late: bool, is_copy: bool) -> Result<T> {
        Self::happen_by(&mut self.effect, is_late, is_copy).await
    }

    async fn happen_by(effect: &mut Effect<T>, is_late: bool, is_copy: bool) -> Result<T> {
        match effect {
            Effect::Step(step) => step(is_late, is_copy),
            Effect::Work(work) => work().await,
        }
    }
}

pub async fn sleep_us(us: u64) {
    tokio::time::sleep(Duration::from_micros(us)).await;
}
