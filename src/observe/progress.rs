//! Progress bars on a terminal.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// All bars of the program; lines printed meanwhile go above them.
#[derive(Default)]
pub struct Bars(MultiProgress);

/// One bar; it vanishes when it is dropped.
pub struct Drawn(ProgressBar);

impl Bars {
    /// A new bar.
    ///
    /// # Panics
    /// When the template is wrong, which is fixed.
    pub fn add(&self, label: &str, total: Option<usize>) -> Drawn {
        let (length, template) = match total {
            Some(total) => (Some(total), "{msg} [{bar:30}] {pos}/{len} {elapsed} eta {eta}"),
            None => (None, "{msg} {spinner} {pos} {elapsed}"),
        };
        let length = length.map(|n| u64::try_from(n).unwrap_or(u64::MAX));
        let style = ProgressStyle::with_template(template).expect("invariant: the template is well formed");
        let bar = ProgressBar::with_draw_target(length, indicatif::ProgressDrawTarget::hidden());
        let bar = self.0.add(bar);
        bar.set_style(style);
        bar.set_message(label.to_string());
        bar.tick();
        Drawn(bar)
    }

    /// A new line without a bar.
    ///
    /// # Panics
    /// When the template is wrong, which is fixed.
    pub fn add_line(&self) -> Drawn {
        let style = ProgressStyle::with_template("{msg}").expect("invariant: the template is well formed");
        let bar = self.0.add(ProgressBar::with_draw_target(None, indicatif::ProgressDrawTarget::hidden()));
        bar.set_style(style);
        Drawn(bar)
    }

    /// Runs `write` while no bar is in the way.
    pub fn above<R>(&self, write: impl FnOnce() -> R) -> R {
        self.0.suspend(write)
    }
}

impl Drawn {
    /// Says something else from now on.
    pub fn say(&mut self, text: &str) {
        self.0.set_message(text.to_string());
        self.0.tick();
    }

    /// One more is done.
    pub fn advance(&mut self) {
        self.0.inc(1);
    }

    /// So many more bytes have come, of so many where that is known.
    ///
    /// # Panics
    /// When the template is wrong, which is fixed.
    pub fn advance_bytes(&mut self, bytes: u64, total: Option<u64>) {
        if self.0.position() == 0 {
            let template = match total {
                Some(_) => "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} eta {eta}",
                None => "{msg} {spinner} {bytes} {bytes_per_sec} {elapsed}",
            };
            let style = ProgressStyle::with_template(template).expect("invariant: the template is well formed");
            self.0.set_style(style);
            if let Some(total) = total {
                self.0.set_length(total);
            }
        }
        self.0.inc(bytes);
    }
}

impl Drop for Drawn {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
