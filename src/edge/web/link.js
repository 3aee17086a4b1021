// The link to the server: a WebSocket that is made again whenever it is lost.
// Knows: time, the network. Must not know: what the frames mean, beyond <ping/>.

import { frame, parse } from "./frames.js";

const RETRY_FIRST_MS = 500;
const RETRY_LONGEST_MS = 20_000;
// Silence for this long is questioned with a ping; silence after that means that the link is dead.
const SILENCE_MS = 45_000;
const ANSWER_MS = 10_000;

export class Link {
  #url;
  #on;
  #socket = null;
  #tries = 0;
  #retry = 0;
  #watch = 0;

  /** `on` has: `open()`, `frame(element)`, `lost(seconds)` and `broken(text)`. */
  constructor(url, on) {
    this.#url = url;
    this.#on = on;
    addEventListener("online", () => this.hurry());
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) return;
      // A machine that slept does not know what became of its links.
      if (this.isOpen) this.#question();
      else this.hurry();
    });
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Connects, unless that is under way. */
  start() {
    if (this.#socket) return;
    clearTimeout(this.#retry);
    this.#retry = 0;
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    socket.onopen = () => {
      this.#listen();
      this.#on.open();
    };
    socket.onmessage = ({ data }) => this.#take(data);
    socket.onclose = () => this.#lose(socket);
  }

  /** Tries again at once, where a try is waited for. */
  hurry() {
    if (this.#retry) this.start();
  }

  /** Closes, for good until the next start. */
  stop() {
    const socket = this.#socket;
    this.#socket = null;
    clearTimeout(this.#retry);
    clearTimeout(this.#watch);
    this.#retry = 0;
    socket?.close(1000);
  }

  /** Sends a frame; false when there is no link to send it on. */
  send(text) {
    if (!this.isOpen) return false;
    this.#socket.send(text);
    return true;
  }

  /** Login was answered: from now on a lost link is tried again soon. */
  settled() {
    this.#tries = 0;
  }

  #take(data) {
    this.#listen();
    // Messages are frames; a zero byte inside one parts frames.
    for (const text of data.split("\0")) {
      if (!text.trim()) continue;
      const element = parse(text);
      if (!element) this.#on.broken(text);
      else if (element.localName === "ping") this.send(frame("pong"));
      else this.#on.frame(element);
    }
  }

  #listen() {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => this.#question(), SILENCE_MS);
  }

  #question() {
    const socket = this.#socket;
    if (!this.send(frame("ping"))) return;
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => {
      socket.close();
      // A dead link can take minutes to say that it is closed.
      this.#lose(socket);
    }, ANSWER_MS);
  }

  #lose(socket) {
    if (socket !== this.#socket) return;
    this.#socket = null;
    clearTimeout(this.#watch);
    const longest = Math.min(RETRY_LONGEST_MS, RETRY_FIRST_MS * 2 ** this.#tries);
    // Not all at the same moment, when a server comes back.
    const wait = longest * (0.5 + Math.random() / 2);
    this.#tries += 1;
    this.#retry = setTimeout(() => this.start(), wait);
    this.#on.lost(Math.ceil(wait / 1000));
  }
}
