#include "till/list.h"

#include <utility>

#include "items.h"

namespace till {
namespace {

auto& ItemsOf(v1::ListInvoicesResponse& page) { return *page.mutable_invoices(); }
auto& ItemsOf(v1::ListDeliveriesResponse& page) { return *page.mutable_deliveries(); }

template <class Item, class Stub, class Request, class Response>
class Listing : public Attempted<Item> {
 public:
  using Method = grpc::Status (Stub::*)(grpc::ClientContext*, const Request&, Response*);

  Listing(std::shared_ptr<const Session> session, Stub& stub, Method method, Request request, ListOptions options)
      : Attempted<Item>(session, "list"),
        stub_(stub),
        method_(method),
        request_(std::move(request)),
        page_timeout_(options.page_timeout.value_or(session->timeout)) {}

  std::optional<Item> Next() override {
    while (!end_) {
      if (attempts_.IsCancelled()) {
        this->End(attempts_.Cancelled());
      } else if (auto& items = ItemsOf(page_); taken_ < items.size()) {
        return std::move(items[taken_++]);
      } else if (has_page_ && page_.next_page_token().empty()) {
        this->End({});
      } else {
        Fetch();
      }
    }
    return std::nullopt;
  }

 private:
  using Attempted<Item>::attempts_;
  using Attempted<Item>::end_;

  /// Fetches the next page, or ends the list.
  bool Fetch() {
    if (has_page_) request_.set_page_token(page_.next_page_token());
    attempts_.Start(page_timeout_);
    while (true) {
      const auto context = attempts_.Begin();
      if (!context) return this->End(context.error());
      page_.Clear();
      const auto status = (stub_.*method_)(*context, request_, &page_);
      if (status.ok()) break;
      if (const auto again = attempts_.PauseAfter(status, has_page_); !again) return this->End(again);
    }
    has_page_ = true;
    taken_ = 0;
    return true;
  }

  // Of the session, which the base class keeps.
  Stub& stub_;
  const Method method_;
  Request request_;
  const std::chrono::milliseconds page_timeout_;
  Response page_;
  bool has_page_ = false;
  // How many items of the page were returned.
  int taken_ = 0;
};

template <class Item, class Stub, class Request, class Response>
Items<Item> Start(std::shared_ptr<const Session> session, Stub& stub,
                  grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*), Request request,
                  ListOptions options) {
  using Source = Listing<Item, Stub, Request, Response>;
  return Items<Item>(std::make_unique<Source>(std::move(session), stub, method, std::move(request), options));
}

class Exporting : public Attempted<v1::ExportInvoicesResponse> {
 public:
  Exporting(std::shared_ptr<const Session> session, v1::ExportInvoicesRequest request, ExportOptions options)
      : Attempted(std::move(session), "export"), request_(std::move(request)), timeout_(options.timeout) {}

  ~Exporting() override {
    Cancel();
    if (reader_) reader_->Finish();
  }

  std::optional<v1::ExportInvoicesResponse> Next() override {
    if (end_ || (!reader_ && !Begin())) return std::nullopt;
    v1::ExportInvoicesResponse part;
    if (reader_->Read(&part)) return part;
    const auto status = reader_->Finish();
    reader_.reset();
    // Once: another attempt would repeat lines.
    End(status.ok() ? Result<void>() : attempts_.PauseAfter(status, false));
    return std::nullopt;
  }

 private:
  bool Begin() {
    attempts_.Start(timeout_);
    const auto context = attempts_.Begin();
    if (!context) return End(context.error());
    reader_ = session_->invoices->ExportInvoices(*context, request_);
    return true;
  }

  const v1::ExportInvoicesRequest request_;
  const std::optional<std::chrono::milliseconds> timeout_;
  std::unique_ptr<grpc::ClientReaderInterface<v1::ExportInvoicesResponse>> reader_;
};

}  // namespace

InvoiceList StartList(std::shared_ptr<const Session> session, v1::ListInvoicesRequest request, ListOptions options) {
  auto& stub = *session->invoices;
  return Start<v1::Invoice>(std::move(session), stub, &v1::InvoiceService::StubInterface::ListInvoices, std::move(request),
                            options);
}

DeliveryList StartDeliveries(std::shared_ptr<const Session> session, v1::ListDeliveriesRequest request,
                             ListOptions options) {
  auto& stub = *session->webhooks;
  return Start<v1::WebhookDelivery>(std::move(session), stub, &v1::WebhookService::StubInterface::ListDeliveries,
                                    std::move(request), options);
}

InvoiceExport StartExport(std::shared_ptr<const Session> session, v1::ExportInvoicesRequest request, ExportOptions options) {
  return InvoiceExport(std::make_unique<Exporting>(std::move(session), std::move(request), options));
}

}  // namespace till
