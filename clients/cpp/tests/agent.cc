// The agent of the C++ client: see clients/conformance/README.md.
#include <chrono>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
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
using Invoices = till::v1::InvoiceService::StubInterface;
using TimePoint = std::chrono::system_clock::time_point;

const char* const kStatuses[] = {"OK",           "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
                                 "NOT_FOUND",    "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
                                 "ABORTED",      "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
                                 "DATA_LOSS",    "UNAUTHENTICATED"};

/// What the driver says, by its names.
class Order {
 public:
  explicit Order(Struct told) : told_(std::move(told)) {}

  std::string Text(const std::string& name) const { return Find(name).string_value(); }
  int Number(const std::string& name) const { return static_cast<int>(Find(name).number_value()); }
  TimePoint Deadline() const {
    const double seconds = Find("timeout_seconds").number_value();
    if (seconds == 0) return TimePoint::max();
    return std::chrono::system_clock::now() + std::chrono::milliseconds(static_cast<long>(seconds * 1000));
  }
  /// Throws std::invalid_argument where the request is none.
  void Request(Message* request) const {
    std::string json;
    auto status = MessageToJsonString(Find("request").struct_value(), &json);
    if (status.ok()) status = JsonStringToMessage(json, request);
    if (!status.ok()) throw std::invalid_argument(status.ToString());
  }

 private:
  google::protobuf::Value Find(const std::string& name) const {
    const auto found = told_.fields().find(name);
    return found == told_.fields().end() ? google::protobuf::Value() : found->second;
  }

  Struct told_;
};

std::string Json(const Message& message) {
  std::string json;
  const auto status = MessageToJsonString(message, &json);
  if (!status.ok()) throw std::invalid_argument(status.ToString());
  return json;
}

std::string Plain(const grpc::Status& status) {
  Struct told;
  auto& fields = *told.mutable_fields();
  fields["status"].set_string_value(kStatuses[status.error_code()]);
  fields["message"].set_string_value(status.error_message());
  if (const auto code = till::Code(status); !code.empty()) fields["code"].set_string_value(code);
  if (const auto reason = till::Reason(status); !reason.empty()) fields["reason"].set_string_value(reason);
  if (const auto wait = till::RetryAfter(status)) {
    fields["retry_seconds"].set_number_value(std::chrono::duration<double>(*wait).count());
  }
  return Json(told);
}

void Say(int id, const std::string& what, const std::string& json) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  std::cout << R"({"id":)" << id << R"(,")" << what << R"(":)" << json << "}" << std::endl;
}

void End(int id, const grpc::Status& status, const std::string& ok = "{}") {
  if (status.ok()) {
    Say(id, "ok", ok);
  } else {
    Say(id, "error", Plain(status));
  }
}

using Method = std::function<grpc::Status(Invoices&, grpc::ClientContext*, const Order&, std::string*)>;

template <class Request, class Response>
Method Calling(grpc::Status (Invoices::*method)(grpc::ClientContext*, const Request&, Response*)) {
  return [method](Invoices& invoices, grpc::ClientContext* context, const Order& order, std::string* ok) {
    Request request;
    Response response;
    order.Request(&request);
    const auto status = (invoices.*method)(context, request, &response);
    if (status.ok()) *ok = Json(response);
    return status;
  };
}

const std::map<std::string, Method> kMethods = {
    {"CreateInvoice", Calling(&Invoices::CreateInvoice)},   {"GetInvoice", Calling(&Invoices::GetInvoice)},
    {"GetInvoiceById", Calling(&Invoices::GetInvoiceById)}, {"LookupInvoice", Calling(&Invoices::LookupInvoice)},
    {"GetInfo", Calling(&Invoices::GetInfo)},
};

/// Does what it is told, everything at once.
class Agent {
 public:
  void Run() {
    for (std::string line; std::getline(std::cin, line);) {
      Struct told;
      if (!JsonStringToMessage(line, &told).ok()) throw std::invalid_argument("this is no JSON: " + line);
      Do(Order(std::move(told)));
    }
    for (const auto& [_, cancel] : cancels_) cancel();
    for (auto& each : going_on_) each.join();
  }

 private:
  void Do(const Order& order) {
    const auto id = order.Number("id");
    const auto op = order.Text("op");
    if (op == "connect") {
      try {
        Connect(order);
        Say(id, "ok", "{}");
      } catch (const std::invalid_argument& wrong) {
        End(id, {grpc::StatusCode::UNKNOWN, wrong.what()});
      }
    } else if (op == "cancel") {
      cancels_.at(order.Number("call"))();
      Say(id, "ok", "{}");
    } else if (op == "watch") {
      till::v1::WatchInvoiceRequest request;
      order.Request(&request);
      const std::shared_ptr<till::Watch> watch = client_->Watch(request.invoice_id(), order.Deadline());
      cancels_[id] = [watch] { watch->Cancel(); };
      going_on_.emplace_back([id, watch] {
        till::v1::WatchInvoiceResponse state;
        while (watch->Read(state.mutable_invoice())) Say(id, "event", Json(state));
        End(id, watch->Finish());
      });
    } else {
      const auto context = std::make_shared<grpc::ClientContext>();
      context->set_deadline(order.Deadline());
      cancels_[id] = [context] { context->TryCancel(); };
      going_on_.emplace_back([id, context, order, client = client_] { Call(id, context.get(), order, *client); });
    }
  }

  void Connect(const Order& order) {
    till::Options options;
    options.key = order.Text("key");
    if (const auto file = order.Text("ca_file"); !file.empty()) {
      std::ifstream stream(file);
      grpc::SslCredentialsOptions tls;
      tls.pem_root_certs.assign(std::istreambuf_iterator<char>(stream), {});
      options.credentials = grpc::SslCredentials(tls);
    }
    client_ = std::make_shared<till::Client>(order.Text("address"), options);
  }

  static void Call(int id, grpc::ClientContext* context, const Order& order, const till::Client& client) {
    std::string ok;
    try {
      const auto status = kMethods.at(order.Text("method"))(client.invoices(), context, order, &ok);
      End(id, status, ok);
    } catch (const std::exception& wrong) {
      End(id, {grpc::StatusCode::UNKNOWN, wrong.what()});
    }
  }

  std::shared_ptr<till::Client> client_;
  std::map<int, std::function<void()>> cancels_;
  std::vector<std::thread> going_on_;
};

}  // namespace

int main() { Agent().Run(); }
