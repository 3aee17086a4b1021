// The program under test, and a plain TCP client.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import readline from "node:readline";
import { fileURLToPath } from "node:url";

export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../../..");
/** Every wait ends after this long. */
export const WAIT_MS = 10_000;

/** `promise`, or an error that says what did not happen in time. */
export async function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${WAIT_MS / 1000} s`)), WAIT_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The program that was built: the one that XMLSOCKET names, or cargo's debug build. */
export function program() {
  const found = process.env.XMLSOCKET ? path.resolve(process.env.XMLSOCKET) : path.join(ROOT, "target/debug/xmlsocket");
  if (!existsSync(found)) throw new Error(`There is no ${found}. \`cargo build\` makes it; \`make test-browser\` does both.`);
  return found;
}

/** Starts `xmlsocket serve` with these options; gives where it listens, and how to stop it. */
export async function serve({ port = 0, options = [], cwd = ROOT } = {}) {
  const child = spawn(program(), ["serve", "--listen", `127.0.0.1:${port}`, ...options], {
    cwd,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, RUST_LOG: "info" },
  });
  const told = [];
  readline.createInterface({ input: child.stderr }).on("line", (line) => told.push(line));
  const ended = once(child, "exit");
  const listening = new Promise((resolve, reject) => {
    readline.createInterface({ input: child.stdout }).on("line", (line) => {
      const found = /^listening on 127\.0\.0\.1:(\d+) /u.exec(line);
      if (found) resolve(Number(found[1]));
    });
    ended.then(([code]) => reject(new Error(`The server ended with ${code}:\n${told.join("\n")}`)));
  });
  const listensOn = await within(listening, "the server listens");
  return {
    port: listensOn,
    origin: `http://127.0.0.1:${listensOn}`,
    told,
    /** Stops it in order; gives the exit code. */
    async stop() {
      if (child.exitCode !== null) return child.exitCode;
      child.kill("SIGTERM");
      const [code] = await within(ended, "the server ends");
      return code;
    },
  };
}

/** A client over plain TCP. */
export class Tcp {
  #socket;
  #rest = "";
  #frames = [];
  #waiting = [];

  static async connect(port) {
    const client = new Tcp();
    client.#socket = net.connect(port, "127.0.0.1").setEncoding("utf8");
    client.#socket.on("data", (text) => client.#take(text));
    await within(once(client.#socket, "connect"), "TCP connects");
    return client;
  }

  /** Logs in and joins a room. */
  static async enter(port, nick, room) {
    const client = await Tcp.connect(port);
    client.send(`<login nick="${nick}"/>`, `<join room="${room}"/>`);
    await client.receive(/^<room /u);
    return client;
  }

  send(...frames) {
    this.#socket.write(frames.map((frame) => `${frame}\0`).join(""));
  }

  /** The next frame that matches; those before it are dropped. */
  async receive(pattern) {
    const found = new Promise((resolve) => {
      this.#waiting.push({ pattern, resolve });
      this.#settle();
    });
    return within(found, `a frame like ${pattern}`);
  }

  /** All frames that have come and were not asked for, once everything sent so far has been answered. */
  async rest() {
    this.send('<ping id="rest"/>');
    const before = [];
    for (;;) {
      const frame = await this.receive(/^/u);
      if (frame.includes('re="rest"')) return before;
      before.push(frame);
    }
  }

  close() {
    this.#socket.destroy();
  }

  #take(text) {
    const parts = (this.#rest + text).split("\0");
    this.#rest = parts.pop();
    this.#frames.push(...parts);
    this.#settle();
  }

  #settle() {
    while (this.#waiting.length > 0) {
      const { pattern, resolve } = this.#waiting[0];
      const at = this.#frames.findIndex((frame) => pattern.test(frame));
      if (at < 0) return;
      const [frame] = this.#frames.splice(0, at + 1).slice(-1);
      this.#waiting.shift();
      resolve(frame);
    }
  }
}
