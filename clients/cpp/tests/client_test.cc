// Tests of what only a C++ program sees, on a server in the same process. The conformance suite tests the rest.
#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "expect.h"
#include "till/client.h"

namespace {

bool IsRejected(const std::string& address, const till::Options& options) {
  try {
    till::Client(address, options);
    return false;
  } catch (const std::invalid_argument&) {
    return true;
  }
}

/// Answers GetInfo with the caller's authorization, and a watch with UNPAID until it is cancelled. Lists "1" and "2", an
/// empty page, and "3"; the last page and an export, after its header, end as the type of the filter says.
class Server final : public till::v1::InvoiceService::Service {
 public:
  Server() : server_(grpc::ServerBuilder().RegisterService(this).BuildAndStart()) {}
  ~Server() override { server_->Shutdown(std::chrono::system_clock::now()); }

  till::Client Client(till::Options options = {}) const {
    return till::Client(server_->InProcessChannel({}), std::move(options));
  }

  grpc::Status GetInfo(grpc::ServerContext* context, const till::v1::GetInfoRequest*,
                       till::v1::GetInfoResponse* response) override {
    const auto& metadata = context->client_metadata();
    const auto found = metadata.find("authorization");
    if (found != metadata.end()) response->mutable_node()->set_alias({found->second.data(), found->second.size()});
    return grpc::Status::OK;
  }

