// A shop: the server creates an invoice for each order, and the payer's browser watches it.
//
//     node dist/examples/shop/server.js
//
// Environment: TILL_ADDRESS, Till's gRPC address; TILL_KEY, the shop's key; TILL_URL, Till's REST address as the
// browser reaches it; PORT.
import { randomUUID } from "node:crypto";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import express from "express";
import encodeQR from "qr";
import { connect, InvoiceSchema, InvoiceStatus, toJson, type Invoice } from "lightning-till-client/node";

const { TILL_ADDRESS = "127.0.0.1:50051", TILL_KEY, TILL_URL = "http://127.0.0.1:8080", PORT = "8000" } = process.env;
// The prices are the server's. The page sends the name of an item, and nothing else counts.
const PRICES_MSAT = new Map([["coffee", 5_000n], ["cake", 12_000n]]);

const till = connect(`http://${TILL_ADDRESS}`, { key: TILL_KEY });
const sources = fileURLToPath(new URL("../../../examples/shop", import.meta.url));
const bundle = await build({ entryPoints: [`${sources}/page.ts`], bundle: true, format: "esm", minify: true, write: false });
const shop = express();

shop.get("/", (_, response) => response.sendFile(`${sources}/index.html`));
shop.get("/page.js", (_, response) => void response.type("js").send(bundle.outputFiles[0]!.text));

shop.post("/orders", express.json(), async (request, response) => {
  const item = String(request.body?.item);
  const amountMsat = PRICES_MSAT.get(item);
  if (!amountMsat) return void response.status(404).type("text").send("we do not sell that");
  const order = randomUUID();
  const { invoice, watchToken } = await till.invoices.createInvoice({
    amountMsat,
    description: `a ${item}`,
    label: order,
    metadata: JSON.stringify({ type: "shop", item }),
    withWatchToken: true,
  });
  deliver(order, invoice!).catch(console.error);
  const svg = encodeQR(`lightning:${invoice!.bolt11}`.toUpperCase(), "svg", { border: 4 });
  response.status(201).json({
    order,
    amount_msat: String(invoice!.amountMsat),
    bolt11: invoice!.bolt11,
    qr: `data:image/svg+xml,${encodeURIComponent(svg)}`,
    // For a page without this client.
    watch_url: `${TILL_URL}/lightning/invoice/${invoice!.invoiceId}/watch?token=${watchToken}`,
    till_url: TILL_URL,
    invoice: toJson(InvoiceSchema, invoice!),
    watch_token: watchToken,
  });
});

/** Wait for the payment. The shop trusts its own watch, never what a browser says. */
async function deliver(order: string, invoice: Invoice): Promise<void> {
  for await (const { status } of till.watch(invoice, { waitForReady: true })) {
    if (status === InvoiceStatus.PAID) console.log(`Order ${order} is paid.`);
  }
}

const server = shop.listen(Number(PORT), "127.0.0.1", () => {
  console.log(`The shop is open at http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
