#include "till/events.h"

#include <algorithm>
#include <utility>

#include "items.h"

namespace till {
namespace {

// Three heartbeats of Till.
constexpr auto kLongestSilence = std::chrono::seconds(45);

/// One call of WatchEvents, whose reads have a time limit. gRPC's synchronous reader has none.
class EventCall {
 public:
  EventCall(v1::EventService::StubInterface& stub, grpc::ClientContext* context, const v1::WatchEventsRequest& request)
      : context_(context), reader_(stub.PrepareAsyncWatchEvents(context, request, &queue_)) {
    reader_->StartCall(this);
    Await();
  }

  ~EventCall() {
    queue_.Shutdown();
    void* tag;
    bool ok;
    while (queue_.Next(&tag, &ok)) {
    }
  }

  /// False: the call has ended.
  bool Read(v1::WatchEventsResponse* response) {
    reader_->Read(response, this);
    return Await();
  }

  grpc::Status Finish() {
    grpc::Status status;
    reader_->Finish(&status, this);
    void* tag;
    bool ok;
    queue_.Next(&tag, &ok);
    if (is_silent_) return {grpc::StatusCode::UNAVAILABLE, "no response for 45 s"};
    if (status.ok()) return {grpc::StatusCode::UNAVAILABLE, "the event stream ended"};
    return status;
  }

 private:
  /// Waits for the only pending operation. Cancels the call if that takes too long.
  bool Await() {
    void* tag;
    bool ok = false;
    const auto until = std::chrono::system_clock::now() + kLongestSilence;
    if (queue_.AsyncNext(&tag, &ok, until) == grpc::CompletionQueue::TIMEOUT) {
      is_silent_ = true;
      context_->TryCancel();
      queue_.Next(&tag, &ok);
    }
    return ok;
  }

  grpc::CompletionQueue queue_;
  grpc::ClientContext* const context_;
  const std::unique_ptr<grpc::ClientAsyncReaderInterface<v1::WatchEventsResponse>> reader_;
  bool is_silent_ = false;
};

class Streaming : public Attempted<v1::Event> {
 public:
  Streaming(std::shared_ptr<const Session> session, EventOptions options)
      : Attempted(std::move(session), "event stream"), may_reconnect_(options.wait_for_ready) {
    attempts_.on_connection = std::move(options.on_connection);
    attempts_.Start(options.timeout);
    request_.set_all_users(options.all_users);
    std::visit([this](const auto& start) { BeginAt(start); }, options.start);
    if (!options.types.empty()) {
      *request_.mutable_filter()->mutable_types() = {options.types.begin(), options.types.end()};
    }
    if (options.metadata_type) request_.mutable_filter()->set_metadata_type(*options.metadata_type);
    if (!v1::WatchEventsRequest().ParseFromString(request_.SerializeAsString())) {
      // Till's error has no code: it would look like a lost connection.
      End(Error({grpc::StatusCode::INVALID_ARGUMENT, "the cursor or the filter is not valid UTF-8"}));
    }
  }

  ~Streaming() override {
    Cancel();
    if (call_) call_->Finish();
  }

  std::optional<v1::Event> Next() override {
    while (!end_) {
      if (attempts_.IsCancelled()) {
        End(attempts_.Cancelled());
      } else if (taken_ < response_.events_size()) {
        auto& event = *response_.mutable_events(taken_++);
        if (IsNews(event)) return std::move(event);
      } else if (call_ || Begin()) {
        Receive();
      }
    }
    return std::nullopt;
  }

 private:
  void BeginAt(FromNow) { request_.set_from(v1::LOG_POSITION_NOW); }
  void BeginAt(FromBeginning) { request_.set_from(v1::LOG_POSITION_BEGINNING); }
  void BeginAt(After start) { request_.set_after(start.sequence); }
  void BeginAt(const AfterCursor& start) {
    request_.set_cursor(start.cursor);
    request_.set_all_users(true);
  }

  /// Begins an attempt. False: the stream has ended.
  bool Begin() {
    const auto context = attempts_.Begin();
    if (!context) return End(context.error());
    last_ = request_.after();
    call_ = std::make_unique<EventCall>(*session_->events, *context, request_);
    return true;
  }

  /// Waits for the next response, or loses the connection.
  void Receive() {
    response_.Clear();
    taken_ = 0;
    if (!call_->Read(&response_)) return Lose();
    attempts_.Received();
    may_reconnect_ = true;
    // Where the next attempt begins: an attempt ends after the events of this response.
    if (request_.all_users()) {
      request_.set_cursor(response_.next_cursor());
    } else {
      request_.set_after(std::max(last_, response_.next_after()));
    }
  }

  /// Takes note of an event. False: it came before.
  bool IsNews(const v1::Event& event) {
    if (request_.all_users()) return true;
    if (event.sequence() <= last_) return false;
    last_ = event.sequence();
    return true;
  }

  /// Ends the attempt, then pauses before the next one, or ends the stream.
  void Lose() {
    const auto status = call_->Finish();
    call_.reset();
    if (const auto again = attempts_.PauseAfter(status, may_reconnect_); !again) End(again);
  }

  v1::WatchEventsRequest request_;
  // After the first response, or from the start.
  bool may_reconnect_;
  std::unique_ptr<EventCall> call_;
  v1::WatchEventsResponse response_;
  // How many events of the response were taken.
  int taken_ = 0;
  // The sequence that the stream has reached. 0 with all users.
  std::uint64_t last_ = 0;
};

}  // namespace

EventStream StartEvents(std::shared_ptr<const Session> session, EventOptions options) {
  return EventStream(std::make_unique<Streaming>(std::move(session), std::move(options)));
}

}  // namespace till
