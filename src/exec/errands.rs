//! Errands: jobs of a pool that somebody elsewhere does. Each worker of the pool has an agent, who hands them over and hears
//! what becomes of them.
//!
//! Where errands are short, a few are handed over ahead, so that whoever does them need not wait for the next one. One that
//! was handed ahead belongs to nobody yet: its future can be cancelled, and it comes back when those before it take long, so
//! that somebody idle can have it.
//!
//! Invariants: an errand that may have begun is not done again, unless the pool was told to try again; one that has not begun
//! goes back to its place among those that wait; errands are done in the order in which they were handed over.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::Outcome;
use super::pool::{Job, Works};
use crate::kernel::{Stop, current};
use crate::sync::future::Stage;

/// After so long those who were handed ahead are asked back.
const SLOW: Duration = Duration::from_millis(20);

/// How many are handed ahead of the one that is done, where the last took less than so long.
const AHEAD: [(Duration, usize); 2] = [(Duration::from_millis(1), 4), (Duration::from_millis(5), 1)];

/// A job for somebody elsewhere.
pub struct Errand<R: Outcome> {
    /// What its function is called.
    pub name: String,
    /// What the agent can hand over.
    pub content: R::Errand,
}

/// What an agent hears.
pub enum News<R> {
    /// The errand of this number is being done from here on.
    Began(u64),
    /// It came to this.
    Done(u64, R),
    /// It was asked back, and had not begun.
    Back(u64),
    /// Whoever did them has ended, with this exit code; the last that had begun is the one of this number.
    Lost {
        /// Its number.
        begun: u64,
        /// The exit code, negative for a signal.
        code: i32,
    },
    /// What is unwanted is to stop, or all of it, as the program does.
    Stop {
        /// All of it.
        all: bool,
    },
    /// The time is up.
    Nothing,
    /// The program is over.
    Over,
}

/// Asks back the errand of a number. It may be called by any task.
pub type Recall = Arc<dyn Fn(u64) + Send + Sync>;

/// See the module. Belongs to one task, which is where its methods are called.
pub trait Agent<R: Outcome> {
    /// Has somebody to do errands. Asked for whenever nobody has any.
    ///
    /// # Errors
    /// What came instead.
    fn prepare(&mut self) -> Result<(), R>;

    /// Hands an errand over. If whoever should do it has ended, that is news to come.
    fn hand(&mut self, number: u64, errand: &Errand<R>);

    /// Waits for news, at most `limit`.
    fn hear(&mut self, limit: Option<Duration>) -> News<R>;

    /// How to ask an errand back; `None` where none can be handed ahead.
    fn recall(&self) -> Option<Recall>;

    /// How often an errand is tried again that was lost after it had begun.
    fn retries(&self) -> usize;

    /// Asks for the errand of this number to be stopped, and says how long that may take; `None`: as long as it takes.
    fn stop(&mut self, number: u64) -> Option<Duration>;

    /// Ends whoever does the errands.
    fn kill(&mut self);

    /// The outcome of an errand that was lost, at the last of so many tries.
    fn lost(&mut self, errand: &Errand<R>, code: i32, tries: usize) -> R;

    /// The outcome of an errand that did not stop when it was told to.
    fn killed(&mut self, errand: &Errand<R>) -> R;

    /// No more errands; `now`: nor anything else.
    fn leave(&mut self, now: bool);
}

/// An errand that was handed over.
struct Handed<R: Outcome> {
    number: u64,
    job: Job<R>,
    began: bool,
    asked_back: bool,
}

/// What one worker of a pool does.
pub(super) struct Line<'a, R: Outcome> {
    works: &'a Arc<Works<R>>,
    agent: Box<dyn Agent<R> + Send>,
    handed: VecDeque<Handed<R>>,
    number: u64,
    /// How many errands it still takes.
    left: Option<usize>,
    /// How long the last one took.
    last: Option<Duration>,
    began_at: Duration,
    /// Until when the first is to have stopped.
    patience: Option<Duration>,
    is_stopping: bool,
}

