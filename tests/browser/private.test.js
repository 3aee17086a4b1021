// Private words on the chat page: whom they reach, and that what is typed as a command is never said to others.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { conversation, enter, hears, launch, said, say } from "./lib/browser.js";
import { serve, Tcp } from "./lib/program.js";

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

/** What stands in the list of messages about what happened. */
async function notes(page, text) {
  await page.locator("#log .event", { hasText: text }).first().waitFor();
}

test("what is meant for a person does not reach whoever has the name next", async () => {
  const ann = await enter(browser, server.origin, "ann", "tea");
  const bob = await Tcp.enter(server.port, "bob", "tea");
  bob.send('<message to="ann">psst</message>');
  await conversation(ann, "bob").click();
  await say(ann, "for bob");
  assert.match(await bob.receive(/for bob/u), /^<message /u);
  bob.send("<quit/>");
  await bob.receive(/^<bye /u);
  await notes(ann, "bob left the chat");

  const stranger = await Tcp.enter(server.port, "bob", "elsewhere");
  await say(ann, "secret");
  await ann.getByText("The bob of this conversation is not here").waitFor();
  assert.ok(!(await stranger.rest()).join("").includes("secret"));
  // Loading the page again changes nothing.
  await ann.reload();
  await conversation(ann, "bob").click();
  await ann.getByRole("button", { name: "Send again" }).click();
  await ann.getByText("The bob of this conversation is not here").waitFor();
  assert.ok(!(await stranger.rest()).join("").includes("secret"));

  // Only who asks for it writes to the stranger, and in another conversation.
  await ann.getByRole("button", { name: "Send to whoever is bob now" }).click();
  await stranger.receive(/secret/u);
  await notes(ann, "This is not the bob with whom you wrote before");
  assert.deepEqual(await said(ann), ["secret"]);
  assert.equal(await conversation(ann, "bob").count(), 2);
  stranger.send('<message to="ann">who are you?</message>');
  await hears(ann, "who are you?");
  stranger.close();
  await leave(ann);
});

test("a stranger who takes the name writes in a conversation of his own", async () => {
  const ann = await enter(browser, server.origin, "ann", "names");
  const bob = await Tcp.enter(server.port, "bob", "names");
  const carl = await Tcp.enter(server.port, "carl", "names");
  bob.send('<message to="ann">one</message>');
  await conversation(ann, "bob").click();
  await hears(ann, "one");
  bob.send('<nick name="robert"/>');
  await ann.getByRole("heading", { name: "robert", exact: true }).waitFor();
  await notes(ann, "bob is now robert");
  await say(ann, "to robert");
  await bob.receive(/to robert/u);
  carl.send('<nick name="bob"/>', '<message to="ann">two</message>');
  await conversation(ann, "bob").click();
  await hears(ann, "two");
  assert.deepEqual(await said(ann), ["two"]);
  await say(ann, "to bob");
  await carl.receive(/to bob/u);
  // Whoever comes back with his session is who he was.
  bob.send("<quit/>");
  await conversation(ann, "robert").click();
  await notes(ann, "robert left the chat");
  const eve = await Tcp.enter(server.port, "robert", "names");
  await notes(ann, "Somebody else is called robert now");
  await say(ann, "not for eve");
  await ann.getByText("The robert of this conversation is not here").waitFor();
  assert.ok(!(await eve.rest()).join("").includes("not for eve"));
  for (const client of [carl, eve]) client.close();
  await leave(ann);
});

test("a name that is typed means whoever has it at the first line, and that person from then on", async () => {
  const ann = await enter(browser, server.origin, "ann", "alone");
  const bob = await Tcp.enter(server.port, "Bob", "far");
  await say(ann, "/msg bob first");
  await bob.receive(/first/u);
  await ann.getByRole("heading", { name: "Bob", exact: true }).waitFor();
  await say(ann, "second");
  await bob.receive(/second/u);
  bob.send("<quit/>");
  await bob.receive(/^<bye /u);
  const stranger = await Tcp.enter(server.port, "bob", "far");
  await say(ann, "third");
  await ann.getByText("The Bob of this conversation is not here").waitFor();
  assert.ok(!(await stranger.rest()).join("").includes("third"));
  stranger.close();
  await leave(ann);
});

test("what is typed as a command is carried out and never said", async () => {
  const ann = await enter(browser, server.origin, "ann", "typed");
  const bob = await Tcp.enter(server.port, "bob", "typed");
  const field = ann.getByLabel("Message", { exact: true });
  await say(ann, "/secret of mine");
  await ann.getByRole("alert").getByText("There is no command /secret; /help lists them").waitFor();
  assert.equal(await field.inputValue(), "/secret of mine", "the line stays, to be put right");
  await say(ann, "/msg bob");
  await ann.getByRole("alert").getByText("Something is missing: /msg NICK TEXT").waitFor();
  await say(ann, "/join vault my secret");
  await ann.getByRole("alert").getByText("That is more than the command takes: /join ROOM [PASSWORD]").waitFor();
  await say(ann, "/help");
  await notes(ann, "/msg NICK TEXT");
  await say(ann, "/who");
  await notes(ann, "In typed: ann, bob");
  await say(ann, "/me waves");
  await hears(ann, "ann waves");
  await say(ann, "//secret is no secret");
  await hears(ann, "/secret is no secret");
  await say(ann, "/topic All of it");
  await ann.getByText("ann set the topic: All of it").waitFor();
  await say(ann, '/msg "bob" secret word');
  await ann.getByRole("heading", { name: "bob", exact: true }).waitFor();
  await hears(ann, "secret word");
  await say(ann, '/join "the vault" pw');
  await ann.getByRole("heading", { name: "# the vault" }).waitFor();
  await say(ann, "/nick anna");
  await ann.getByRole("button", { name: /^anna\s*: change your name/u }).waitFor();
  await say(ann, "/leave");
  await ann.getByRole("heading", { name: "# the vault" }).waitFor({ state: "hidden" });
  const heard = (await bob.rest()).filter((frame) => frame.startsWith("<message ") && frame.includes('room="'));
  assert.deepEqual(heard.map((frame) => frame.replace(/^[^>]*>|<[^>]*>$/gu, "")), ["/me waves", "/secret is no secret"]);
  bob.send('<join room="the vault"/>');
  await bob.receive(/wrong-password/u);
  await say(ann, "/quit");
  await ann.getByRole("button", { name: "Come in" }).waitFor();
  bob.close();
  await leave(ann);
});
