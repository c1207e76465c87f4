#include "till/list.h"

#include <utility>

#include "items.h"

namespace till {
namespace {

class Listing : public Attempted<v1::Invoice> {
 public:
  Listing(std::shared_ptr<const Session> session, v1::ListInvoicesRequest request, ListOptions options)
      : Attempted(std::move(session), "list"),
        request_(std::move(request)),
        page_timeout_(options.page_timeout.value_or(session_->timeout)) {}

  std::optional<v1::Invoice> Next() override {
    while (!end_) {
      if (attempts_.IsCancelled()) {
        End(attempts_.Cancelled());
      } else if (taken_ < page_.invoices_size()) {
        return std::move(*page_.mutable_invoices(taken_++));
      } else if (has_page_ && page_.next_page_token().empty()) {
        End({});
      } else {
        Fetch();
      }
    }
    return std::nullopt;
  }

 private:
  /// Fetches the next page, or ends the list.
  bool Fetch() {
    if (has_page_) request_.set_page_token(page_.next_page_token());
    attempts_.Start(page_timeout_);
    while (true) {
      const auto context = attempts_.Begin();
      if (!context) return End(context.error());
      page_.Clear();
      const auto status = session_->invoices->ListInvoices(*context, request_, &page_);
      if (status.ok()) break;
      if (const auto again = attempts_.PauseAfter(status, has_page_); !again) return End(again);
    }
    has_page_ = true;
    taken_ = 0;
    return true;
  }

  v1::ListInvoicesRequest request_;
  const std::chrono::milliseconds page_timeout_;
  v1::ListInvoicesResponse page_;
  bool has_page_ = false;
  // How many invoices of the page were returned.
  int taken_ = 0;
};

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
  return InvoiceList(std::make_unique<Listing>(std::move(session), std::move(request), options));
}

InvoiceExport StartExport(std::shared_ptr<const Session> session, v1::ExportInvoicesRequest request, ExportOptions options) {
  return InvoiceExport(std::make_unique<Exporting>(std::move(session), std::move(request), options));
}

}  // namespace till
