/// Streams of events.
#ifndef TILL_EVENTS_H_
#define TILL_EVENTS_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "till/items.h"
#include "till/v1/event.pb.h"
#include "till/v1/event_service.pb.h"
#include "till/watch.h"

namespace till {

/// Begins behind the event with this sequence, as a rule the last one that was handled. 0: before the first event ever.
struct After {
  std::uint64_t sequence;
};

/// Begins behind a cursor of the events of all users.
struct AfterCursor {
  std::string cursor;
};

/// Begins with the oldest event that Till has kept.
struct FromBeginning {};

/// Begins with the first event after the connection is made.
struct FromNow {};

/// Options of a stream of events.
struct EventOptions {
  std::variant<FromNow, FromBeginning, After, AfterCursor> start;
  /// Any of these types, such as "invoice.paid". Empty: all.
  std::vector<std::string> types;
  /// Only events of invoices with this type in their metadata. None: all.
  std::optional<std::string> metadata_type;
  /// Whether to read the events of all users, for keys with the scope admin.
  bool all_users = false;
  /// The deadline of the stream, over all its connections, from its start. None: it has no end.
  std::optional<std::chrono::milliseconds> timeout;
  /// Whether to reconnect before Till's first response too. Else a stream that Till has not answered yet fails as a call.
  bool wait_for_ready = false;
  /// Called in the thread that waits in Next, once for each change of the connection.
  std::function<void(const Connection&)> on_connection;
};

/// Events, each once and in order, across lost connections: see Client::Events.
using EventStream = Items<v1::Event>;

}  // namespace till

#endif  // TILL_EVENTS_H_
