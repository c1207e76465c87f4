/// Lists of invoices and deliveries, and exports of invoices.
#ifndef TILL_LIST_H_
#define TILL_LIST_H_

#include <chrono>
#include <optional>

#include "till/items.h"
#include "till/v1/invoice.pb.h"
#include "till/v1/invoice_service.pb.h"
#include "till/v1/webhook.pb.h"

namespace till {

/// Options of a list.
struct ListOptions {
  /// The deadline of each page, with all attempts at it. None: that of a call, Options::timeout.
  std::optional<std::chrono::milliseconds> page_timeout;
};

/// All invoices that match a request, over all pages: see Client::List.
using InvoiceList = Items<v1::Invoice>;

/// The deliveries of a webhook, over all pages: see Client::Deliveries.
using DeliveryList = Items<v1::WebhookDelivery>;

/// Options of an export.
struct ExportOptions {
  /// The deadline of the export, from its first part on. None: it takes as long as it needs.
  std::optional<std::chrono::milliseconds> timeout;
};

/// Parts of a CSV file: see Client::Export.
using InvoiceExport = Items<v1::ExportInvoicesResponse>;

}  // namespace till

#endif  // TILL_LIST_H_
