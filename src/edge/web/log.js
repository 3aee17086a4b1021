// The list of messages of one place.
// Knows: how messages look. Must not know: the session, the link.

const SAME_BREATH_MS = 5 * 60_000;
const HUES = 8;
const BOTTOM_PX = 60;

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const LINK = /https?:\/\/[^\s<>"'`]+[^\s<>"'`.,;:!?()[\]{}]/giu;

/** An element with a class and text, which is never markup. */
export function make(name, className = "", text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

/** The class that gives a name its colour. */
export function hue(name) {
  let sum = 7;
  for (const c of name) sum = (sum * 31 + c.codePointAt(0)) % 65_521;
  return `hue-${sum % HUES}`;
}

/** A name's first character in a circle, for the eye alone. */
export function face(name) {
  const [first] = new Intl.Segmenter(undefined, { granularity: "grapheme" }).segment(name);
  const made = make("span", `face ${hue(name)}`, (first?.segment ?? "").toUpperCase());
  made.ariaHidden = "true";
  return made;
}

export class Log {
  #root;
  #on;
  #place = null;
  /** The elements of messages, by what they show. */
  #made = new WeakMap();

  /** `on` has: `earlier(place)`, `again(place, pending)`, `discard(place, pending)`, `toNamesake(place, pending)`. */
  constructor(root, on) {
    this.#root = root;
    this.#on = on;
  }

  get isAtBottom() {
    return this.#root.scrollHeight - this.#root.scrollTop - this.#root.clientHeight < BOTTOM_PX;
  }

  toBottom() {
    this.#root.scrollTop = this.#root.scrollHeight;
  }

  /** Shows a place, keeping what is seen where it is. True when something new is out of sight below. */
  draw(place, nick) {
    const isOther = place !== this.#place;
    const wasAtBottom = isOther || this.isAtBottom;
    const anchor = wasAtBottom ? null : this.#firstSeen();
    const lastBefore = this.#root.lastElementChild;
    this.#place = place;
    // Another place is not read out from its beginning.
    if (isOther) {
      this.#root.setAttribute("aria-live", "off");
      this.#root.replaceChildren();
    }
    this.#arrange(place ? this.#elements(place, nick) : []);
    if (isOther) {
      const line = this.#root.querySelector(".unread-line");
      this.toBottom();
      if (line) line.scrollIntoView({ block: "nearest" });
      setTimeout(() => this.#root.setAttribute("aria-live", "polite"), 100);
    } else if (wasAtBottom) {
      this.toBottom();
    } else if (anchor) {
      this.#root.scrollTop += anchor.element.offsetTop - anchor.top;
    }
    return !this.isAtBottom && this.#root.lastElementChild !== lastBefore;
  }

  #firstSeen() {
    const top = this.#root.scrollTop;
    const element = Array.from(this.#root.children).find((child) => child.offsetTop - this.#root.offsetTop >= top);
    return element && { element, top: element.offsetTop };
  }

  /** Puts the elements in place, touching only what changed: the rest was read out already. */
  #arrange(elements) {
    let at = this.#root.firstElementChild;
    const wanted = new Set(elements);
    for (const element of elements) {
      while (at && !wanted.has(at)) {
        const gone = at;
        at = at.nextElementSibling;
        gone.remove();
      }
      if (element === at) at = at.nextElementSibling;
      else this.#root.insertBefore(element, at);
    }
    while (at) {
      const gone = at;
      at = at.nextElementSibling;
      gone.remove();
    }
  }

  #elements(place, nick) {
    const elements = [];
    if (place.hasEarlier && place.isTold) elements.push(this.#once(place, () => this.#earlier(place)));
    let before = null;
    let hasLine = false;
    for (const item of place.items) {
      if (item.id && !sameDay(before?.time, item.time)) {
        elements.push(this.#once(`day ${item.time.slice(0, 10)} ${item.id}`, () => this.#day(item.time)));
        before = null;
      }
      if (place.lineAfter && item.id > place.lineAfter && !hasLine) {
        elements.push(this.#once(`line ${place.key} ${item.id}`, () => make("div", "unread-line", "New")));
        hasLine = true;
        before = null;
      }
      elements.push(this.#item(item, before));
      before = item.id ? item : null;
    }
    const own = place.pending.map((pending) => this.#pending(place, pending, nick));
    if (elements.length + own.length === 0) {
      elements.push(this.#once(`empty ${place.key}`, () => make("p", "empty", emptiness(place))));
    }
    return [...elements, ...own];
  }

  #texts = new Map();

  /** The element for an object, or for a text that names it; made when it is asked for first. */
  #once(key, build) {
    const known = typeof key === "string" ? this.#texts : this.#made;
    if (typeof key === "string" && known.size > 2000) known.clear();
    if (!known.has(key)) known.set(key, build());
    return known.get(key);
  }

  #item(item, before) {
    if (item.gap) return this.#once(item, () => make("div", "gap", "Some messages in between may be missing."));
    if (item.event) {
      const element = this.#once(item, () => make("div", "event"));
      const text = item.event.join(" · ");
      if (element.textContent !== text) element.textContent = text;
      return element;
    }
    const follows = before?.from === item.from && new Date(item.time) - new Date(before.time) < SAME_BREATH_MS;
    const element = this.#once(item, () => ({ first: null, next: null }));
    const shape = follows ? "next" : "first";
    element[shape] ??= message(item, follows);
    return element[shape];
  }

  #pending(place, pending, nick) {
    const element = this.#once(pending, () => message({ from: nick, ...pending }, true));
    element.classList.add("pending");
    element.dataset.state = pending.state;
    const state = `${pending.state} ${pending.why ?? ""}`;
    if (element.dataset.drawn === state) return element;
    element.dataset.drawn = state;
    element.querySelector(".why")?.remove();
    if (pending.state === "failed") {
      const why = make("p", "why", `${pending.why} `);
      const again = make("button", "", "Send again");
      again.onclick = () => this.#on.again(place, pending);
      const discard = make("button", "", "Discard");
      discard.onclick = () => this.#on.discard(place, pending);
      why.append(again, discard);
      if (pending.isForAnother) {
        const namesake = make("button", "", `Send to whoever is ${place.name} now`);
        namesake.onclick = () => this.#on.toNamesake(place, pending);
        why.append(namesake);
      }
      element.append(why);
    }
    return element;
  }

  #earlier(place) {
    const button = make("button", "", "Show earlier messages");
    button.id = "earlier";
    button.onclick = () => this.#on.earlier(place);
    return button;
  }

  #day(time) {
    const today = new Date();
    const yesterday = new Date(today.getFullYear(), today.getMonth(), today.getDate() - 1);
    let text = calendar.format(new Date(time));
    if (sameDay(time, today)) text = "Today";
    else if (sameDay(time, yesterday)) text = "Yesterday";
    return make("div", "day", text);
  }
}

/** What somebody said; `follows`: right after something else of theirs. */
function message({ from, time, text }, follows) {
  const element = make("div", follows ? "message" : "message first");
  const when = make("time", "", clock.format(new Date(time)));
  when.dateTime = time;
  when.title = full.format(new Date(time));
  if (follows) {
    element.append(when);
  } else {
    const by = make("div", "by");
    by.append(make("bdi", `from ${hue(from)}`, from), when);
    element.append(face(from), by);
  }
  const isAction = text.startsWith("/me ");
  const said = make("div", isAction ? "said action" : "said");
  said.dir = "auto";
  said.append(...withLinks(isAction ? `${from} ${text.slice(4)}` : text));
  element.append(said);
  return element;
}

/** Text, in which addresses of the web can be followed. */
function withLinks(text) {
  const parts = [];
  let end = 0;
  for (const { 0: address, index } of text.matchAll(LINK)) {
    if (!URL.canParse(address)) continue;
    const link = make("a", "", address);
    link.href = address;
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow ugc";
    parts.push(text.slice(end, index), link);
    end = index + address.length;
  }
  parts.push(text.slice(end));
  return parts;
}

function sameDay(one, other) {
  return Boolean(one) && new Date(one).toDateString() === new Date(other).toDateString();
}

function emptiness(place) {
  if (place.kind === "person") return `What you and ${place.name} write here, nobody else sees.`;
  return place.isTold ? "Nothing has been said here yet." : "";
}
