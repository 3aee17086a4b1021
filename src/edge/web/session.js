// A person's session: who one is, which places one is in, what was sent and what came of it.
// Knows: the vocabulary of the chat. Must not know: the screen.

import { Conversations } from "./conversations.js";
import { attributes, frame, legal } from "./frames.js";
import { Link } from "./link.js";
import { interrupt, Place } from "./places.js";
import { forget, load, save } from "./storage.js";

const HISTORY_FIRST = 100;
const HISTORY_MISSED_MAX = 1000;
const HISTORY_PAGE = 50;
const PEOPLE_PAGES_MAX = 5;
// Farewells after which one does not come back unasked.
const FAREWELLS = {
  "taken-over": "This chat goes on in another window. You can bring it back here.",
  kicked: "You were sent out.",
  banned: "You were sent out, and may not come back for now.",
};
const NO_LINK = "There is no connection at the moment. Try again when it is back.";

export class Session {
  nick = "";
  /** "out", "entering", "in", "lost" or "stopped". */
  state = "out";
  /** What a person should know about the state; a sentence or nothing. */
  why = "";
  /** How long until the next try, while there is no link. */
  retrySeconds = 0;
  /** Places by key, in the order in which they were entered. */
  places = new Map();
  current = null;

  #conversations = new Conversations(this.places);
  /** The conversations in which something was sent and is not answered, in the order of sending. */
  #unanswered = [];
  #id = null;
  #highest = 0;
  #firstRoom = "lobby";
  #requests = new Map();
  #request = 0;
  #link;
  #on;

