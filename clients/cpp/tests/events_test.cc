// Tests of events, on a server in the same process. The conformance suite tests the rest.
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "expect.h"
#include "till/client.h"

namespace {

using till::v1::WatchEventsRequest;
using till::v1::WatchEventsResponse;
using Writer = grpc::ServerWriter<WatchEventsResponse>;

WatchEventsResponse Batch(std::uint64_t next_after, const std::vector<std::uint64_t>& sequences) {
  WatchEventsResponse response;
  for (const auto each : sequences) response.add_events()->set_sequence(each);
  response.set_next_after(next_after);
  return response;
}

/// Answers the attempts at a stream with batches, then an error; the last attempt stays open.
class Server final : public till::v1::EventService::Service {
 public:
  explicit Server(std::vector<std::vector<WatchEventsResponse>> attempts)
      : attempts_(std::move(attempts)), server_(grpc::ServerBuilder().RegisterService(this).BuildAndStart()) {}
  ~Server() override { server_->Shutdown(std::chrono::system_clock::now()); }

  till::Client Client() const { return till::Client(server_->InProcessChannel({})); }

  grpc::Status WatchEvents(grpc::ServerContext* context, const WatchEventsRequest* request, Writer* writer) override {
    std::size_t attempt;
    {
      const std::lock_guard lock(mutex_);
      attempt = requests_.size();
      requests_.push_back(*request);
    }
    for (const auto& each : attempts_.at(attempt)) writer->Write(each);
    if (attempt + 1 < attempts_.size()) return {grpc::StatusCode::UNAVAILABLE, "away"};
    while (!context->IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return grpc::Status::CANCELLED;
  }

  std::vector<WatchEventsRequest> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  const std::vector<std::vector<WatchEventsResponse>> attempts_;
  std::mutex mutex_;
  std::vector<WatchEventsRequest> requests_;
  const std::unique_ptr<grpc::Server> server_;
};

grpc::StatusCode EndOf(const till::EventStream& events) { return events.Finish().error().status_code(); }

void EventsContinueBehindTheLastOne() {
  Server server({{Batch(0, {})}, {Batch(2, {1, 2}), Batch(3, {3})}, {Batch(7, {})}, {}, {Batch(9, {6, 7, 8, 9})}});
  auto events = server.Client().Events();
  for (const std::uint64_t wanted : {1, 2, 3, 8, 9}) {
    const auto event = events.Next();
    Expect(event && event->sequence() == wanted, "event " + std::to_string(wanted));
  }
  const auto requests = server.requests();
  Expect(requests[0].from() == till::v1::LOG_POSITION_NOW, "from now");
  Expect(requests[1].has_after() && requests[1].after() == 0, "behind nothing");
  Expect(requests[2].after() == 3 && requests[3].after() == 7 && requests[4].after() == 7, "behind a heartbeat");
}

void EventsOfAllUsersContinueAtTheCursor() {
  auto heartbeat = Batch(0, {});
  heartbeat.set_next_cursor("two");
  Server server({{Batch(0, {5, 1}), heartbeat}, {Batch(0, {1})}});
  till::EventOptions options;
  options.start = till::AfterCursor{"one"};
  auto events = server.Client().Events(options);
  Expect(events.Next()->sequence() == 5 && events.Next()->sequence() == 1 && events.Next()->sequence() == 1, "all events");
  const auto requests = server.requests();
  Expect(requests[0].cursor() == "one" && requests[1].cursor() == "two", "the cursors");
  Expect(requests[0].all_users() && requests[1].all_users(), "all users");
}

void TheOptionsAreSent() {
  Server server({{Batch(5, {5})}});
  till::EventOptions options;
  options.start = till::FromBeginning();
  options.types = {"invoice.paid"};
  options.metadata_type = "";
  Expect(server.Client().Events(options).Next().has_value(), "an event");
  const auto request = server.requests()[0];
  Expect(request.from() == till::v1::LOG_POSITION_BEGINNING, "from the beginning");
  Expect(request.filter().types(0) == "invoice.paid" && request.filter().has_metadata_type(), "the filter");
  Expect(!request.all_users(), "one user");
}

void EventsFailLikeACallBeforeTheFirstResponse() {
  Server server({{}, {}, {Batch(5, {5})}});
  auto events = server.Client().Events();
  Expect(!events.Next() && EndOf(events) == grpc::StatusCode::UNAVAILABLE, "the first attempt fails");
  till::EventOptions options;
  options.wait_for_ready = true;
  std::vector<int> attempts;
  options.on_connection = [&](const till::Connection& change) {
    attempts.push_back(change.lost ? -change.attempt : change.attempt);
  };
  Expect(server.Client().Events(options).Next()->sequence() == 5, "an event");
  Expect(attempts == std::vector<int>{-1, 1}, "lost once, and back");
}

void EventsAreCancelled() {
  Server server({{Batch(2, {1, 2})}});
  auto events = server.Client().Events();
  Expect(events.Next() && EndOf(events) == grpc::StatusCode::FAILED_PRECONDITION, "before the end");
  events.Cancel();
  Expect(!events.Next(), "none after Cancel, though the response has one");
  Expect(EndOf(events) == grpc::StatusCode::CANCELLED, "CANCELLED");
}

void WaitingEventsAreCancelled() {
  Server server({{Batch(0, {})}});
  auto events = server.Client().Events();
  std::thread cancelling([&] { events.Cancel(); });
  Expect(!events.Next() && EndOf(events) == grpc::StatusCode::CANCELLED, "CANCELLED");
  cancelling.join();
}

void EventsThatAreDestroyedAreCancelled() {
  Server server({{Batch(1, {1})}});
  Expect(server.Client().Events().Next().has_value(), "an event");
  // Else the server waits for them until the test times out.
}

void EventsHaveADeadline() {
  Server server({{Batch(0, {})}});
  till::EventOptions options;
  options.timeout = std::chrono::milliseconds(200);
  auto events = server.Client().Events(options);
  Expect(!events.Next() && EndOf(events) == grpc::StatusCode::DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED");
}

void TextIsUTF8() {
  Server server({});
  till::EventOptions options;
  options.wait_for_ready = true;
  options.types = {"\xff"};
  auto events = server.Client().Events(options);
  Expect(!events.Next() && EndOf(events) == grpc::StatusCode::INVALID_ARGUMENT, "INVALID_ARGUMENT");
}

}  // namespace

int main() {
  EventsContinueBehindTheLastOne();
  EventsOfAllUsersContinueAtTheCursor();
  TheOptionsAreSent();
  EventsFailLikeACallBeforeTheFirstResponse();
  EventsAreCancelled();
  WaitingEventsAreCancelled();
  EventsThatAreDestroyedAreCancelled();
  EventsHaveADeadline();
  TextIsUTF8();
}
