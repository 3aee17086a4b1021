// Commands: what a line that begins with a slash means, as in the terminal client. Such a line is never said to others.
// Knows: the names of commands and what they take. Must not know: the session, the screen.

/** What each command takes: words that may stand in quotes, at most so many, and then a text if it says so. */
const COMMANDS = {
  join: { words: 2, needs: 1, usage: "/join ROOM [PASSWORD]" },
  leave: { words: 1, usage: "/leave [ROOM]" },
  msg: { words: 1, needs: 2, hasText: true, usage: "/msg NICK TEXT" },
  me: { words: 0, needs: 1, hasText: true, usage: "/me TEXT" },
  topic: { words: 0, hasText: true, usage: "/topic [TEXT]" },
  who: { words: 1, usage: "/who [ROOM]" },
  rooms: { words: 0, usage: "/rooms" },
  nick: { words: 1, needs: 1, usage: "/nick NICK" },
  help: { words: 0, usage: "/help" },
  quit: { words: 0, usage: "/quit" },
};

export const HELP = [...Object.values(COMMANDS).map(({ usage }) => usage), "//TEXT says what begins with a slash"];

/**
 * What a typed text means: `{ say }` it here; `{ command, words }` to carry out, its text as the last of the words; or
 * a `{ fault }` in a sentence.
 */
export function understand(text) {
  if (!text.startsWith("/")) return { say: text };
  if (text.startsWith("//")) return { say: text.slice(1) };
  const [, command, rest] = /^\/(\S*)\s*(.*)$/su.exec(text);
  if (!Object.hasOwn(COMMANDS, command)) {
    return { fault: `There is no command /${command}; /help lists them, and // sends a line that begins with a slash.` };
  }
  const { words: wordsMax, needs = 0, hasText, usage } = COMMANDS[command];
  const words = [];
  let left = rest;
  while (words.length < wordsMax && left) {
    const [whole, quoted, bare] = /^(?:"([^"]*)"|(\S+))\s*/u.exec(left);
    words.push(quoted ?? bare);
    left = left.slice(whole.length);
  }
  if (hasText && left) words.push(left);
  if (words.length < needs || words.some((word, n) => n < needs && !word)) return { fault: `Something is missing: ${usage}` };
  if (!hasText && left) return { fault: `That is more than the command takes: ${usage}` };
  return { command, words };
}
