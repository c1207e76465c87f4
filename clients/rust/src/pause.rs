//! Pauses before another attempt.

use std::time::Duration;

use crate::error::Error;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(1500);

/// Return the pause after an error, or None if waiting does not help. Jitter keeps many clients apart.
pub(crate) fn pause(error: &Error, failures: u32) -> Option<Duration> {
    let jitter = fastrand::f64() / 2.0;
    if let Some(delay) = error.retry_after() {
        return Some(delay.mul_f64(1.0 + jitter));
    }
    let pause = LONGEST_PAUSE.min(FIRST_PAUSE * 2_u32.pow(failures.min(5)));
    error.is_loss().then(|| pause.mul_f64(0.5 + jitter))
}
