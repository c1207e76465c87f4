// Creates an invoice, prints its payment request, and watches it until it is paid:
//
//   first_invoice [HOST:PORT]
//
// The key, where one is needed, is in the variable TILL_KEY.
#include <cstdlib>
#include <iostream>

#include "till/client.h"

int main(int argc, char** argv) {
  till::Options options;
  if (const char* key = std::getenv("TILL_KEY")) options.key = key;
  const till::Client client(argc > 1 ? argv[1] : "127.0.0.1:50051", options);

  till::v1::CreateInvoiceRequest request;
  request.set_amount_msat(5000);
  request.set_description("a coffee");
  request.set_metadata(R"({"type": "shop"})");
  till::v1::CreateInvoiceResponse created;
  grpc::ClientContext context;
  if (const auto status = client.invoices().CreateInvoice(&context, request, &created); !status.ok()) {
    std::cerr << till::Code(status) << " " << status.error_message() << "\n";
    return 1;
  }
  std::cout << created.invoice().bolt11() << std::endl;

  const auto watch = client.Watch(created.invoice().invoice_id());
  till::v1::Invoice invoice;
  while (watch->Read(&invoice)) {
    std::cout << till::v1::InvoiceStatus_Name(invoice.status()) << std::endl;
  }
  if (const auto status = watch->Finish(); !status.ok()) {
    std::cerr << till::Code(status) << " " << status.error_message() << "\n";
    return 1;
  }
}
