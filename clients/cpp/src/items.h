// Where a client's items come from.
#ifndef TILL_SRC_ITEMS_H_
#define TILL_SRC_ITEMS_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "attempts.h"
#include "session.h"

namespace till {

Watch StartWatch(std::shared_ptr<const Session> session, std::string invoice_id, WatchOptions options);
EventStream StartEvents(std::shared_ptr<const Session> session, EventOptions options);
InvoiceList StartList(std::shared_ptr<const Session> session, v1::ListInvoicesRequest request, ListOptions options);
DeliveryList StartDeliveries(std::shared_ptr<const Session> session, v1::ListDeliveriesRequest request,
                             ListOptions options);
InvoiceExport StartExport(std::shared_ptr<const Session> session, v1::ExportInvoicesRequest request, ExportOptions options);

/// Items that come by attempts.
template <class T>
class Attempted : public Items<T>::Source {
 public:
  Attempted(std::shared_ptr<const Session> session, std::string what)
      : session_(session), attempts_(std::move(session), std::move(what)) {}

  Result<void> Finish() const override {
    if (end_) return *end_;
    return Error({grpc::StatusCode::FAILED_PRECONDITION,
                  "the " + attempts_.what() + " has not ended; call Next until it returns none"});
  }

  void Cancel() override { attempts_.Cancel(); }

 protected:
  bool End(Result<void> result) {
    end_ = std::move(result);
    return false;
  }

  const std::shared_ptr<const Session> session_;
  Attempts attempts_;
  std::optional<Result<void>> end_;
};

}  // namespace till

#endif  // TILL_SRC_ITEMS_H_
