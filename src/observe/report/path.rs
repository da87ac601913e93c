//! The critical path: what the program's duration was made of.
//!
//! From the end of the program backwards: a task that runs is on the path itself; where it waited for another task, the path goes
//! over to whoever woke it, at the moment of that; where nobody of the program woke it (a command, time, the world outside),
//! the wait itself is on the path.

use super::read::{Run, Wait};

/// A piece of the path.
#[derive(Debug, PartialEq)]
pub struct Step {
    /// Whose: an index of the tasks.
    pub task: usize,
    /// What it did: empty while it ran.
    pub what: String,
    /// Where in the script.
    pub at: String,
    /// When.
    pub from: f64,
    /// As above.
    pub to: f64,
}

/// A path has at most so many pieces.
const LONGEST: usize = 20_000;

/// The path, the first step first.
pub fn critical(run: &Run) -> Vec<Step> {
    // The main task waits for all it has to wait for; in a trace of anything else, whoever ended last.
    let last = |one: &usize, other: &usize| run.tasks[*one].ended.total_cmp(&run.tasks[*other].ended);
    let main = (0..run.tasks.len()).find(|i| run.tasks[*i].track.1 == 1);
    let Some(mut task) = main.or_else(|| (0..run.tasks.len()).max_by(last)) else {
        return Vec::new();
    };
    let mut waits: Vec<Vec<&Wait>> = vec![Vec::new(); run.tasks.len()];
    run.waits.iter().for_each(|wait| waits[wait.task].push(wait));
    let mut at = run.tasks[task].ended;
    let mut steps: Vec<Step> = Vec::new();
    while steps.len() < LONGEST {
        let earlier = &waits[task];
        let place = earlier.partition_point(|wait| wait.to <= at);
        let wait = place.checked_sub(1).map(|i| earlier[i]);
        let began = run.tasks[task].began;
        let ran_since = wait.map_or(began, |wait| wait.to);
        if at > ran_since {
            steps.push(Step { task, what: String::new(), at: String::new(), from: ran_since, to: at });
        }
        match wait {
            Some(wait) => match wait.waker.filter(|(other, when)| *other != task && *when <= at && *when > wait.from) {
                Some((other, when)) => (task, at) = (other, when),
                None => {
                    let (what, place) = (wait.what.clone(), wait.at.clone());
                    steps.push(Step { task, what, at: place, from: wait.from, to: wait.to.min(at) });
                    at = wait.from;
                }
            },
            None => match run.tasks[task].starter.filter(|(other, _)| *other != task) {
                Some((other, when)) => (task, at) = (other, when.min(began)),
                None => break,
            },
        }
    }
    steps.reverse();
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::report::read::Task;

    #[test]
    fn the_path_goes_over_to_whoever_made_others_wait() {
        let task = |id, began, ended, starter| Task { track: (1, id), began, ended, starter, ..Task::default() };
        let wait = |task, from, to, waker| Wait { task, what: "w".into(), from, to, waker, ..Wait::default() };
        // Main starts a task at 1 and waits for its end; that one waits for a command from 2 to 5.
        let run = Run {
            tasks: vec![task(1, 0.0, 8.0, None), task(2, 1.0, 7.0, Some((0, 1.0)))],
            waits: vec![wait(1, 2.0, 5.0, None), wait(0, 1.5, 7.0, Some((1, 6.5)))],
            ..Run::default()
        };
        let found: Vec<(usize, f64, f64)> = critical(&run).iter().map(|s| (s.task, s.from, s.to)).collect();
        assert_eq!(found, [(0, 0.0, 1.0), (1, 1.0, 2.0), (1, 2.0, 5.0), (1, 5.0, 6.5), (0, 7.0, 8.0)]);
    }
}