impl<'a, R: Outcome> Line<'a, R> {
    pub(super) fn new(works: &'a Arc<Works<R>>, agent: Box<dyn Agent<R> + Send>) -> Line<'a, R> {
        let left = works.plan().jobs_per_worker;
        Line {
            works,
            agent,
            handed: VecDeque::new(),
            number: 0,
            left,
            last: None,
            began_at: Duration::ZERO,
            patience: None,
            is_stopping: false,
        }
    }

    /// Does errands until there are none: true when it has done as many as it may, and the next worker is to go on.
    pub(super) fn work(&mut self) -> bool {
        if let Err(outcome) = self.agent.prepare()
            && outcome.is_failure()
        {
            self.works.give_up(&outcome);
            return false;
        }
        loop {
            if self.handed.is_empty() {
                if self.left == Some(0) {
                    return true;
                }
                match self.works.next_job() {
                    Ok(Some(job)) => self.hand(job),
                    // It was meant for the job before.
                    Err(Stop::Cancelled) => {}
                    Ok(None) | Err(_) => return false,
                }
                continue;
            }
            self.hand_ahead();
            if !self.hear() {
                return false;
            }
        }
    }

    /// A bug of orch's ended it, which said so: what it was about fails with that, and the rest goes to others.
    pub(super) fn breaks_down(&mut self, panic: &str) {
        self.agent.kill();
        for handed in std::mem::take(&mut self.handed) {
            self.works.has_back(&handed.job);
            if handed.began {
                self.finish(&handed.job, R::from_panic(panic.to_string()));
            } else {
                self.back(handed);
            }
        }
    }

    pub(super) fn leave(&mut self) {
        self.agent.leave(self.works.is_to_stop());
    }

    fn now(&self) -> Duration {
        self.works.kernel().now()
    }

    /// As many as may be ahead, as long as there are many.
    fn hand_ahead(&mut self) {
        let quick = |last: Duration| AHEAD.iter().find(|(most, _)| last < *most).map_or(0, |(_, ahead)| *ahead);
        let ahead = self.last.map_or(0, quick);
        if self.is_stopping || self.agent.recall().is_none() {
            return;
        }
        while ahead > 0
            && self.handed.len() <= ahead
            && self.left != Some(0)
            && let Some(job) = self.works.job_at_hand(ahead)
        {
            self.hand(job);
        }
    }

    fn hand(&mut self, mut job: Job<R>) {
        let me = current().id();
        if job.future.is_over() {
            return;
        }
        // While errands are with somebody, news of that one's end come first.
        if self.handed.is_empty()
            && let Err(outcome) = self.agent.prepare()
        {
            job.future.begin(me);
            return self.finish(&job, outcome);
        }
        self.number += 1;
        let number = self.number;
        let recall = self.agent.recall();
        let began = recall.is_none();
        let wanted = match recall {
            Some(recall) => job.future.lend(me, Arc::new(move || recall(number))),
            // What is tried again runs already.
            None => job.future.begin(me) || job.future.stage() == Stage::Running(me),
        };
        let Some(errand) = job.body.errand().filter(|_| wanted) else {
            return;
        };
        self.agent.hand(number, errand);
        job.tries += 1;
        self.left = self.left.map(|left| left - 1);
        self.works.lends(&job);
        self.began_at = self.now();
        self.handed.push_back(Handed { number, job, began, asked_back: false });
    }

    /// Deals with one piece of news: false when there is nothing more to do.
    fn hear(&mut self) -> bool {
        let some_are_ahead = self.handed.iter().skip(1).any(|handed| !handed.asked_back);
        let limit = match self.patience {
            Some(until) => Some(until.saturating_sub(self.now())),
            None => some_are_ahead.then_some(SLOW),
        };
        match self.agent.hear(limit) {
            News::Began(number) => self.began(number),
            News::Done(number, outcome) => {
                self.began(number);
                if let Some(handed) = self.take(number) {
                    self.last = Some(self.now().saturating_sub(self.began_at));
                    self.finish(&handed.job, outcome);
                }
            }
            News::Back(number) => {
                if let Some(handed) = self.take(number) {
                    self.back(handed);
                }
            }
            News::Lost { begun, code } => self.lost(begun, code),
            News::Stop { all } => self.stop(all),
            News::Nothing if self.patience.is_some_and(|until| until <= self.now()) => {
                self.patience = None;
                self.agent.kill();
            }
            News::Nothing => self.ask_back(),
            News::Over => return false,
        }
        true
    }

    fn take(&mut self, number: u64) -> Option<Handed<R>> {
        let at = self.handed.iter().position(|handed| handed.number == number)?;
        let handed = self.handed.remove(at)?;
        self.works.has_back(&handed.job);
        Some(handed)
    }

    fn began(&mut self, number: u64) {
        let now = self.now();
        if let Some(handed) = self.handed.iter_mut().find(|handed| handed.number == number && !handed.began) {
            handed.began = true;
            handed.job.future.begin(current().id());
            self.began_at = now;
        }
    }

    fn finish(&mut self, job: &Job<R>, outcome: R) {
        (self.patience, self.is_stopping) = (None, false);
        let task = current();
        task.abandon_held();
        job.future.finish(outcome);
        // What was meant for this one must not hit the next.
        while task.take_cancel() {}
    }

    /// It has not begun, and somebody else may do it.
    fn back(&mut self, handed: Handed<R>) {
        self.left = self.left.map(|left| left + 1);
        let mut job = handed.job;
        job.tries -= 1;
        if job.future.is_back() {
            self.works.put_back(job);
        }
    }

    /// The first one takes long: the others come back.
    fn ask_back(&mut self) {
        self.last = None;
        let Some(recall) = self.agent.recall() else {
            return;
        };
        for handed in self.handed.iter_mut().filter(|handed| !handed.began && !handed.asked_back) {
            handed.asked_back = true;
            recall(handed.number);
        }
    }

    /// The first one is to stop, unless it is about one that did not come back: the first does not pay for that.
    fn stop(&mut self, all: bool) {
        let Some(first) = self.handed.front() else {
            return;
        };
        if !all && !self.works.is_to_stop() && !first.job.future.is_unwanted() {
            return;
        }
        let grace = self.agent.stop(first.number);
        if !std::mem::replace(&mut self.is_stopping, true) {
            self.patience = grace.map(|grace| self.now().saturating_add(grace));
        }
        self.ask_back();
    }

    /// Whoever did them has ended.
    fn lost(&mut self, begun: u64, code: i32) {
        self.began(begun);
        let stopping = self.is_stopping;
        (self.patience, self.is_stopping, self.last) = (None, false, None);
        let mut handed = std::mem::take(&mut self.handed);
        for handed in &handed {
            self.works.has_back(&handed.job);
        }
        // Before the first is handed over again, since those behind it are not to be handed before them.
        let first = handed.pop_front();
        handed.into_iter().for_each(|handed| self.back(handed));
        if let Some(Handed { mut job, began, .. }) = first {
            self.left = self.left.map(|left| left + 1);
            let is_tried_again = match (began, stopping) {
                (_, true) => false,
                (true, false) => job.tries <= self.agent.retries(),
                // Whoever was to do it was about to end. The next who does so before it begins is no accident.
                (false, false) => !std::mem::replace(&mut job.had_false_start, true),
            };
            if is_tried_again {
                job.tries -= usize::from(!began);
                return self.hand(job);
            }
            job.future.begin(current().id());
            let tries = job.tries;
            let outcome = match job.body.errand() {
                Some(errand) if stopping => self.agent.killed(errand),
                Some(errand) => self.agent.lost(errand, code, tries),
                None => return,
            };
            self.finish(&job, outcome);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use parking_lot::Mutex;

    use super::*;
    use crate::exec::Pool;
    use crate::exec::pool::{Body, Plan};
    use crate::kernel::Setup;
    use crate::kernel::explore::run_once;

    /// What becomes of an errand, by its name.
    #[derive(Clone, Copy, PartialEq)]
    enum Fate {
        Quick,
        /// Nothing is heard of it until it is stopped.
        Long,
        /// Whoever does it ends with it.
        Deadly,
        /// The agent has a bug.
        Broken,
    }

    #[derive(Default)]
    struct Seen {
        /// How many an agent had at once at the most.
        most: usize,
        /// How often each was begun.
        begun: BTreeMap<String, usize>,
        kills: usize,
    }

    /// Does errands by their fates, and nothing by itself.
    struct Fake {
        seen: Arc<Mutex<Seen>>,
        has: VecDeque<(u64, String)>,
        began: bool,
        wanted_back: Arc<Mutex<Vec<u64>>>,
        killed: bool,
        retries: usize,
    }

    fn fate(name: &str) -> Fate {
        match name.split('-').next() {
            Some("long") => Fate::Long,
            Some("deadly") => Fate::Deadly,
            Some("broken") => Fate::Broken,
            _ => Fate::Quick,
        }
    }

    impl Agent<()> for Fake {
        fn prepare(&mut self) -> Result<(), ()> {
            Ok(())
        }

        fn hand(&mut self, number: u64, errand: &Errand<()>) {
            self.has.push_back((number, errand.name.clone()));
            let mut seen = self.seen.lock();
            seen.most = seen.most.max(self.has.len());
        }

        fn hear(&mut self, limit: Option<Duration>) -> News<()> {
            let back = self.wanted_back.lock().pop();
            if let Some(number) = back
                && let Some(at) = self.has.iter().position(|(other, _)| *other == number)
                && (at > 0 || !self.began)
            {
                self.has.remove(at);
                return News::Back(number);
            }
            let Some((number, name)) = self.has.front().cloned() else { return News::Over };
            if !std::mem::replace(&mut self.began, true) {
                *self.seen.lock().begun.entry(name).or_default() += 1;
                return News::Began(number);
            }
            match fate(&name) {
                _ if self.killed => {}
                Fate::Long => {
                    return match crate::kernel::sleep(Some(limit.unwrap_or(Duration::from_secs(3600)))) {
                        Ok(()) => News::Nothing,
                        Err(Stop::Cancelled) => News::Stop { all: false },
                        Err(_) => News::Over,
                    };
                }
                Fate::Quick => {
                    self.began = false;
                    self.has.pop_front();
                    return News::Done(number, ());
                }
                Fate::Deadly => {}
                Fate::Broken => panic!("a bug"),
            }
            (self.began, self.killed) = (false, false);
            self.has.clear();
            News::Lost { begun: number, code: 1 }
        }

        fn recall(&self) -> Option<Recall> {
            let wanted_back = self.wanted_back.clone();
            Some(Arc::new(move |number| wanted_back.lock().push(number)))
        }

        fn retries(&self) -> usize {
            self.retries
        }

        fn stop(&mut self, _number: u64) -> Option<Duration> {
            Some(Duration::from_secs(5))
        }

        fn kill(&mut self) {
            self.killed = true;
            self.seen.lock().kills += 1;
        }

        fn lost(&mut self, _errand: &Errand<()>, _code: i32, _tries: usize) {}

        fn killed(&mut self, _errand: &Errand<()>) {}

        fn leave(&mut self, _now: bool) {}
    }

    /// Runs jobs of these names on a pool of so many, while `meanwhile` looks at their futures.
    fn run(
        size: usize,
        retries: usize,
        names: &[String],
        meanwhile: impl FnOnce(&[Arc<crate::sync::Future<()>>]) + Send + 'static,
    ) -> Seen {
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let (shared, names) = (seen.clone(), names.to_vec());
        run_once(Setup::Sim { seed: 0 }, move || {
            let agents: crate::exec::pool::Agents<()> = Arc::new(move || {
                let (has, wanted_back) = (VecDeque::new(), Arc::default());
                Box::new(Fake { seen: shared.clone(), has, began: false, wanted_back, killed: false, retries })
            });
            let (initializer, name, jobs_per_worker) = (None, None, None);
            let plan =
                Plan { kind: "Pool", size, name, initializer, agents: Some(agents), jobs_per_worker, broken: |()| () };
            let pool = Pool::new(plan);
            let futures: Vec<_> = names
                .iter()
                .map(|name| {
                    let future = pool.new_future();
                    let errand = Errand { name: name.clone(), content: () };
                    pool.submit_for(future.clone(), Body::Elsewhere(errand)).unwrap();
                    future
                })
                .collect();
            meanwhile(&futures);
            pool.close();
            pool.join(None).unwrap();
            assert!(futures.iter().all(|future| future.is_over()));
        });
        Arc::into_inner(seen).unwrap().into_inner()
    }

    fn names(words: &[(&str, usize)]) -> Vec<String> {
        words.iter().flat_map(|(word, count)| (0..*count).map(move |n| format!("{word}-{n}"))).collect()
    }

    #[test]
    fn quick_errands_are_handed_ahead_and_each_is_done_once() {
        let all = names(&[("quick", 100)]);
        let seen = run(2, 0, &all, |_| {});
        assert_eq!(seen.most, 5);
        assert_eq!(seen.begun, all.into_iter().map(|name| (name, 1)).collect());
    }

    #[test]
    fn a_few_are_not_handed_ahead() {
        assert_eq!(run(2, 0, &names(&[("quick", 8)]), |_| {}).most, 1);
    }

    #[test]
    fn those_behind_a_long_one_come_back_and_are_done() {
        let all = names(&[("quick", 20), ("long", 1), ("other", 40)]);
        let seen = run(2, 0, &all, |futures| {
            futures.iter().enumerate().filter(|(n, _)| *n != 20).for_each(|(_, future)| future.wait(None).unwrap());
            assert!(matches!(futures[20].stage(), Stage::Running(_)));
            assert_eq!(futures.iter().filter(|future| !future.is_over()).count(), 1);
            assert!(futures[20].stop());
        });
        assert_eq!(seen.kills, 1, "it did not listen");
        assert_eq!(seen.begun, all.into_iter().map(|name| (name, 1)).collect());
    }

    #[test]
    fn one_that_was_handed_ahead_is_cancelled_and_never_begun() {
        let seen = run(1, 0, &names(&[("quick", 20), ("long", 1), ("other", 40)]), |futures| {
            while futures[20].stage() == Stage::Pending {
                crate::kernel::sleep(Some(Duration::from_millis(1))).unwrap();
            }
            assert!(futures[21].cancel() && futures[40].cancel());
            assert_eq!((futures[21].stage(), futures[22].stage()), (Stage::Cancelled, Stage::Pending));
            assert!(futures[20].stop());
        });
        assert!(!seen.begun.contains_key("other-0") && !seen.begun.contains_key("other-19"));
        assert_eq!(seen.begun.len(), 59);
    }

    #[test]
    fn a_bug_costs_the_one_that_met_it() {
        let all = names(&[("quick", 20), ("broken", 1), ("other", 40)]);
        let seen = run(1, 0, &all, |_| {});
        assert_eq!((seen.kills, seen.begun), (1, all.into_iter().map(|name| (name, 1)).collect()));
    }

    #[test]
    fn a_deadly_one_is_tried_as_often_as_told_and_the_others_once() {
        let all = names(&[("quick", 20), ("deadly", 1), ("other", 40)]);
        let mut wanted: BTreeMap<String, usize> = all.iter().map(|name| (name.clone(), 1)).collect();
        wanted.insert("deadly-0".into(), 4);
        assert_eq!(run(2, 3, &all, |_| {}).begun, wanted);
    }
}
