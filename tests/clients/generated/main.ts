// Reads an invoice and creates one for any amount, by types that were generated from openapi.json: main URL INVOICEID.
import type { components } from "./api.js";

type Invoice = components["schemas"]["Invoice"];
type CreateInvoice = components["schemas"]["CreateInvoice"];

const [, , url, invoiceid] = process.argv;
const read = (await (await fetch(`${url}/lightning/invoice/${invoiceid}`)).json()) as Invoice;
const order: CreateInvoice = { msat: "any", metadata: { ...read.metadata, seen: [1, { two: null }] } };
const answer = await fetch(`${url}/lightning/invoice/create`, { method: "POST", body: JSON.stringify(order) });
const created = (await answer.json()) as Invoice;
const newer: Invoice = { ...read, status: "a status of a later Till" };
const amount: number | null = read.msatoshi;
delete created.metadata.seen;
console.log(
  JSON.stringify({
    status: newer.status && read.status, msatoshi: amount, metadata: read.metadata, created_at: Date.parse(read.created_at) / 1000,
    is_any: created.msatoshi === null, any_metadata: created.metadata,
  }),
);
