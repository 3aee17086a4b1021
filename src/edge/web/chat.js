// The page: puts the session on the screen, and what people do into the session.
// Knows: the page's elements. Must not know: frames.

import { HELP, understand } from "./commands.js";
import { face, hue, Log, make } from "./log.js";
import { Session } from "./session.js";

const NICK = "xmlsocket.nick";
const DRAW_MS = 16;
const PEOPLE_SHOWN_MAX = 500;
const $ = (id) => document.getElementById(id);

const scheme = location.protocol === "https:" ? "wss:" : "ws:";
const session = new Session(`${scheme}//${location.host}/ws`, {
  changed: () => drawSoon(),
  failed: (text) => fail(text),
  said: (place, message) => {
    if (place !== session.current) speak(`${message.from}, ${nameOf(place)}: ${message.text}`);
  },
});
const log = new Log($("log"), {
  earlier: (place) => session.earlier(place),
  again: (place, pending) => session.sayAgain(place, pending),
  discard: (place, pending) => session.discard(place, pending),
  toNamesake: (place, pending) => session.sayToNamesake(place, pending),
});
let drawing = 0;
let drawn = { place: null, screen: "" };

function drawSoon() {
  drawing ||= setTimeout(() => {
    drawing = 0;
    draw();
  }, DRAW_MS);
}

// Drawing.

function draw() {
  const { state, current } = session;
  const screen = { out: "door", entering: "door", stopped: "stopped" }[state] ?? "chat";
  for (const id of ["door", "stopped", "chat"]) $(id).hidden = id !== screen;
  const isAtDoor = state === "entering" && session.retrySeconds;
  $("login-error").textContent = session.why || (isAtDoor ? "The server cannot be reached at the moment. Trying again …" : "");
  $("stopped-why").textContent = state === "stopped" ? session.why : "";
  if (screen === "chat") drawChat(current);
  if (screen !== drawn.screen) arrive(screen);
  const unread = [...session.places.values()].reduce((sum, place) => sum + place.unread, 0);
  const title = screen === "chat" && current ? `${nameOf(current)} – Chat` : "Chat";
  document.title = unread ? `(${unread}) ${title}` : title;
  drawn.screen = screen;
}

/** Puts the focus where one goes on. */
function arrive(screen) {
  if (screen === "door") $("login-nick").focus();
  if (screen === "chat" && !isNarrow()) $("text").focus();
  if (screen === "stopped") $("again").focus();
}

function drawChat(place) {
  drawNotice();
  drawPlaces();
  $("open-nick").replaceChildren(face(session.nick), make("bdi", "", session.nick), make("span", "unseen", ": change your name"));
  $("title").textContent = place ? nameOf(place) : "No room";
  $("topic").textContent = place?.kind === "room" ? place.topic : "";
  const isRoom = place?.kind === "room";
  for (const id of ["open-topic", "open-topic-narrow"]) $(id).hidden = !isRoom;
  for (const id of ["leave", "leave-narrow"]) {
    $(id).hidden = !place;
    $(id).textContent = isRoom ? "Leave" : "Close";
  }
  $("say").hidden = !place;
  $("text").placeholder = isRoom ? "Write a message" : `Write to ${place?.name ?? ""}`;
  if (place !== drawn.place) {
    if (drawn.place) drawn.place.draft = $("text").value;
    $("text").value = place?.draft ?? "";
    grow();
  }
  const hasBelow = log.draw(place, session.nick);
  if (hasBelow && place === drawn.place) $("newest").hidden = false;
  if (log.isAtBottom) $("newest").hidden = true;
  drawPeople(place);
  drawn.place = place;
}

function drawNotice() {
  const text = trying();
  if ($("notice").dataset.text === text) return;
  $("notice").dataset.text = text;
  $("notice").replaceChildren(text);
  if (!text) return;
  const now = make("button", "", "Try now");
  now.onclick = () => session.hurry();
  $("notice").append(" ", now);
}

/** What there is to say while there is no link. */
function trying() {
  if (session.state === "in" || !session.retrySeconds) return "";
  return `${session.why || "The connection is lost."} What you write is sent when it is back.`;
}

function drawPlaces() {
  const places = [...session.places.values()].sort((one, other) => compare(one.name, other.name));
  const items = (kind) => places.filter((place) => place.kind === kind).map(placeItem);
  replace($("rooms"), items("room"));
  replace($("conversations"), items("person"));
  $("private").hidden = !places.some(({ kind }) => kind === "person");
  const elsewhere = places.reduce((sum, place) => sum + (place === session.current ? 0 : place.unread), 0);
  $("elsewhere").textContent = elsewhere;
  $("elsewhere").hidden = !elsewhere;
}

