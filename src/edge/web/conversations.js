// Conversations: whom one writes with in private. Each is bound to a person, by the number that the server gives a person
// and never gives again; a name goes to whoever takes it next.
// Knows: places, names and numbers. Must not know: the screen, frames.

import { Place } from "./places.js";

export class Conversations {
  #places;

  /** `places` is the session's map of all places. */
  constructor(places) {
    this.#places = places;
  }

  /** The conversation with a person, made when there is none; without a number, with whoever has the name. */
  with(name, person = null) {
    const known = person ? this.#of(person) : this.#named(name).findLast((place) => !place.isSupplanted);
    if (known) return known;
    // One in which a line is under way is bound by the answer to that.
    const unbound = this.#named(name).find(({ person: other, pending }) => !other && pending.every(({ state }) => state !== "sent"));
    if (unbound) return this.bind(unbound, person);
    const others = this.#named(name);
    const place = new Place("person", name);
    place.person = person;
    this.#places.set(place.key, place);
    if (others.length > 0) place.note(`This is not the ${name} with whom you wrote before`);
    others.forEach((other) => supplant(other));
    return place;
  }

  /** Binds a conversation with whoever has a name to who that was. Gives the one that there is with that person. */
  bind(place, person) {
    if (place.person || !person) return place;
    const known = this.#of(person);
    this.#places.delete(place.key);
    if (known) {
      place.items.filter(({ id }) => id).forEach((message) => known.add(message));
      known.pending.push(...place.pending);
      known.draft ||= place.draft;
      return known;
    }
    place.person = person;
    this.#places.set(place.key, place);
    return place;
  }

  /** A person is seen under a name. */
  meet(name, person) {
    if (!person) return;
    const own = this.#of(person);
    if (own?.isGone) {
      own.isGone = false;
      own.note(`${own.name} is back`);
    }
    if (own && own.name !== name) this.renamed(person, own.name, name);
    for (const place of this.#named(name)) {
      if (place.person && place.person !== person) supplant(place);
    }
  }

  /** A person has left the chat, or lost the link to it. */
  left(person) {
    const place = this.#of(person);
    if (!place || place.isGone) return;
    place.isGone = true;
    place.note(`${place.name} left the chat`);
  }

  /** A person has another name. */
  renamed(person, from, name) {
    const place = this.#of(person);
    if (place) {
      this.rename(place, name);
      place.note(`${from} is now ${name}`);
    }
    this.meet(name, person);
  }

  /** Calls a conversation otherwise. */
  rename(place, name) {
    if (place.name === name) return;
    this.#places.delete(place.key);
    place.name = name;
    this.#places.set(place.key, place);
  }

  #of(person) {
    return this.#places.get(`who:${person}`);
  }

  #named(name) {
    return [...this.#places.values()].filter((place) => place.kind === "person" && place.name === name);
  }
}

/** The name of a conversation's person is somebody else's now. */
function supplant(place) {
  if (place.isSupplanted) return;
  place.isSupplanted = true;
  place.note(`Somebody else is called ${place.name} now; what you write here does not reach them`);
}
