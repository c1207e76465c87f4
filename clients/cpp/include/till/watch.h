/// Watches of invoices.
#ifndef TILL_WATCH_H_
#define TILL_WATCH_H_

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "till/errors.h"
#include "till/v1/invoice.pb.h"

namespace till {

class Session;

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
  /// Called in the thread that waits in Watch::Next, once for each change of the connection.
  std::function<void(const Connection&)> on_connection;
};

/// A watch of one invoice, across lost connections: see Client::Watch. One thread calls Next; any may call Cancel.
class Watch {
 public:
  Watch(Watch&&) noexcept;
  Watch& operator=(Watch&&) noexcept;

  /// Cancels the watch, at Till too.
  ~Watch();

  /// Waits for the next state of the invoice. None: the watch has ended, and Finish returns why.
  [[nodiscard]] std::optional<v1::Invoice> Next();

  /// Success after the invoice was paid or expired; else the error that ended the watch. FAILED_PRECONDITION: it has not
  /// ended. Call Next until it returns none.
  [[nodiscard]] Result<void> Finish() const;

  /// Ends the watch: Next returns none soon, and Finish returns CANCELLED.
  void Cancel();

 private:
  friend class Client;
  class Impl;

  Watch(std::shared_ptr<const Session> session, std::string invoice_id, WatchOptions options);

  std::unique_ptr<Impl> impl_;
};

}  // namespace till

#endif  // TILL_WATCH_H_
