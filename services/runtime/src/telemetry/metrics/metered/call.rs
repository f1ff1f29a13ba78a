//! One call of a port, timed: how long it took, the kind of its error, and the trace that is its example.

use std::sync::OnceLock;

use paceline_core::error::ErrorKind;
use paceline_core::trace::TraceId;
use paceline_core::{Error, Result};
use tokio::time::Instant;

use super::super::cells::Histogram;
use super::super::handle::Metrics;
use super::super::{Counter, names};

/// The kind of a call that its caller gave up, as at a deadline of its own.
const GIVEN_UP: &str = "given_up";

tokio::task_local! {
    /// A trace that the call of this task belongs to.
    static TRACED: TraceId;
}

/// Makes `trace` the example of the calls in `future`: a trace that is recorded, of one of the jobs that they are for.
pub async fn as_example_of<F: Future>(trace: Option<TraceId>, future: F) -> F::Output {
    match trace {
        Some(trace) => TRACED.scope(trace, future).await,
        None => future.await,
    }
}

/// One operation of a port.
pub(super) struct Call {
    metrics: Metrics,
    service: &'static str,
    operation: &'static str,
    series: OnceLock<Series>,
}

struct Series {
    duration: Histogram,
    /// Failed calls by the kind of the error. A counter is made with the first error of its kind; the most usual one is 0 from the first
    /// call on.
    errors: [OnceLock<Counter>; ErrorKind::ALL.len()],
}

/// A call on its way. A call that is dropped before its end was given up.
struct OnItsWay<'a> {
    call: &'a Call,
    begun: Instant,
    has_ended: bool,
}

impl Call {
    pub(super) fn new(metrics: &Metrics, service: &'static str, operation: &'static str) -> Self {
        Self { metrics: metrics.clone(), service, operation, series: OnceLock::new() }
    }

    pub(super) async fn time<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        self.time_as_example_of(TRACED.try_with(|trace| *trace).ok(), call).await
    }

    pub(super) async fn time_as_example_of<T>(
        &self,
        trace: Option<TraceId>,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let mut on_its_way = OnItsWay { call: self, begun: Instant::now(), has_ended: false };
        let outcome = call.await;
        on_its_way.has_ended = true;
        self.ended(on_its_way.begun, outcome.as_ref().err(), trace);
        outcome
    }

    fn ended(&self, begun: Instant, error: Option<&Error>, trace: Option<TraceId>) {
        let (series, took) = (self.series(), begun.elapsed().as_secs_f64());
        match trace {
            Some(trace) => series.duration.observe_as_example(took, trace, self.metrics.clock().wall_us()),
            None => series.duration.observe(took),
        }
        if let Some(error) = error {
            series.errors[error.kind as usize].get_or_init(|| self.errors(error.kind.name())).inc();
        }
    }

    fn series(&self) -> &Series {
        self.series.get_or_init(|| {
            let errors: [OnceLock<Counter>; ErrorKind::ALL.len()] = Default::default();
            let usual = ErrorKind::Unavailable;
            errors[usual as usize].get_or_init(|| self.errors(usual.name()));
            Series { duration: self.metrics.histogram(&names::CALL_DURATION, &[self.service, self.operation]), errors }
        })
    }

    fn errors(&self, kind: &str) -> Counter {
        self.metrics.counter(&names::CALL_ERRORS, &[self.service, self.operation, kind])
    }
}

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.call.ended(self.begun, None, None);
            self.call.errors(GIVEN_UP).inc();
        }
    }
}

/// A struct with a [`Call`] for each operation of a port.
macro_rules! calls {
    ($service:literal: $($operation:ident),+) => {
        struct Calls { $($operation: $crate::telemetry::metrics::metered::call::Call),+ }

        impl Calls {
            fn new(metrics: &$crate::telemetry::metrics::Metrics) -> Self {
                use $crate::telemetry::metrics::metered::call::Call;
                Self { $($operation: Call::new(metrics, $service, stringify!($operation))),+ }
            }
        }
    };
}
pub(super) use calls;

/// A port behind its [`calls!`], where there is nothing else to show of it.
macro_rules! metered {
    ($name:ident, $port:ident, $service:literal: $($operation:ident),+) => {
        $crate::telemetry::metrics::metered::call::calls!($service: $($operation),+);

        pub struct $name {
            inner: std::sync::Arc<dyn $port>,
            calls: Calls,
        }

        impl $name {
            pub fn new(inner: std::sync::Arc<dyn $port>, metrics: &$crate::telemetry::metrics::Metrics) -> Self {
                Self { inner, calls: Calls::new(metrics) }
            }
        }
    };
}
pub(super) use metered;
