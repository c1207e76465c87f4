// Creates an invoice, prints its payment request, and watches it until it is paid:
//
//     node dist/examples/first_invoice.js [URL [KEY]]
import { connect, InvoiceStatus, TillError } from "lightning-till-client/node";

const [url = "http://127.0.0.1:50051", key] = process.argv.slice(2);
const till = connect(url, { key });

try {
  const { invoice } = await till.invoices.createInvoice({
    amountMsat: 5000n,
    description: "a coffee",
    metadata: JSON.stringify({ type: "shop" }),
  });
  console.log(invoice!.bolt11);
  for await (const { status } of till.watch(invoice!)) {
    console.log(InvoiceStatus[status].toLowerCase());
  }
} catch (error) {
  console.error(error instanceof TillError ? `${error.tillCode}: ${error.rawMessage}` : String(error));
  process.exitCode = 1;
}
