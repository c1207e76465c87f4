/**
 * Opens checkout.html in Chromium, as somebody who pays: `node chromium.js EXECUTABLE URL`. Clicks its button, and says
 * in lines of JSON what the page shows: the payment request, and each state, until it is paid.
 */
import { chromium } from "playwright-core";

const [executablePath, url] = process.argv.slice(2);
const quiet = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"];
const browser = await chromium.launch({ executablePath: executablePath!, args: quiet });
try {
  const page = await browser.newPage();
  page.on("console", (message) => console.error(message.text()));
  page.on("pageerror", (error) => console.error(error));
  await page.goto(url!);
  await page.getByRole("button").click();
  const states = page.getByRole("listitem");
  for (let number = 0, shown; shown !== "paid"; number++) {
    shown = await states.nth(number).textContent();
    say({ bolt11: await page.locator("code").textContent(), state: shown });
  }
} finally {
  await browser.close();
}

function say(what: object): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}
