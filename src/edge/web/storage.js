// What a reload of the page must not lose, kept in the window. Storage that is full or forbidden costs the way back after a
// reload, nothing now.
// Knows: the browser's storage. Must not know: what is in it.

const STORED = "xmlsocket.chat";

export function load() {
  try {
    return JSON.parse(sessionStorage.getItem(STORED));
  } catch {
    return null;
  }
}

export function save(what) {
  try {
    sessionStorage.setItem(STORED, JSON.stringify(what));
  } catch {
    // See above.
  }
}

export function forget() {
  sessionStorage.removeItem(STORED);
}
