// A SWF with `flash.net.XMLSocket`, compiled here by haxe, played by Ruffle in Chromium at the server's own page: the
// manual's "Bring an old SWF back".

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { launch, open, until } from "./lib/browser.js";
import { serve, Tcp } from "./lib/program.js";

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
  await witness.receive(/^<joined room="stage" nick="talker"\/>$/u);
  // It is connected and logged in: Ruffle runs, and can be asked to tell what the SWF traces.
  await page.evaluate(() => {
    window.traced = [];
    const player = document.querySelector("#player > *");
    const playing = typeof player.ruffle === "function" ? player.ruffle() : player;
    playing.traceObserver = (text) => window.traced.push(text);
  });
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