function placeItem(place) {
  const item = make("li", place.unread ? "unread" : "");
  const button = make("button");
  button.dataset.key = place.key;
  if (place === session.current) button.setAttribute("aria-current", "true");
  if (place.kind === "person") button.append(face(place.name));
  button.append(make("bdi", "", place.name));
  if (place.unread) {
    const count = make("span", "count", String(place.unread));
    count.append(make("span", "unseen", " unread"));
    button.append(count);
  }
  button.onclick = () => go(place);
  item.append(button);
  return item;
}

function drawPeople(place) {
  const others = place ? [[place.name, {}]] : [];
  const people = place?.kind === "room" ? [...place.people] : [[session.nick, {}], ...others];
  const shown = people.sort(([one], [other]) => compare(one, other)).slice(0, PEOPLE_SHOWN_MAX);
  const items = shown.map(([nick, { role }]) => {
    const item = make("li");
    const button = make("button");
    button.dataset.key = nick;
    button.append(face(nick), make("bdi", hue(nick), nick));
    const note = nick === session.nick ? "you" : role === "member" ? "" : role ?? "";
    if (note) button.append(make("span", "role", note));
    button.title = nick === session.nick ? "Change your name" : `Write to ${nick} in private`;
    button.onclick = () => (nick === session.nick ? openNick() : go(place?.kind === "room" ? session.converse(nick) : place));
    item.append(button);
    return item;
  });
  if (people.length > shown.length) items.push(make("li", "more", `and ${people.length - shown.length} more`));
  replace($("members"), items);
  $("people-number").textContent = people.length;
}

/** Replaces the items of a list where they differ, and keeps the focus on what it was on. */
function replace(list, items) {
  const html = items.map((item) => item.outerHTML).join("");
  if (list.dataset.drawn === html) {
    // The same to see, but it may stand for new objects.
    items.forEach((item, n) => {
      const button = list.children[n].querySelector("button");
      if (button) button.onclick = item.querySelector("button").onclick;
    });
    return;
  }
  const key = list.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  list.dataset.drawn = html;
  list.replaceChildren(...items);
  if (key) list.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
}

function compare(one, other) {
  return one.localeCompare(other, undefined, { sensitivity: "base", numeric: true }) || (one < other ? -1 : 1);
}

function nameOf(place) {
  return place.kind === "room" ? `# ${place.name}` : place.name;
}

function isNarrow() {
  return matchMedia("(max-width: 46rem)").matches;
}

function speak(text) {
  $("spoken").textContent = text;
}

function fail(text) {
  $("failure").firstElementChild.textContent = text;
  $("failure").hidden = false;
}

// What people do.

function go(place) {
  closePanels();
  session.show(place);
  $("text").focus();
}

function closePanels() {
  for (const id of ["places", "people"]) {
    $(id).classList.remove("open");
    $(`show-${id}`).setAttribute("aria-expanded", "false");
  }
}

for (const id of ["places", "people"]) {
  $(`show-${id}`).onclick = () => {
    const opens = !$(id).classList.contains("open");
    closePanels();
    if (!opens) return;
    $(id).classList.add("open");
    $(`show-${id}`).setAttribute("aria-expanded", "true");
    ($(id).querySelector("[aria-current]") ?? $(id).querySelector("li button, .close")).focus();
  };
  $(id).querySelector(".close").onclick = () => {
    closePanels();
    $(`show-${id}`).focus();
  };
}
$("talk").addEventListener("pointerdown", (event) => {
  if (!event.target.closest(".narrow")) closePanels();
});
addEventListener("keydown", (event) => {
  const open = document.querySelector("#places.open, #people.open");
  if (event.key !== "Escape" || !open) return;
  closePanels();
  $(`show-${open.id}`).focus();
});

$("login").onsubmit = (event) => {
  event.preventDefault();
  const nick = $("login-nick").value.trim();
  try {
    localStorage.setItem(NICK, nick);
  } catch {
    // Without storage, the name is asked for next time.
  }
  session.enter(nick, $("login-room").value.trim() || "lobby");
};
$("again").onclick = () => session.again();
$("quit").onclick = () => session.quit();

function grow() {
  $("text").style.height = "auto";
  $("text").style.height = `${$("text").scrollHeight + 2}px`;
}

function say() {
  const text = $("text").value.replace(/\s+$/u, "");
  const place = session.current;
  if (!place || !text.trim()) return;
  const { fault, command, words, say: said } = understand(text);
  if (fault) {
    // The line stays, to be put right.
    fail(fault);
    return;
  }
  $("text").value = "";
  place.draft = "";
  grow();
  if (command) carryOut(place, command, words);
  else session.say(place, said);
  log.toBottom();
}

