// Creates an invoice, prints its payment request, and watches it until it is paid, expired or canceled:
//
//   first_invoice [HOST:PORT]
//
// The environment variable TILL_KEY has the key, if Till needs one.
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
  const auto created = client.CreateInvoice(request);
  if (!created) {
    std::cerr << created.error().what() << "\n";
    return 1;
  }
  std::cout << created->invoice().bolt11() << std::endl;

  auto watch = client.Watch(created->invoice().invoice_id());
  while (const auto invoice = watch.Next()) {
    std::cout << till::v1::InvoiceStatus_Name(invoice->status()) << std::endl;
  }
  if (const auto end = watch.Finish(); !end) {
    std::cerr << end.error().what() << "\n";
    return 1;
  }
}
