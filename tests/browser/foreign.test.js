// A page of another origin tries to get something into a room.

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { after, before, test } from "node:test";

import { launch, open } from "./lib/browser.js";
import { serve, Tcp } from "./lib/program.js";

let browser;
let server;
let foreign;

before(async () => {
  foreign = http.createServer((_, response) => response.setHeader("Content-Type", "text/html").end("<!DOCTYPE html><title>evil</title>"));
  foreign.listen(0, "127.0.0.1");
  await once(foreign, "listening");
  [browser, server] = await Promise.all([launch(), serve()]);
});
after(async () => {
  await browser?.close();
  foreign?.close();
  await server?.stop();
});

test("nothing that a page of another origin tries reaches a room", async () => {
  const witness = await Tcp.enter(server.port, "witness", "lobby");
  const page = await open(browser);
  await page.goto(`http://127.0.0.1:${foreign.address().port}/`);
  const results = await page.evaluate(async (target) => {
    const frames = "\0<login nick='evil'/>\0<join room='lobby'/>\0<message room='lobby'>evil</message>\0";
    const settled = {};
    const post = (body) => fetch(target, { method: "POST", mode: "no-cors", body }).then(() => "answered", () => "failed");
    settled.text = await post(frames);
    settled.bytes = await post(new TextEncoder().encode(frames));
    settled.get = await fetch(target, { mode: "no-cors" }).then(() => "answered", () => "failed");
    settled.read = await fetch(target).then(() => "read", () => "failed");
    settled.image = await new Promise((resolve) => {
      const image = new Image();
      image.onload = () => resolve("shown");
      image.onerror = () => resolve("failed");
      image.src = `${target}/${encodeURIComponent(frames)}`;
    });
    settled.form = await new Promise((resolve) => {
      const frame = document.createElement("iframe");
      frame.name = "answer";
      document.body.append(frame);
      const form = document.createElement("form");
      Object.assign(form, { action: target, method: "post", enctype: "text/plain", target: "answer" });
      const field = document.createElement("textarea");
      Object.assign(field, { name: "<x/>\0<login nick", value: `'evil'/>${frames}` });
      form.append(field);
      document.body.append(form);
      frame.onload = () => resolve("went");
      form.submit();
    });
    for (const path of ["/", "/ws"]) {
      settled[`websocket ${path}`] = await new Promise((resolve) => {
        const socket = new WebSocket(target.replace("http", "ws") + path);
        socket.onopen = () => {
          socket.send(frames);
          resolve("open");
        };
        socket.onerror = () => resolve("refused");
      });
    }
    return settled;
  }, server.origin);
  assert.equal(results["websocket /"], "refused");
  assert.equal(results["websocket /ws"], "refused");
  assert.equal(results.read, "failed");
  assert.equal(results.image, "failed");
  // Whoever got in would have been told to the witness before this answer.
  assert.deepEqual(await witness.rest(), []);
  witness.send('<users room="lobby"/>');
  assert.match(await witness.receive(/^<users /u), / users="1"/u);
  witness.close();
});
