import express from "express";
import { Webhook } from "standardwebhooks";

const { TILL_WEBHOOK_SECRET, PORT = "8000" } = process.env;
const webhook = new Webhook(TILL_WEBHOOK_SECRET);
const seen = new Set(); // an application has a database

const app = express();
app.post("/till", express.raw({ type: "application/json" }), (request, response) => {
  let event;
  try {
    event = webhook.verify(request.body, request.headers);
  } catch {
    return response.sendStatus(400);
  }
  const id = request.get("webhook-id");
  if (!seen.has(id) && event.type === "invoice.paid") console.log(`Ship ${event.data.label}`);
  seen.add(id);
  response.sendStatus(204);
});

const server = app.listen(PORT, "127.0.0.1", () => {
  console.log(`Waiting for events at http://127.0.0.1:${server.address().port}/till`);
});
