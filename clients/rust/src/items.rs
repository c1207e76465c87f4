//! Items that arrive one after the other.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::error::Error;

/// The items of a watch, an event stream, a list or an export.
///
/// `Items` are also a [`Stream`]. Nothing is sent before the first [`next`](Self::next). Dropping them cancels the
/// call, at Till too.
#[must_use = "nothing is sent until `next` is called"]
pub struct Items<T> {
    items: Pin<Box<dyn Stream<Item = Result<T, Error>> + Send>>,
}

impl<T> Items<T> {
    pub(crate) fn new(items: impl Stream<Item = Result<T, Error>> + Send + 'static) -> Self {
        Self { items: Box::pin(items) }
    }

    /// Wait for the next item. None: that was all. None follows an error, too.
    ///
    /// Cancel safe: no item is lost if the future is dropped, as in `tokio::select!`.
    ///
    /// # Errors
    ///
    /// The error is the last item: see the method of [`Client`](crate::Client) that returned the items.
    pub async fn next(&mut self) -> Option<Result<T, Error>> {
        poll_fn(|context| self.items.as_mut().poll_next(context)).await
    }

    /// Wait for the next item, as [`next`](Self::next), in the order that `?` needs.
    ///
    /// # Errors
    ///
    /// As for [`next`](Self::next).
    pub async fn try_next(&mut self) -> Result<Option<T>, Error> {
        self.next().await.transpose()
    }
}

impl<T> Stream for Items<T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.items.as_mut().poll_next(context)
    }
}

impl<T> fmt::Debug for Items<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Items").finish_non_exhaustive()
    }
}
