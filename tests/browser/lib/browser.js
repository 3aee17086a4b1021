// Debian's Chromium, and what a person does on the chat page.

import { chromium } from "playwright-core";
import { WAIT_MS } from "./program.js";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export function launch(more = []) {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, args: [...FLAGS, ...more] });
}

/** A page in a profile of its own. What it complains about, and what it asks others for, is in `page.complaints`. */
export async function open(browser, options = {}) {
  const context = await browser.newContext({ locale: "en-GB", timezoneId: "UTC", colorScheme: "light", ...options });
  context.setDefaultTimeout(WAIT_MS);
  const page = await context.newPage();
  page.complaints = [];
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error" ) page.complaints.push(message.text());
  });
  return page;
}

/** Opens the chat page and goes in. */
export async function enter(browser, origin, nick, room, options = {}) {
  const page = await open(browser, options);
  await page.goto(origin);
  await page.getByLabel("Your name", { exact: true }).fill(nick);
  await page.getByLabel("Room", { exact: true }).fill(room);
  await page.getByRole("button", { name: "Come in" }).click();
  await page.getByRole("heading", { name: `# ${room}`, exact: true }).waitFor();
  return page;
}

export async function say(page, text) {
  const field = page.getByLabel("Message", { exact: true });
  await field.fill(text);
  await field.press("Enter");
}

/** What was said, as the page shows it: texts, oldest first. */
export function said(page) {
  return page.locator("#log .message:not(.pending) .said").allTextContents();
}

/** The button that leads to the conversation with a person. */
export function conversation(page, name) {
  return page.locator("#conversations button", { has: page.locator("bdi", { hasText: new RegExp(`^${name}$`, "u") }) });
}

/** Waits until a text stands among what was said. */
export async function hears(page, text) {
  await page.locator("#log .message:not(.pending) .said", { hasText: text }).first().waitFor();
}

/** Waits until a condition, evaluated in the page, holds. */
export async function until(page, condition, given) {
  await page.waitForFunction(condition, given, { polling: 50 });
}