  /** `on` has: `changed()`, `failed(text)`, `said(place, message)`. */
  constructor(url, on) {
    this.#on = on;
    this.#link = new Link(url, {
      open: () => this.#login(),
      frame: (element) => this.#take(element),
      lost: (seconds) => this.#lost(seconds),
      broken: () => this.#on.failed("The server sent something that is no XML. It was left out."),
    });
    addEventListener("pagehide", () => this.#store());
    // A telephone may put away a page that is out of sight without another word.
    document.addEventListener("visibilitychange", () => document.hidden && this.#store());
  }

  /** Takes up what this window was in before it was loaded again; false when there was nothing. */
  resume() {
    const stored = load();
    if (!stored?.id) return false;
    this.nick = stored.nick;
    this.#id = stored.id;
    for (const each of stored.places) {
      const place = Place.from(each);
      this.places.set(place.key, place);
    }
    this.show(this.places.get(stored.current) ?? this.places.values().next().value ?? null);
    this.state = "lost";
    this.#link.start();
    return true;
  }

  enter(nick, room) {
    Object.assign(this, { nick, state: "entering", why: "" });
    this.#firstRoom = room;
    this.#link.start();
    this.#on.changed();
  }

  /** Comes back after a farewell. */
  again() {
    this.state = "lost";
    this.#link.start();
    this.#on.changed();
  }

  hurry() {
    this.#link.hurry();
  }

  quit() {
    if (!this.#ask("quit")) this.#end();
  }

  show(place) {
    this.current = place;
    if (place) {
      place.lineAfter = place.unread ? place.readUpTo : 0;
      this.read();
    }
    this.#on.changed();
  }

  /** The current place is looked at. */
  read() {
    const place = this.current;
    if (!place || document.hidden) return;
    place.unread = 0;
    place.readUpTo = Math.max(place.readUpTo, place.lastId);
  }

  /** The conversation with who has this nick: with that very person, if one sees who it is. */
  converse(nick) {
    return this.#conversations.with(nick, this.#personOf(nick));
  }

  #personOf(nick) {
    const rooms = [...this.places.values()].filter(({ people }) => people.has(nick));
    return rooms[0]?.people.get(nick).person ?? null;
  }

  join(room, password, answered) {
    const known = this.places.get(`room:${room}`);
    if (known?.isTold) {
      this.show(known);
      answered(null);
      return;
    }
    const place = known ?? new Place("room", room);
    if (password) place.password = password;
    this.#join(place, (failure) => {
      if (!failure) this.show(place);
      answered(failure);
    });
  }

  leave(place) {
    if (place.kind === "person") this.#remove(place);
    else if (!this.#ask("leave", { room: place.name })) this.#on.failed(NO_LINK);
  }

  rename(nick, answered) {
    this.#askFor(answered, "nick", { name: nick });
  }

  setTopic(place, topic, answered) {
    this.#askFor(answered, "topic", { room: place.name }, topic);
  }

  /** All rooms, however many answers it takes: `before` are those of the ones before. */
  listRooms(answered, before = []) {
    this.#ask("rooms", before.length ? { after: before.at(-1).name } : {}, "", (answer) => {
      const rooms = answer?.localName === "rooms" ? Array.from(answer.children, attributes) : [];
      const all = [...before, ...rooms];
      if (rooms.length && answer.getAttribute("more") === "true") this.listRooms(answered, all);
      else answered(all);
    });
  }

  earlier(place) {
    this.#ask("history", { room: place.name, before: place.firstId, limit: HISTORY_PAGE }, "", (answer) => {
      if (answer?.localName !== "history") return;
      place.itemsMax += answer.children.length;
      for (const each of answer.children) place.add(this.#message(each));
      place.hasEarlier = answer.getAttribute("more") === "true";
      this.#on.changed();
    });
  }

  say(place, text) {
    const pending = { text: legal(text), after: this.#highest, state: "waiting", time: new Date().toISOString() };
    place.pending.push(pending);
    this.#send(place, pending);
    this.#on.changed();
  }

  /** Sends once more what could not be sent. */
  sayAgain(place, pending) {
    Object.assign(pending, { after: this.#highest, state: "waiting", why: "" });
    this.#send(place, pending);
    this.#on.changed();
  }

  /** Sends what did not reach its person to whoever has the name now. */
  sayToNamesake(place, pending) {
    this.discard(place, pending);
    if (this.#personOf(place.name) !== place.person) place.isSupplanted = true;
    const other = this.converse(place.name);
    this.show(other);
    this.say(other, pending.text);
  }

  discard(place, pending) {
    place.pending = place.pending.filter((each) => each !== pending);
    this.#on.changed();
  }

  // Requests.

  #ask(name, given = {}, text = "", answered = null) {
    if (this.state !== "in" && name !== "login") {
      answered?.(null);
      return false;
    }
    this.#request += 1;
    const id = `r${this.#request}`;
    this.#requests.set(id, answered ?? ((answer) => this.#complain(answer)));
    return this.#link.send(frame(name, { ...given, id }, text));
  }

  /** Asks, and tells a dialogue: null when all went well, a sentence otherwise. */
  #askFor(answered, name, given, text = "") {
    this.#ask(name, given, text, (answer) => answered(failureOf(answer)));
  }

  #complain(answer) {
    if (answer?.localName === "error") this.#on.failed(answer.textContent);
  }

  #login() {
    this.#ask("login", { nick: this.nick, session: this.#id }, "", (answer) => {
      if (answer?.localName === "welcome") {
        this.#welcome(attributes(answer));
      } else if (answer) {
        this.#link.stop();
        this.state = "out";
        this.why = answer.textContent;
      }
    });
  }

  #welcome({ nick, session }) {
    Object.assign(this, { nick, state: "in", why: "", retrySeconds: 0 });
    this.#id = session;
    this.#link.settled();
    const rooms = [...this.places.values()].filter(({ kind }) => kind === "room");
    rooms.forEach((place) => this.#join(place, (failure) => failure && this.#locked(place, failure)));
    if (this.places.size === 0) this.join(this.#firstRoom, "", (failure) => failure && this.#on.failed(failure));
    for (const place of this.places.values()) {
      if (place.kind === "person") this.#sendWaiting(place);
    }
  }

  #join(place, answered) {
    const after = place.knownUpTo || null;
    const history = after ? HISTORY_MISSED_MAX : HISTORY_FIRST;
    place.isTold = false;
    this.#ask("join", { room: place.name, password: place.password, after, history }, "", (answer) => {
      const failure = failureOf(answer);
      if (!failure) this.#told(place, answer, after);
      answered(failure);
    });
  }

  #told(place, answer, after) {
    const { name, topic, users, truncated } = attributes(answer);
    this.places.delete(place.key);
    Object.assign(place, { name, topic, isTold: true });
    this.places.set(place.key, place);
    place.people = new Map();
    this.#people(place, answer);
    if (place.people.size < Number(users)) this.#morePeople(place, 1);
    if (truncated) place.gap();
    // The answer to this comes behind all of the history.
    this.#ask("ping", {}, "", (pong) => pong && this.#caughtUp(place, after));
  }

  #caughtUp(place, after) {
    if (!after) place.hasEarlier = place.items.filter(({ id }) => id).length >= HISTORY_FIRST;
    if (!place.readUpTo) place.readUpTo = place.lastId;
    // What was sent over a lost link and is not in the history did not arrive.
    for (const pending of place.pending) {
      if (pending.state === "doubtful") Object.assign(pending, { state: "waiting", after: this.#highest });
    }
    this.#sendWaiting(place);
    if (place === this.current) this.read();
  }

  /** Coming back, a room was found locked or full. */
  #locked(place, failure) {
    if (this.state !== "in") return;
    this.#remove(place);
    this.#on.failed(`You are no longer in “${place.name}”. ${failure}`);
  }

  #morePeople(place, page) {
    if (page > PEOPLE_PAGES_MAX) return;
    const last = [...place.people.keys()].at(-1);
    this.#ask("users", { room: place.name, after: last }, "", (answer) => {
      if (answer?.localName !== "users") return;
      this.#people(place, answer);
      if (answer.getAttribute("more") === "true") this.#morePeople(place, page + 1);
    });
  }

  #people(place, answer) {
    for (const { nick, role, person } of Array.from(answer.children, attributes)) {
      place.people.set(nick, { role, person });
      this.#conversations.meet(nick, person);
    }
  }

  #sendWaiting(place) {
    for (const pending of place.pending) {
      if (pending.state === "waiting") this.#send(place, pending);
    }
  }

  #send(place, pending) {
    if (this.state !== "in" || (place.kind === "room" && !place.isTold)) return;
    if (place.kind === "person") {
      this.#sendPrivately(place, pending);
      return;
    }
    pending.state = "sent";
    this.#ask("message", { room: place.name }, pending.text, (answer) => {
      if (answer?.localName === "ok") this.discard(place, pending);
      else if (answer) Object.assign(pending, { state: "failed", why: answer.textContent });
    });
  }

  /** Sends to the person whom a conversation is with. While that is not known, the answer to one line tells it. */
  #sendPrivately(place, pending) {
    const { name, person } = place;
    if (!person && place.pending.some(({ state }) => state === "sent")) return;
    pending.state = "sent";
    this.#unanswered.push(place);
    this.#ask("message", { to: name, person }, pending.text, (answer) => {
      this.#unanswered.shift();
      if (answer?.localName === "ok") {
        this.discard(place, pending);
        const bound = this.#conversations.bind(place, answer.getAttribute("person"));
        if (this.current === place && bound !== place) this.show(bound);
        this.#sendWaiting(bound);
      } else if (answer) {
        const isAnother = person && answer.getAttribute("code") === "no-such-user";
        const why = isAnother ? `The ${name} of this conversation is not here, or has another name by now.` : answer.textContent;
        Object.assign(pending, { state: "failed", why, isForAnother: Boolean(isAnother) });
      }
    });
  }

  // What the server says.

  #take(element) {
    const said = attributes(element);
    const asked = this.#requests.get(said.re);
    this.#requests.delete(said.re);
    const handlers = {
      message: () => this.#heard(this.#message(element), said),
      joined: () => this.#joined(said),
      left: () => this.#left(said),
      renamed: () => this.#renamed(said),
      topic: () => this.#topic(said, element.textContent),
      bye: () => this.#farewell(said.reason),
      error: () => asked || this.#refused(element.textContent),
    };
    if (Object.hasOwn(handlers, element.localName)) handlers[element.localName]();
    asked?.(element);
    this.#on.changed();
  }

  #message(element) {
    const { id, from, person, time } = attributes(element);
    return { id: Number(id), from, person, time, text: element.textContent };
  }

  #heard(message, { room, to, history }) {
    const isOwn = message.from === this.nick;
    const place = room ? this.#room(room) : this.#conversation(message, isOwn ? to : null);
    this.#highest = Math.max(this.#highest, message.id);
    if (!place.add(message)) return;
    if (isOwn) place.settle(message);
    if (place === this.current && !document.hidden) {
      if (place.isTold || !room) place.readUpTo = Math.max(place.readUpTo, message.id);
    } else if (!isOwn && message.id > place.readUpTo && (place.readUpTo || !history)) {
      place.unread += 1;
      if (place === this.current && place.unread === 1) place.lineAfter = place.readUpTo;
    }
    if (!history && !isOwn) this.#on.said(place, message);
  }

  #joined({ room, nick, person }) {
    const place = this.places.get(`room:${room}`);
    this.#conversations.meet(nick, person);
    if (!place) return;
    if (!place.people.has(nick)) place.note(`${nick} came in`);
    place.people.set(nick, { role: "member", ...place.people.get(nick), person });
  }

  #left({ room, nick, reason }) {
    const place = this.places.get(`room:${room}`);
    if (!place) return;
    if (nick === this.nick) {
      this.#remove(place);
      if (reason) this.#on.failed(`You are no longer in “${room}”.`);
    } else {
      // With a reason, it was the chat that was left.
      if (reason) this.#conversations.left(place.people.get(nick)?.person);
      if (place.people.delete(nick)) place.note(`${nick} left`);
    }
  }

  #renamed({ from, nick }) {
    if (from === this.nick) this.nick = nick;
    const person = this.#personOf(from);
    for (const place of [...this.places.values()]) {
      if (place.people.has(from)) {
        place.people = new Map([...place.people].map(([name, known]) => [name === from ? nick : name, known]));
        place.note(`${from} is now ${nick}`);
      }
    }
    if (person) this.#conversations.renamed(person, from, nick);
  }

  #topic({ room, from }, topic) {
    const place = this.places.get(`room:${room}`);
    if (!place) return;
    place.topic = topic;
    if (from) place.note(topic ? `${from} set the topic: ${topic}` : `${from} removed the topic`);
  }

  #farewell(reason) {
    if (reason === "quit") {
      this.#end();
    } else if (Object.hasOwn(FAREWELLS, reason)) {
      this.#link.stop();
      Object.assign(this, { state: "stopped", why: FAREWELLS[reason] });
      this.#unsettle();
    }
  }

  /** An error that answers no request: before the login it says why one does not get in. */
  #refused(text) {
    if (this.state === "in") this.#on.failed(text);
    else this.why = text;
  }

  #lost(seconds) {
    if (this.state === "in") this.why = "";
    this.state = this.state === "entering" ? "entering" : "lost";
    this.retrySeconds = seconds;
    this.#unsettle();
    this.#on.changed();
  }

  /** What was under way when the link went. */
  #unsettle() {
    const open = [...this.#requests.values()];
    this.#requests.clear();
    this.#unanswered = [];
    for (const place of this.places.values()) {
      place.isTold = false;
      place.pending.forEach((pending) => interrupt(place.kind, pending));
    }
    open.forEach((answered) => answered(null));
  }

  #end() {
    this.#link.stop();
    this.#id = null;
    this.places.clear();
    this.#requests.clear();
    this.#unanswered = [];
    Object.assign(this, { state: "out", why: "", current: null });
    forget();
    this.#on.changed();
  }

  #room(name) {
    const known = this.places.get(`room:${name}`);
    if (known) return known;
    const place = new Place("room", name);
    this.places.set(place.key, place);
    // The server has this person in a room that this window did not know of.
    this.#join(place, () => {});
    return place;
  }

  /** Where a private message belongs; `to`: whom one sent it to oneself. */
  #conversation({ from, person }, to) {
    if (!to) return this.#conversations.with(from, person);
    // Messages come back in the order in which they were sent.
    const [place = this.#conversations.with(to)] = this.#unanswered;
    this.#conversations.rename(place, to);
    return place;
  }

  #remove(place) {
    this.places.delete(place.key);
    if (place === this.current) this.show(this.places.values().next().value ?? null);
  }

  #store() {
    const places = [...this.places.values()];
    if (this.#id) save({ id: this.#id, nick: this.nick, current: this.current?.key, places });
  }
}

/** Why a request was not carried out; null when it was. */
function failureOf(answer) {
  if (!answer) return NO_LINK;
  return answer.localName === "error" ? answer.textContent : null;
}
