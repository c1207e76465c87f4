// The agent of the C++ client for the conformance suite: clients/conformance/README.md.
#include <chrono>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include "till/client.h"

namespace {

using google::protobuf::Message;
using google::protobuf::Struct;
using google::protobuf::util::JsonStringToMessage;
using google::protobuf::util::MessageToJsonString;
using till::Client;
using till::Error;

const char* const kStatuses[] = {"OK",           "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
                                 "NOT_FOUND",    "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
                                 "ABORTED",      "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
                                 "DATA_LOSS",    "UNAUTHENTICATED"};

/// A line of the driver.
class Order {
 public:
  explicit Order(Struct fields) : fields_(std::move(fields)) {}

  std::string Text(const std::string& name) const { return Find(name).string_value(); }
  int Number(const std::string& name) const { return static_cast<int>(Find(name).number_value()); }
  bool Flag(const std::string& name) const { return Find(name).bool_value(); }
  std::optional<std::chrono::milliseconds> Timeout() const {
    const double seconds = Find("timeout_seconds").number_value();
    if (seconds == 0) return std::nullopt;
    return std::chrono::milliseconds(static_cast<long>(seconds * 1000));
  }
  /// The request. Throws std::invalid_argument if it is malformed.
  template <class Request>
  Request As() const {
    Request request;
    std::string json;
    auto status = MessageToJsonString(Find("request").struct_value(), &json);
    if (status.ok()) status = JsonStringToMessage(json, &request);
    if (!status.ok()) throw std::invalid_argument(status.ToString());
    return request;
  }

 private:
  google::protobuf::Value Find(const std::string& name) const {
    const auto found = fields_.fields().find(name);
    return found == fields_.fields().end() ? google::protobuf::Value() : found->second;
  }

  Struct fields_;
};

std::string Json(const Message& message) {
  std::string json;
  const auto status = MessageToJsonString(message, &json);
  if (!status.ok()) throw std::invalid_argument(status.ToString());
  return json;
}

Error Unknown(const std::exception& failure) { return Error({grpc::StatusCode::UNKNOWN, failure.what()}); }

Struct Fields(const Error& error) {
  Struct all;
  auto& fields = *all.mutable_fields();
  fields["status"].set_string_value(kStatuses[error.status_code()]);
  fields["message"].set_string_value(error.message());
  if (error.code()) fields["code"].set_string_value(till::ToString(*error.code()));
  if (!error.reason().empty()) fields["reason"].set_string_value(error.reason());
  // As text: numbers of Struct have 53 bits.
  if (const auto oldest = error.oldest_sequence()) fields["oldest_sequence"].set_string_value(std::to_string(*oldest));
  if (const auto wait = error.retry_after()) {
    fields["retry_seconds"].set_number_value(std::chrono::duration<double>(*wait).count());
  }
  return all;
}

Struct Fields(const till::Connection& connection) {
  Struct all;
  auto& fields = *all.mutable_fields();
  fields["lost"].set_bool_value(connection.lost);
  fields["attempt"].set_number_value(connection.attempt);
  fields["error"].set_null_value({});
  if (connection.error) *fields["error"].mutable_struct_value() = Fields(*connection.error);
  return all;
}

void Say(int id, const std::string& what, const std::string& json) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  std::cout << R"({"id":)" << id << R"(,")" << what << R"(":)" << json << "}" << std::endl;
}

void Fail(int id, const Error& error) { Say(id, "error", Json(Fields(error))); }

using Method = std::function<void(const Client&, grpc::ClientContext*, const Order&)>;

template <class Request, class Response>
Method Calling(till::Result<Response> (Client::*method)(const Request&, grpc::ClientContext*) const) {
  return [method](const Client& client, grpc::ClientContext* context, const Order& order) {
    const auto response = (client.*method)(order.As<Request>(), context);
    Say(order.Number("id"), "ok", Json(response.value()));
  };
}

/// The same for methods that return a secret. Their text form goes to the log, which the driver searches for secrets.
template <class Request>
Method Calling(till::Result<till::WebhookSecret> (Client::*method)(const Request&, grpc::ClientContext*) const) {
  return [method](const Client& client, grpc::ClientContext* context, const Order& order) {
    const auto created = (client.*method)(order.As<Request>(), context).value();
    std::cerr << created << std::endl;
    till::v1::CreateWebhookResponse response;
    *response.mutable_webhook() = created.webhook;
    response.set_secret(created.secret);
    Say(order.Number("id"), "ok", Json(response));
  };
}

const std::map<std::string, Method> kMethods = {
    {"CreateInvoice", Calling(&Client::CreateInvoice)},   {"GetInvoice", Calling(&Client::GetInvoice)},
    {"GetInvoiceById", Calling(&Client::GetInvoiceById)}, {"LookupInvoice", Calling(&Client::LookupInvoice)},
    {"ListInvoices", Calling(&Client::ListInvoices)},     {"CancelInvoice", Calling(&Client::CancelInvoice)},
    {"GetReport", Calling(&Client::GetReport)},           {"GetInfo", Calling(&Client::GetInfo)},
    {"ListEvents", Calling(&Client::ListEvents)},         {"CreateWebhook", Calling(&Client::CreateWebhook)},
    {"GetWebhook", Calling(&Client::GetWebhook)},         {"ListWebhooks", Calling(&Client::ListWebhooks)},
    {"UpdateWebhook", Calling(&Client::UpdateWebhook)},   {"DeleteWebhook", Calling(&Client::DeleteWebhook)},
    {"RotateSecret", Calling(&Client::RotateSecret)},     {"TestWebhook", Calling(&Client::TestWebhook)},
    {"RedeliverEvent", Calling(&Client::RedeliverEvent)}, {"ReplayEvents", Calling(&Client::ReplayEvents)},
};

