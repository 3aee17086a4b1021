// A SWF with `flash.net.XMLSocket`, compiled here by haxe, played by Ruffle in Chromium at the server's own page: the
// manual's "Bring an old SWF back".

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { launch, open, until } from "./lib/browser.js";
import { program, ROOT, serve, Tcp } from "./lib/program.js";

const SOURCE = fileURLToPath(new URL("flash", import.meta.url));
const RUFFLE = path.dirname(createRequire(import.meta.url).resolve("@ruffle-rs/ruffle/ruffle.js"));

let browser;
let folder;

before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "xmlsocket-swf-"));
  execFileSync("haxe", ["-main", "Talker", "-cp", SOURCE, "-swf", path.join(folder, "talker.swf"), "-swf-version", "15"]);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Has Ruffle tell what the SWF traces. It must run already: the SWF has been heard of. */
function observe(page) {
  return page.evaluate(() => {
    window.traced = [];
    const player = document.querySelector("#player > *");
    const playing = typeof player.ruffle === "function" ? player.ruffle() : player;
    playing.traceObserver = (text) => window.traced.push(text);
  });
}

test("a SWF in Ruffle logs in, joins, sends and receives XML, and hears of the end", async (context) => {
  const server = await serve({
    options: ["--content", folder, "--ruffle", RUFFLE, "--flash-host", "games.example.org:9339"],
  });
  context.after(() => server.stop());
  const witness = await Tcp.enter(server.port, "witness", "stage");
  const page = await open(browser);
  const asked = [];
  page.on("request", (request) => asked.push(new URL(request.url())));
  await page.goto(`${server.origin}/play/talker.swf`);
  await witness.receive(/^<joined room="stage" nick="talker" /u);
  await observe(page);
  witness.send('<message room="stage">hello &lt;there&gt; <b n="1">é</b></message>');
  const answer = await witness.receive(/from="talker"/u);
  assert.match(answer, />I heard: <message id="\d+" room="stage" from="witness"[^>]*>.*hello &lt;there(&gt;|>).*<b n="1">é<\/b>.*<\/message><\/message>$/su);
  await until(page, () => window.traced.some((text) => text.includes("I heard")));
  witness.close();
  assert.equal(await server.stop(), 0);
  await until(page, () => window.traced.some((text) => text.startsWith("close")));
  const events = (await page.evaluate(() => window.traced)).map((text) => text.split(" ")[0]);
  assert.equal(events.pop(), "close");
  assert.ok(events.every((event) => event === "data"), `only data before the end: ${events}`);
  const elsewhere = asked.filter(({ protocol, origin }) => protocol.startsWith("http") && origin !== server.origin);
  assert.deepEqual(elsewhere.map(String), [], "nothing is fetched from elsewhere");
  await page.context().close();
});

/** The commands of a section of the manual, in their order: its indented lines. */
function commands(heading) {
  const manual = readFileSync(path.join(ROOT, "docs/MANUAL.md"), "utf8");
  const [, section] = manual.split(`\n## ${heading}\n`);
  const [own] = section.split("\n## ");
  return own.split("\n").filter((line) => /^ {4,}(mkdir|cp|npm|xmlsocket) /u.test(line)).map((line) => line.trim());
}

test("the manual's way to bring an old SWF back is followed, command by command", async (context) => {
  const desk = mkdtempSync(path.join(tmpdir(), "xmlsocket-manual-"));
  context.after(() => rmSync(desk, { recursive: true, force: true }));
  copyFileSync(path.join(folder, "talker.swf"), path.join(desk, "chat.swf"));
  // What npm fetched for these tests is at hand; nothing is fetched again.
  const env = { ...process.env, npm_config_prefer_offline: "true", PATH: `${path.dirname(program())}:${process.env.PATH}` };
  const run = (command) => execFileSync("sh", ["-ec", command], { cwd: desk, env, encoding: "utf8" });
  const steps = commands("Bring an old SWF back");
  assert.deepEqual(steps.map((step) => step.split(" ").slice(0, 2).join(" ")),
    ["mkdir games", "cp chat.swf", "npm install", "xmlsocket serve", "xmlsocket ruffle-config"]);
  for (const step of steps.slice(0, 3)) run(step);
  // On a free port instead of the one that is free on the reader's machine.
  const server = await serve({ options: steps[3].split(" ").slice(2), cwd: desk });
  context.after(() => server.stop());
  const witness = await Tcp.connect(server.port);
  witness.send("<here/>");
  const page = await open(browser);
  await page.goto(`${server.origin}/play/chat.swf`);
  assert.equal(await witness.receive(/login/u), '<login nick="talker"/>');
  await observe(page);
  witness.send('<message from="witness">hello</message>');
  assert.match(await witness.receive(/I heard/u), /<message from="witness">hello<\/message>/u);
  witness.close();
  assert.equal(await server.stop(), 0);
  await until(page, () => window.traced.some((text) => text.startsWith("close")));
  await page.context().close();
  const snippet = run(steps[4]);
  assert.match(snippet, /socketProxy: \[\s*\{ host: "games\.example\.org", port: 9339, proxyUrl: "wss:\/\/chat\.example\.com\/ws" \}/u);
});
