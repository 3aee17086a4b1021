// Places: rooms and conversations, what was said there, who is there.
// Knows: messages and their order. Must not know: the screen, the link.

const ITEMS_MAX = 1000;
const PRIVATE_KEPT_MAX = 100;
const EVENTS_MAX = 20;

export class Place {
  /** `kind` is "room" or "person"; `name` as the server writes it. */
  constructor(kind, name) {
    this.kind = kind;
    this.name = name;
    /** Of a conversation: the number of the person whom it is with, once that is known. */
    this.person = null;
    /** Whether that person has left the chat; whether somebody else has the name. */
    this.isGone = false;
    this.isSupplanted = false;
    this.topic = "";
    /** Messages, events and gaps, in the order of their numbers. */
    this.items = [];
    this.ids = new Set();
    /** Nick → {role, person}, of a room. */
    this.people = new Map();
    this.unread = 0;
    /** The number of the newest message that was looked at. */
    this.readUpTo = 0;
    /** The number after which a lost link has to be made up for. */
    this.knownUpTo = 0;
    /** What was sent from here and has not come back: {text, after, state, why, time}. */
    this.pending = [];
    this.hasEarlier = false;
    /** Whether the server has told the room on the present link. */
    this.isTold = false;
    /** What was typed and not sent. */
    this.draft = "";
    this.password = undefined;
    /** Above a message after this number stands a line, when one comes to what is new; 0: no line. */
    this.lineAfter = 0;
    this.itemsMax = ITEMS_MAX;
  }

  get key() {
    return this.person ? `who:${this.person}` : `${this.kind}:${this.name}`;
  }

  get firstId() {
    return this.items.find((item) => item.id)?.id;
  }

  get lastId() {
    return this.items.findLast((item) => item.id)?.id ?? 0;
  }

  /** Takes a message to where its number belongs; false when it is there already. */
  add(message) {
    if (this.ids.has(message.id)) return false;
    this.ids.add(message.id);
    let at = this.items.length;
    while (at > 0 && (this.items[at - 1].id ?? this.items[at - 1].after) > message.id) at -= 1;
    this.items.splice(at, 0, message);
    if (this.isTold || this.kind === "person") this.knownUpTo = Math.max(this.knownUpTo, message.id);
    this.#trim();
    return true;
  }

  /** Notes that something happened, after all that was said so far. */
  note(text) {
    const last = this.items.at(-1);
    if (last?.event) {
      last.event = [...last.event, text].slice(-EVENTS_MAX);
    } else {
      this.items.push({ event: [text], after: this.lastId });
      this.#trim();
    }
  }

  /** Notes that messages after those known so far cannot be had any more. */
  gap() {
    if (!this.knownUpTo) return;
    const at = this.items.findLastIndex(({ id, after }) => (id ?? after) <= this.knownUpTo) + 1;
    this.items.splice(at, 0, { gap: true, after: this.knownUpTo });
  }

  /** Settles what was sent from here by the message as which it came back. */
  settle(message) {
    const found = this.pending.findIndex(
      ({ text, state, after }) => state !== "waiting" && text === message.text && after < message.id,
    );
    if (found >= 0) this.pending.splice(found, 1);
  }

  #trim() {
    if (this.items.length <= this.itemsMax) return;
    for (const { id } of this.items.splice(0, this.items.length - this.itemsMax)) this.ids.delete(id);
    this.hasEarlier = this.kind === "room";
  }

  /** What a reload of the page must not lose: the server keeps what is said in rooms, and nothing else. */
  toJSON() {
    const { kind, name, person, isGone, isSupplanted, readUpTo, pending, draft, unread } = this;
    const messages = this.kind === "person" ? this.items.filter(({ id }) => id).slice(-PRIVATE_KEPT_MAX) : [];
    return { kind, name, person, isGone, isSupplanted, readUpTo, pending, draft, unread, messages };
  }

  static from({ kind, name, person, isGone, isSupplanted, readUpTo, pending, draft, unread, messages }) {
    const place = Object.assign(new Place(kind, name), { person, isGone, isSupplanted });
    messages.forEach((message) => place.add(message));
    pending.forEach((each) => interrupt(kind, each));
    return Object.assign(place, { readUpTo, pending, draft, unread: kind === "person" ? unread : 0 });
  }
}

/**
 * Marks what was on its way when the link was lost. Of what was said to a person nobody knows whether it arrived; in
 * rooms, the history will tell.
 */
export function interrupt(kind, pending) {
  if (pending.state !== "sent") return;
  if (kind === "room") {
    pending.state = "doubtful";
    return;
  }
  pending.state = "failed";
  pending.why = "The connection was lost. This may not have arrived.";
}
