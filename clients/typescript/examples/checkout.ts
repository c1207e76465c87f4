// For checkout.html: creates an invoice and watches it until it is paid, in a browser. Till is where the page comes
// from, or where `?till=URL` says.
import { connect, InvoiceStatus, tillError } from "lightning-till-client/web";

const till = connect(new URLSearchParams(location.search).get("till") ?? location.origin);
const button = document.querySelector("button")!;
const states = document.querySelector("ol")!;

button.addEventListener("click", async () => {
  button.disabled = true;
  try {
    const { invoice } = await till.invoices.createInvoice({
      amountMsat: 5000n,
      description: "a coffee",
      metadata: JSON.stringify({ type: "shop" }),
    });
    document.querySelector("code")!.textContent = invoice!.bolt11;
    for await (const state of till.watch({ invoiceId: invoice!.invoiceId })) {
      show(InvoiceStatus[state.invoice!.status].toLowerCase());
    }
  } catch (error) {
    show(tillError(error)?.message ?? String(error));
  }
});

function show(text: string): void {
  const item = document.createElement("li");
  item.textContent = text;
  states.append(item);
}
