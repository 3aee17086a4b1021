// The chat page: two pages and a plain TCP client in one room, coming back, names as typed, accessibility, pictures.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { after, before, test } from "node:test";

import { conversation, enter, hears, launch, open, said, say, until } from "./lib/browser.js";
import { ROOT, serve, Tcp } from "./lib/program.js";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let browser;
let server;

before(async () => {
  [browser, server] = await Promise.all([launch(), serve()]);
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

async function leave(...pages) {
  for (const page of pages) {
    assert.deepEqual(page.complaints, [], "the browser complains of nothing");
    await page.context().close();
  }
}

test("two pages and a plain TCP client talk in one room", async () => {
  const ann = await enter(browser, server.origin, "ann", "one");
  const bob = await enter(browser, server.origin, "bob", "one");
  const carl = await Tcp.enter(server.port, "carl", "one");
  await say(ann, "from ann: a < b & c > d");
  await say(bob, "from bob");
  assert.match(await carl.receive(/from ann/u), /from="ann" time="[^"]+">from ann: a &lt; b &amp; c (>|&gt;) d<\/message>$/u);
  await carl.receive(/from bob/u);
  carl.send('<message room="one">from carl <move x="1">e4</move></message>');
  for (const page of [ann, bob]) {
    await hears(page, "from carl e4");
    assert.deepEqual((await said(page)).sort(), ["from ann: a < b & c > d", "from bob", "from carl e4"]);
    assert.deepEqual(await page.locator("#members bdi").allTextContents(), ["ann", "bob", "carl"]);
  }
  carl.close();
  await until(ann, () => document.querySelectorAll("#members li").length === 2);
  await leave(ann, bob);
});

test("rooms count what is unread, and people can talk in private", async () => {
  const ann = await enter(browser, server.origin, "ann", "unread");
  const carl = await Tcp.enter(server.port, "carl", "unread");
  carl.send('<join room="aside"/>', '<topic room="aside">Small things</topic>');
  await ann.getByRole("button", { name: "Join a room" }).click();
  await ann.getByRole("button", { name: /^aside/u }).click();
  await ann.getByRole("heading", { name: "# aside" }).waitFor();
  await until(ann, () => document.querySelector("#topic").textContent === "Small things");
  carl.send('<message room="unread">1</message>', '<message room="unread">2</message>', '<message to="ann">psst</message>');
  await ann.getByRole("button", { name: "unread 2 unread" }).waitFor();
  await until(ann, () => document.title.startsWith("(3) "));
  await conversation(ann, "carl").click();
  await hears(ann, "psst");
  await say(ann, "what is it?");
  assert.match(await carl.receive(/what is it/u), /to="carl" from="ann"/u);
  await ann.locator('[data-key="room:unread"]').click();
  await hears(ann, "2");
  await until(ann, () => !document.title.startsWith("("));
  carl.close();
  await leave(ann);
});

test("a reload resumes without loss or duplicates", async () => {
  const ann = await enter(browser, server.origin, "ann", "reload");
  const carl = await Tcp.enter(server.port, "carl", "reload");
  for (const n of [1, 2, 3]) carl.send(`<message room="reload">room ${n}</message>`);
  carl.send('<message to="ann">private 1</message>');
  await hears(ann, "room 3");
  await conversation(ann, "carl").waitFor();
  await ann.goto("about:blank");
  await carl.receive(/^<left room="reload" nick="ann"/u);
  carl.send('<message room="reload">while away</message>');
  await carl.receive(/while away/u);
  await ann.goto(server.origin);
  await carl.receive(/^<joined room="reload" nick="ann"/u);
  carl.send('<message room="reload">after</message>');
  await hears(ann, "after");
  assert.deepEqual(await said(ann), ["room 1", "room 2", "room 3", "while away", "after"]);
  await ann.reload();
  await carl.receive(/^<joined room="reload" nick="ann"/u);
  await say(ann, "still ann");
  assert.match(await carl.receive(/still ann/u), /from="ann"/u);
  await hears(ann, "still ann");
  assert.deepEqual(await said(ann), ["room 1", "room 2", "room 3", "while away", "after", "still ann"]);
  await conversation(ann, "carl").click();
  await hears(ann, "private 1");
  assert.deepEqual(await said(ann), ["private 1"]);
  carl.close();
  await leave(ann);
});

test("what is said while the history is still coming is said once", async () => {
  const carl = await Tcp.enter(server.port, "carl", "once");
  const page = await open(browser);
  const held = [];
  let isHeld = true;
  await page.routeWebSocket(/./u, (socket) => {
    const upstream = socket.connectToServer();
    upstream.onMessage((frame) => {
      // From the answer that ends the history on, all waits until the page has spoken.
      if (isHeld && (held.length > 0 || frame.startsWith("<pong"))) held.push(frame);
      else socket.send(frame);
    });
    socket.onMessage((frame) => {
      upstream.send(frame);
      if (!frame.startsWith("<message")) return;
      isHeld = false;
      held.splice(0).forEach((each) => socket.send(each));
    });
  });
  await page.goto(server.origin);
  await page.getByLabel("Your name", { exact: true }).fill("ann");
  await page.getByLabel("Room", { exact: true }).fill("once");
  await page.getByRole("button", { name: "Come in" }).click();
  await page.getByRole("heading", { name: "# once", exact: true }).waitFor();
  await say(page, "hello");
  await carl.receive(/hello/u);
  await say(page, "and more");
  await carl.receive(/and more/u);
  await hears(page, "and more");
  assert.deepEqual(await said(page), ["hello", "and more"]);
  carl.close();
  await leave(page);
});

test("names are shown as typed, and nothing that is written becomes markup", async () => {
  const nasty = "<script>alert(1)</script>";
  const one = await enter(browser, server.origin, nasty, "names");
  const two = await enter(browser, server.origin, "ハナコ 花子", "names");
  for (const page of [one, two]) page.on("dialog", () => page.complaints.push("a dialogue opened"));
  await say(one, '<img src="x" onerror="alert(1)"><b>bold</b> ]]> &amp;');
  await say(two, "こんにちは、世界 🌸");
  for (const page of [one, two]) {
    await hears(page, "こんにちは、世界 🌸");
    await hears(page, '<img src="x" onerror="alert(1)"><b>bold</b> ]]> &amp;');
    assert.deepEqual((await page.locator("#log .from").allTextContents()).sort(), [nasty, "ハナコ 花子"].sort());
    assert.deepEqual((await page.locator("#members bdi").allTextContents()).sort(), [nasty, "ハナコ 花子"].sort());
    assert.equal(await page.locator("#log img, #log b, #log script, #members script").count(), 0);
  }
  await leave(one, two);
});

test("what is refused is said in a sentence", async () => {
  const ann = await enter(browser, server.origin, "ann", "refused");
  const other = await open(browser);
  await other.goto(server.origin);
  await other.getByLabel("Your name", { exact: true }).fill("ANN");
  await other.getByRole("button", { name: "Come in" }).click();
  await other.getByRole("alert").getByText("Somebody here has this nick, or one that looks the same. Choose another one.").waitFor();
  await other.getByLabel("Your name", { exact: true }).fill("anton");
  await other.getByRole("button", { name: "Come in" }).click();
  await other.getByRole("heading", { name: "# lobby" }).waitFor();
  await leave(ann, other);
});

test("names and topics are changed, earlier messages shown, rooms and the chat left", async () => {
  const carl = await Tcp.enter(server.port, "carl", "changes");
  for (let n = 1; n <= 120; n += 1) carl.send(`<message room="changes">number ${n}.</message>`);
  await carl.receive(/number 120/u);
  const ann = await enter(browser, server.origin, "ann", "changes");
  await hears(ann, "number 120.");
  assert.equal((await said(ann))[0], "number 21.");
  await ann.getByRole("button", { name: "Show earlier messages" }).click();
  await hears(ann, "number 1.");
  assert.deepEqual(await said(ann), Array.from({ length: 120 }, (_, n) => `number ${n + 1}.`));

  await ann.getByRole("button", { name: /change your name/u }).click();
  const name = ann.getByRole("dialog").getByLabel("Name", { exact: true });
  await name.fill("Carl");
  await name.press("Enter");
  await ann.getByRole("dialog").getByText("Somebody here has this nick, or one").waitFor();
  await name.fill("anna");
  await name.press("Enter");
  assert.equal(await carl.receive(/^<renamed /u), '<renamed from="ann" nick="anna"/>');
  await ann.getByRole("button", { name: "Topic" }).click();
  await ann.getByRole("dialog").getByLabel("Topic", { exact: true }).fill("<New> & improved");
  await ann.getByRole("button", { name: "Set" }).click();
  assert.match(await carl.receive(/^<topic /u), / from="anna">&lt;New(&gt;|>) &amp; improved<\/topic>$/u);
  await until(ann, () => document.querySelector("#topic").textContent === "<New> & improved");

  await ann.getByRole("button", { name: "carl" }).click();
  carl.send("<quit/>");
  await carl.receive(/^<bye /u);
  await say(ann, "are you there?");
  await ann.getByText("The carl of this conversation is not here").waitFor();
  await ann.getByRole("button", { name: "Discard" }).click();
  await ann.getByRole("button", { name: "Close", exact: true }).click();
  await ann.getByRole("button", { name: "Leave", exact: true }).click();
  await ann.getByRole("heading", { name: "No room" }).waitFor();
  await ann.getByRole("button", { name: "Leave the chat" }).click();
  await ann.getByRole("button", { name: "Come in" }).waitFor();
  await leave(ann);
});

test("the restart of the server is survived", async (context) => {
  const own = await serve();
  context.after(() => own.stop());
  const ann = await enter(browser, own.origin, "ann", "restart");
  await say(ann, "before");
  await hears(ann, "before");
  assert.equal(await own.stop(), 0);
  await ann.getByText("The connection is lost.").waitFor();
  await say(ann, "meanwhile");
  const again = await serve({ port: own.port });
  context.after(() => again.stop());
  const carl = await Tcp.enter(again.port, "carl", "restart");
  await ann.getByRole("button", { name: "Try now" }).click({ timeout: 1000 }).catch(() => {});
  await hears(ann, "meanwhile");
  carl.send('<message room="restart">welcome back</message>');
  await hears(ann, "welcome back");
  assert.deepEqual(await said(ann), ["before", "meanwhile", "welcome back"]);
  carl.close();
  // Whether the page tried in the time without a server depends on how long that was; the browser says so if it did.
  ann.complaints = ann.complaints.filter((complaint) => !complaint.includes("ERR_CONNECTION_REFUSED"));
  await leave(ann);
  assert.equal(await again.stop(), 0);
});

test("axe finds nothing serious, in light and dark, wide and narrow", async () => {
  const carl = await Tcp.enter(server.port, "carl", "axe");
  carl.send('<topic room="axe">Access for all</topic>', '<message room="axe">hello http://example.org/</message>');
  const check = async (page, what) => {
    const { violations } = await page.evaluate(`${AXE}; axe.run(document)`);
    const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
    assert.deepEqual(serious.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), [], what);
  };
  const views = [
    { colorScheme: "light", viewport: { width: 1200, height: 800 } },
    { colorScheme: "dark", viewport: { width: 390, height: 780 } },
  ];
  for (const [n, view] of views.entries()) {
    const what = `${view.colorScheme}, ${view.viewport.width} px`;
    const page = await open(browser, { bypassCSP: true, reducedMotion: "reduce", ...view });
    await page.goto(server.origin);
    await check(page, `the door, ${what}`);
    await page.getByLabel("Your name", { exact: true }).fill(`ann ${n}`);
    await page.getByLabel("Room", { exact: true }).fill("axe");
    await page.getByRole("button", { name: "Come in" }).click();
    await hears(page, "hello");
    await say(page, "hi");
    await hears(page, "hi");
    await check(page, `the chat, ${what}`);
    if (n === 1) {
      await page.getByRole("button", { name: /^Rooms/u }).press("Enter");
      await check(page, `the rooms, ${what}`);
      assert.equal(await page.evaluate(() => document.activeElement.dataset.key), "room:axe");
      await page.keyboard.press("Escape");
      await page.getByRole("button", { name: /^People/u }).press("Enter");
      await check(page, `the people, ${what}`);
    } else {
      await page.getByRole("button", { name: "Join a room" }).press("Enter");
      await check(page, `the dialogue, ${what}`);
    }
    await leave(page);
  }
  carl.close();
});

test("pictures of the page are taken", async (context) => {
  const fresh = await serve();
  context.after(() => fresh.stop());
  const ann = await enter(browser, fresh.origin, "Ann", "lobby", { viewport: { width: 1120, height: 700 } });
  const phone = { viewport: { width: 390, height: 780 }, colorScheme: "dark" };
  const bob = await enter(browser, fresh.origin, "Bob", "lobby", phone);
  const jo = await Tcp.enter(fresh.port, "Jo", "lobby");
  jo.send('<join room="garden"/>', '<topic room="lobby">Thursday’s supper, and who brings what</topic>');
  await say(ann, "Is anybody cooking on Thursday?");
  await hears(bob, "Thursday");
  await say(bob, "I make the soup. Who has a big pot?");
  await hears(ann, "big pot");
  jo.send('<message room="lobby">Me! Seven litres. And bread from the bakery round the corner, if they still have some.</message>');
  await hears(ann, "Seven litres");
  await say(ann, "Lovely. Then I bring cheese and something sweet.");
  await hears(bob, "something sweet");
  jo.send('<message to="Ann">Shall I fetch you at six?</message>');
  await conversation(ann, "Jo").waitFor();
  // They are kept for the README only when asked for: times of day would change them at each run.
  const folder = process.env.PICTURES ? path.join(ROOT, "docs") : null;
  for (const [page, name] of [[ann, "page-desktop.png"], [bob, "page-phone.png"]]) {
    const picture = await page.screenshot(folder ? { path: path.join(folder, name) } : {});
    assert.ok(picture.length > 10_000 && picture.length < 200_000, `${name} has ${picture.length} bytes`);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing sticks out");
  }
  jo.close();
  await leave(ann, bob);
  assert.equal(await fresh.stop(), 0);
});