/// Carries out the driver's orders concurrently.
class Agent {
 public:
  void Run() {
    for (std::string line; std::getline(std::cin, line);) {
      Struct fields;
      if (!JsonStringToMessage(line, &fields).ok()) throw std::invalid_argument("malformed JSON: " + line);
      Do(Order(std::move(fields)));
    }
    for (const auto& [_, cancel] : cancels_) cancel();
    for (auto& each : threads_) each.join();
  }

 private:
  void Do(const Order& order) {
    const auto id = order.Number("id");
    const auto op = order.Text("op");
    if (op == "connect") {
      Guarded(id, [&] {
        Connect(order);
        Say(id, "ok", "{}");
      });
    } else if (op == "cancel") {
      cancels_.at(order.Number("call"))();
      Say(id, "ok", "{}");
    } else if (op == "watch") {
      till::WatchOptions options;
      SetConnection(options, order);
      Report(id, client_->Watch(order.As<till::v1::WatchInvoiceRequest>().invoice_id(), options));
    } else if (op == "events") {
      auto options = EventOptions(order.As<till::v1::WatchEventsRequest>());
      SetConnection(options, order);
      Report(id, client_->Events(options), order.Number("limit"));
    } else if (op == "list") {
      till::ListOptions options;
      options.page_timeout = order.Timeout();
      if (order.Text("method") == "ListDeliveries") {
        Report(id, client_->Deliveries(order.As<till::v1::ListDeliveriesRequest>(), options), order.Number("limit"));
      } else {
        Report(id, client_->List(order.As<till::v1::ListInvoicesRequest>(), options), order.Number("limit"));
      }
    } else if (op == "export") {
      till::ExportOptions options;
      options.timeout = order.Timeout();
      Report(id, client_->Export(order.As<till::v1::ExportInvoicesRequest>(), options));
    } else {
      const auto context = std::make_shared<grpc::ClientContext>();
      if (const auto timeout = order.Timeout()) context->set_deadline(std::chrono::system_clock::now() + *timeout);
      cancels_[id] = [context] { context->TryCancel(); };
      threads_.emplace_back([id, context, order, client = client_] {
        Guarded(id, [&] { kMethods.at(order.Text("method"))(*client, context.get(), order); });
      });
    }
  }

  void Connect(const Order& order) {
    till::Options options;
    options.key = order.Text("key");
    options.allow_plaintext_key = order.Flag("allow_plaintext_key");
    if (const auto file = order.Text("key_file"); !file.empty()) options.key_function = [file] { return Content(file); };
    if (const auto file = order.Text("ca_file"); !file.empty()) options.tls.emplace().pem_root_certs = Content(file);
    client_ = std::make_shared<Client>(order.Text("address"), options);
  }

  /// Sets the options that watches and events have in common.
  template <class Options>
  static void SetConnection(Options& options, const Order& order) {
    options.timeout = order.Timeout();
    options.wait_for_ready = order.Flag("wait_for_ready");
    if (!order.Flag("connection")) return;
    options.on_connection = [id = order.Number("id")](const till::Connection& change) {
      Say(id, "connection", Json(Fields(change)));
    };
  }

  /// The options that make the client send a request.
  static till::EventOptions EventOptions(const till::v1::WatchEventsRequest& request) {
    till::EventOptions options;
    if (request.has_after()) options.start = till::After{request.after()};
    if (request.has_cursor()) options.start = till::AfterCursor{request.cursor()};
    if (request.from() == till::v1::LOG_POSITION_BEGINNING) options.start = till::FromBeginning();
    options.types = {request.filter().types().begin(), request.filter().types().end()};
    if (request.filter().has_metadata_type()) options.metadata_type = request.filter().metadata_type();
    options.all_users = request.all_users();
    return options;
  }

  static std::string Event(const till::v1::ExportInvoicesResponse& part) { return Json(part); }

  static std::string Event(const till::v1::Event& event) { return Json(event); }

  static std::string Event(const till::v1::Invoice& invoice) {
    till::v1::WatchInvoiceResponse state;
    *state.mutable_invoice() = invoice;
    return Json(state);
  }

  static std::string Event(const till::v1::WebhookDelivery& delivery) { return R"({"delivery":)" + Json(delivery) + "}"; }

  /// Reports items, up to a limit; 0: all.
  template <class T>
  void Report(int id, till::Items<T> items, int limit = 0) {
    auto shared = std::make_shared<till::Items<T>>(std::move(items));
    // Weak: leaving the items early destroys them, as in a caller's program.
    cancels_[id] = [weak = std::weak_ptr(shared)] {
      if (const auto items = weak.lock()) items->Cancel();
    };
    threads_.emplace_back([id, shared = std::move(shared), limit] {
      Guarded(id, [&] {
        int taken = 0;
        for (const auto& item : *shared) {
          Say(id, "event", Event(item));
          if (++taken == limit) break;
        }
        Say(id, "ok", "{}");
      });
    });
  }

  /// Runs an order, and reports what it throws.
  static void Guarded(int id, const std::function<void()>& order) {
    try {
      order();
    } catch (const Error& error) {
      Fail(id, error);
    } catch (const std::exception& failure) {
      Fail(id, Unknown(failure));
    }
  }

  static std::string Content(const std::string& file) {
    std::ifstream stream(file);
    if (!stream) throw std::runtime_error("cannot read " + file);
    return {std::istreambuf_iterator<char>(stream), {}};
  }

  std::shared_ptr<Client> client_;
  std::map<int, std::function<void()>> cancels_;
  std::vector<std::thread> threads_;
};

}  // namespace

int main() { Agent().Run(); }
