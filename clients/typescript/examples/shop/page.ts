// The shop's page: orders an item, shows its invoice, and watches it with the watch token of the order.
import { connect, ConnectError, fromJson, InvoiceSchema, InvoiceStatus } from "lightning-till-client/web";
import type { InvoiceJson, Watch } from "lightning-till-client/web";

interface Order {
  qr: string;
  invoice: InvoiceJson;
  watch_token: string;
  till_url: string;
}

const MENU = { coffee: "A coffee, 5 sat", cake: "A cake, 12 sat" };
const STATES: Partial<Record<InvoiceStatus, string>> = {
  [InvoiceStatus.UNPAID]: "Waiting for your payment.",
  [InvoiceStatus.PAID]: "Paid. Thank you!",
  [InvoiceStatus.EXPIRED]: "The invoice has expired.",
  [InvoiceStatus.CANCELED]: "The invoice was canceled.",
};
let watch: Watch | undefined;

async function order(item: string): Promise<void> {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch("/orders", { method: "POST", headers, body: JSON.stringify({ item }) });
  if (!response.ok) return say(await response.text());
  const { qr, invoice: json, watch_token, till_url } = (await response.json()) as Order;
  const invoice = fromJson(InvoiceSchema, json);
  find<HTMLImageElement>("img").src = qr;
  find<HTMLAnchorElement>("a").href = `lightning:${invoice.bolt11}`;
  find("code").textContent = invoice.bolt11;
  find("section").hidden = false;

  let state = "";
  void watch?.return();
  watch = connect(till_url, { key: watch_token }).watch(invoice, {
    onConnection: ({ lost }) => say(lost ? "Reconnecting …" : state),
  });
  for await (const { status } of watch) {
    say((state = STATES[status] ?? ""));
    find("section").hidden = status !== InvoiceStatus.UNPAID;
  }
}

function find<E extends HTMLElement>(selector: string): E {
  return document.querySelector<E>(selector)!;
}

function say(text: string): void {
  find("[role=status]").textContent = text;
}

for (const [item, name] of Object.entries(MENU)) {
  const button = document.createElement("button");
  button.value = item;
  button.textContent = name;
  button.onclick = () => order(item).catch((error) => say(ConnectError.from(error).rawMessage));
  find("#menu").append(button);
}