/** Carries out what was typed as a command. */
function carryOut(place, command, words) {
  const answered = (failure) => failure && fail(failure);
  const roomOf = (name) => (name ? session.places.get(`room:${name}`) : place.kind === "room" ? place : null);
  const [first, second] = words;
  const commands = {
    join: () => session.join(first, second ?? "", answered),
    leave: () => (first && !roomOf(first) ? fail(`You are not in “${first}”.`) : session.leave(roomOf(first) ?? place)),
    msg: () => {
      const conversation = session.converse(first);
      session.say(conversation, second);
      go(conversation);
    },
    me: () => session.say(place, `/me ${first}`),
    topic: () => {
      if (!roomOf()) fail("Only rooms have a topic.");
      else if (first) session.setTopic(place, first === '""' ? "" : first, answered);
      else place.note(place.topic ? `The topic: ${place.topic}` : "There is no topic");
    },
    who: () => {
      const room = roomOf(first);
      if (room) place.note(`In ${room.name}: ${[...room.people.keys()].sort(compare).join(", ")}`);
      else fail(first ? `You are not in “${first}”.` : "Only rooms have people.");
    },
    rooms: () => $("open-join").click(),
    nick: () => session.rename(first, answered),
    help: () => HELP.forEach((usage) => place.note(usage)),
    quit: () => session.quit(),
  };
  commands[command]();
  drawSoon();
}

$("text").addEventListener("input", () => {
  grow();
  if (session.current) session.current.draft = $("text").value;
});
$("text").addEventListener("keydown", (event) => {
  // While an input method composes, Enter chooses a word.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  say();
});
$("say").onsubmit = (event) => {
  event.preventDefault();
  say();
  $("text").focus();
};
$("newest").onclick = () => {
  log.toBottom();
  $("newest").hidden = true;
  $("text").focus();
};
$("log").addEventListener("scroll", () => {
  if (log.isAtBottom) $("newest").hidden = true;
}, { passive: true });
$("failure").querySelector("button").onclick = () => {
  $("failure").hidden = true;
  $("text").focus();
};
document.addEventListener("visibilitychange", () => {
  session.read();
  drawSoon();
});

/** A dialogue that closes when what it asks for was done, and otherwise says why not. */
function dialogue(id, submit) {
  const dialog = $(id);
  const form = dialog.querySelector("form");
  const error = dialog.querySelector(".error");
  dialog.querySelector("[value=cancel]").onclick = () => dialog.close();
  form.onsubmit = (event) => {
    event.preventDefault();
    submit((failure) => {
      error.textContent = failure ?? "";
      if (!failure) dialog.close();
    });
  };
  return (input) => {
    error.textContent = "";
    closePanels();
    dialog.showModal();
    input.focus();
    input.select();
  };
}

const showJoin = dialogue("join", (answered) => session.join($("join-name").value.trim(), $("join-password").value, answered));
const showNick = dialogue("nick", (answered) => session.rename($("nick-name").value.trim(), answered));
const showTopic = dialogue("topic-dialog", (answered) =>
  session.setTopic(session.current, $("topic-text").value.trim(), answered));

function openNick() {
  $("nick-name").value = session.nick;
  showNick($("nick-name"));
}

function openTopic() {
  $("topic-text").value = session.current.topic;
  showTopic($("topic-text"));
}

$("open-nick").onclick = openNick;
for (const id of ["open-topic", "open-topic-narrow"]) $(id).onclick = openTopic;
for (const id of ["leave", "leave-narrow"]) {
  $(id).onclick = () => {
    closePanels();
    session.leave(session.current);
  };
}
$("open-join").onclick = () => {
  $("join-name").value = "";
  $("join-password").value = "";
  $("open-rooms").replaceChildren();
  showJoin($("join-name"));
  session.listRooms((rooms) => {
    const others = rooms.filter(({ name }) => !session.places.has(`room:${name}`));
    $("open-rooms").replaceChildren(...others.map(openRoom));
  });
};

function openRoom({ name, users, topic, locked }) {
  const item = make("li");
  const button = make("button");
  button.type = "button";
  const people = users === "1" ? "1 person" : `${users} people`;
  button.append(make("bdi", "", name), make("small", "", [people, locked && "locked", topic].filter(Boolean).join(" · ")));
  button.onclick = () => {
    $("join-name").value = name;
    if (locked) $("join-password").focus();
    else $("join").querySelector("form").requestSubmit();
  };
  item.append(button);
  return item;
}

// The beginning.

$("host").textContent = location.host;
try {
  $("login-nick").value = localStorage.getItem(NICK) ?? "";
  // A link to a room: /#tea.
  if (location.hash.length > 1) $("login-room").value = decodeURIComponent(location.hash.slice(1));
} catch {
  // No storage, or no room's name: the fields stay as they are.
}
session.resume();
draw();
