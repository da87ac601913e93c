//! Progress bars, as far as scripts know them: a label and how much is done. Who draws them is the output's affair.

use rhai::NativeCallContext;

use super::arguments::Options;
use super::host::with_host;
use super::throw::Outcome;

/// A bar that somebody draws.
pub trait Bar: Send {
    /// One more is done.
    fn advance(&mut self);

    /// So many more bytes have come, of so many where that is known.
    fn advance_bytes(&mut self, bytes: u64, total: Option<u64>);
}

/// A bar, or nothing where nobody looks.
#[derive(Default)]
pub struct Progress(Option<Box<dyn Bar>>);

impl Progress {
    /// The bar that the option `progress` asks for, of `total` where that is known.
    ///
    /// # Errors
    /// `TypeError` when the label is no string.
    pub fn from_options(ctx: &NativeCallContext, options: &mut Options, total: Option<usize>) -> Outcome<Progress> {
        let label = options.text(ctx, "progress")?;
        Ok(Progress(label.and_then(|label| with_host(|host| host.bar(&label, total)))))
    }

    /// One more is done.
    pub fn advance(&mut self) {
        if let Some(bar) = &mut self.0 {
            bar.advance();
        }
    }
}