  grpc::Status WatchInvoice(grpc::ServerContext* context, const till::v1::WatchInvoiceRequest*,
                            grpc::ServerWriter<till::v1::WatchInvoiceResponse>* writer) override {
    till::v1::WatchInvoiceResponse state;
    state.mutable_invoice()->set_status(till::v1::INVOICE_STATUS_UNPAID);
    writer->Write(state);
    while (!context->IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return grpc::Status::CANCELLED;
  }

  grpc::Status ListInvoices(grpc::ServerContext* context, const till::v1::ListInvoicesRequest* request,
                            till::v1::ListInvoicesResponse* response) override {
    ++pages;
    const auto& token = request->page_token();
    if (token == "last") {
      response->add_invoices()->set_id("3");
      return End(context, request->filter());
    }
    response->set_next_page_token(token.empty() ? "empty" : "last");
    if (token.empty()) {
      response->add_invoices()->set_id("1");
      response->add_invoices()->set_id("2");
    }
    return grpc::Status::OK;
  }

  grpc::Status ExportInvoices(grpc::ServerContext* context, const till::v1::ExportInvoicesRequest* request,
                              grpc::ServerWriter<till::v1::ExportInvoicesResponse>* writer) override {
    till::v1::ExportInvoicesResponse part;
    part.set_csv("id\r\n");
    writer->Write(part);
    return End(context, request->filter());
  }

  mutable std::atomic<int> pages = 0;

 private:
  static grpc::Status End(grpc::ServerContext* context, const till::v1::InvoiceFilter& filter) {
    if (filter.type() == "UNAVAILABLE") return {grpc::StatusCode::UNAVAILABLE, "away"};
    if (filter.type() == "PERMISSION_DENIED") return {grpc::StatusCode::PERMISSION_DENIED, "no"};
    while (filter.type() == "HANGS" && !context->IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return grpc::Status::OK;
  }

  const std::unique_ptr<grpc::Server> server_;
};

template <class Request>
Request OfType(const std::string& type) {
  Request request;
  request.mutable_filter()->set_type(type);
  return request;
}

const auto kList = OfType<till::v1::ListInvoicesRequest>;
const auto kExport = OfType<till::v1::ExportInvoicesRequest>;

void AChannelOfOnesOwnSendsTheKey() {
  const Server server;
  till::Options options;
  options.key = " till_key\n";
  Expect(server.Client(options).GetInfo().value().node().alias() == "Bearer till_key", "the key is sent");
  Expect(server.Client().GetInfo().value().node().alias().empty(), "no key is sent");

  const auto client = server.Client(options);
  const auto stub = till::v1::InvoiceService::NewStub(client.channel());
  grpc::ClientContext context;
  client.Authorize(&context).value();
  till::v1::GetInfoResponse response;
  Expect(stub->GetInfo(&context, {}, &response).ok(), "a stub on the channel is called");
  Expect(response.node().alias() == "Bearer till_key", "Authorize adds the key");
}

void AKeyFunctionThatThrowsFailsTheCall() {
  const Server server;
  till::Options options;
  options.key_function = []() -> std::string { throw std::runtime_error("the vault is sealed"); };
  const auto client = server.Client(options);
  const auto error = client.GetInfo().error();
  Expect(error.status_code() == grpc::StatusCode::UNAUTHENTICATED && !error.code(), "a call fails");
  Expect(error.message() == "key_function failed: the vault is sealed", error.message());
  auto watch = client.Watch("id");
  Expect(!watch.Next() && watch.Finish().error().message() == error.message(), "a watch fails");
  options.key = "till_key";
  Expect(IsRejected("127.0.0.1:1", options), "one of key and key_function");
}

void AWatchHasNotFinishedBeforeItsEnd() {
  const Server server;
  auto watch = server.Client().Watch("id");
  Expect(watch.Finish().error().status_code() == grpc::StatusCode::FAILED_PRECONDITION, "before the first state");
  Expect(watch.Next().has_value(), "a state");
  Expect(!watch.Finish(), "before the end");

  auto moved = std::move(watch);
  std::thread cancelling([&] { moved.Cancel(); });
  Expect(!moved.Next(), "none after Cancel");
  cancelling.join();
  Expect(moved.Finish().error().status_code() == grpc::StatusCode::CANCELLED, "CANCELLED");
}

void AWatchThatIsDestroyedIsCancelled() {
  const Server server;
  auto watch = server.Client().Watch("id");
  Expect(watch.Next().has_value(), "a state");
  // Else the server waits for it until the test times out.
}

void AListHasAllPages() {
  const Server server;
  const auto client = server.Client();
  std::string ids;
  for (const auto& invoice : client.List()) ids += invoice.id();
  Expect(ids == "123", "each invoice once: " + ids);

  server.pages = 0;
  auto list = client.List();
  Expect(list.Next()->id() == "1" && list.Next()->id() == "2" && server.pages == 1, "a page when it is needed");
  Expect(list.Next()->id() == "3" && !list.Next() && list.Finish(), "the end");

  till::v1::ListInvoicesRequest last;
  last.set_page_token("last");
  Expect(client.List(last).Next()->id() == "3", "a list from a page on");
}

void AListFailsAfterTheInvoicesBefore() {
  const Server server;
  const auto client = server.Client();
  std::string ids;
  try {
    for (const auto& invoice : client.List(kList("PERMISSION_DENIED"))) ids += invoice.id();
    Expect(false, "the loop throws");
  } catch (const till::Error& error) {
    Expect(ids == "12" && error.status_code() == grpc::StatusCode::PERMISSION_DENIED, "the error of the last page");
  }

  till::ListOptions options;
  options.page_timeout = std::chrono::milliseconds(400);
  auto list = client.List(kList("UNAVAILABLE"), options);
  while (list.Next()) {
  }
  const auto late = list.Finish().error();
  Expect(late.status_code() == grpc::StatusCode::DEADLINE_EXCEEDED, "the deadline of the page");
  Expect(late.message() == "the list exceeded its timeout; its last error: away", late.message());
}

void AListIsCancelled() {
  const Server server;
  auto list = server.Client().List(kList("HANGS"));
  Expect(list.Next().has_value(), "an invoice");
  list.Cancel();
  Expect(!list.Next(), "none after Cancel, though the page has one");
  Expect(list.Finish().error().status_code() == grpc::StatusCode::CANCELLED, "CANCELLED");

  auto waiting = server.Client().List(kList("HANGS"));
  Expect(waiting.Next() && waiting.Next(), "two invoices");
  std::thread cancelling([&] { waiting.Cancel(); });
  Expect(!waiting.Next() && waiting.Finish().error().status_code() == grpc::StatusCode::CANCELLED, "a pending page ends");
  cancelling.join();
}

void AnExportIsAllOrAnError() {
  const Server server;
  const auto client = server.Client();
  for (const auto& [type, status] : {std::pair("OK", grpc::StatusCode::OK), {"UNAVAILABLE", grpc::StatusCode::UNAVAILABLE}}) {
    auto parts = client.Export(kExport(type));
    Expect(parts.Next()->csv() == "id\r\n" && !parts.Next(), "the parts");
    const auto end = parts.Finish();
    Expect(end ? status == grpc::StatusCode::OK : end.error().status_code() == status, "the end");
  }
  till::ExportOptions options;
  options.timeout = std::chrono::milliseconds(400);
  auto parts = client.Export(kExport("HANGS"), options);
  while (parts.Next()) {
  }
  Expect(parts.Finish().error().status_code() == grpc::StatusCode::DEADLINE_EXCEEDED, "the deadline");

  auto left = client.Export(kExport("HANGS"));
  Expect(left.Next().has_value(), "a part");
  // Destroying it ends it at the server, which else waits until the test times out.
}

void AKeyInPlaintextIsForLoopback() {
  till::Options options;
  options.key = "till_key";
  for (const char* local : {"127.0.0.1:1", "127.9.9.9:1", "localhost:1", "[::1]:1", "dns:///localhost:1",
                            "ipv6:[::1]:1", "unix:/till.sock", "unix-abstract:till"}) {
    Expect(!IsRejected(local, options), local);
  }
  for (const char* remote : {"10.0.0.1:1", "till.example:1", "localhost.example:1", "127.0.0.1.example:1",
                             "ipv4:127.0.0.1:1,10.0.0.1:1", "0.0.0.0:1"}) {
    Expect(IsRejected(remote, options), remote);
  }
  options.allow_plaintext_key = true;
  Expect(!IsRejected("10.0.0.1:1", options), "allow_plaintext_key");
  options.allow_plaintext_key = false;
  options.tls = grpc::SslCredentialsOptions();
  Expect(!IsRejected("10.0.0.1:1", options), "tls");
}

void AResultThrowsItsError() {
  const till::Result<int> result = till::Error({grpc::StatusCode::NOT_FOUND, "resource not found"});
  try {
    Expect(result.value() == 0, "value() returns");
  } catch (const till::Error& error) {
    Expect(!error.code() && error.reason().empty() && !error.retry_after(), "no details");
    Expect(std::string(error.what()) == "resource not found", error.what());
    Expect(till::ToString(till::Code::kNotPaid) == "E15", "E15");
    return;
  }
  Expect(false, "value() does not throw");
}

}  // namespace

int main() {
  AChannelOfOnesOwnSendsTheKey();
  AKeyFunctionThatThrowsFailsTheCall();
  AWatchHasNotFinishedBeforeItsEnd();
  AWatchThatIsDestroyedIsCancelled();
  AListHasAllPages();
  AListFailsAfterTheInvoicesBefore();
  AListIsCancelled();
  AnExportIsAllOrAnError();
  AKeyInPlaintextIsForLoopback();
  AResultThrowsItsError();
}
