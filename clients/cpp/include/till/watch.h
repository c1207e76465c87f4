/// Watches of invoices.
#ifndef TILL_WATCH_H_
#define TILL_WATCH_H_

#include <chrono>
#include <functional>
#include <optional>

#include "till/errors.h"
#include "till/items.h"
#include "till/v1/invoice.pb.h"

namespace till {

/// A change of a watch's connection.
struct Connection {
  /// True before each pause; false when the first message after a loss arrives.
  bool lost;
  /// Failures in a row: from 1 if lost, else their number before this message.
  int attempt;
  /// Why the connection was lost; none if it was not.
  std::optional<Error> error;
};

/// Options of a watch.
struct WatchOptions {
  /// The deadline of the watch, over all its connections, from its start. None: it ends with the invoice.
  std::optional<std::chrono::milliseconds> timeout;
  /// Whether to reconnect before the first state too. Else a watch that Till has not answered yet fails as a call does.
  bool wait_for_ready = false;
  /// Called in the thread that waits in Next, once for each change of the connection.
  std::function<void(const Connection&)> on_connection;
};

/// The states of one invoice, across lost connections: see Client::Watch. Finish returns success after the invoice was
/// paid, expired or canceled.
using Watch = Items<v1::Invoice>;

}  // namespace till

#endif  // TILL_WATCH_H_
