// Frames: one XML element each, as text. Knows: XML. Must not know: what the elements mean, how they travel.

const XML_ILLEGAL = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu;

/** Text without what no XML document may hold. */
export function legal(text) {
  return text.replace(XML_ILLEGAL, "");
}

/** The frame that says `name` with these attributes; those that are null or undefined are left out. */
export function frame(name, attributes = {}, text = "") {
  const made = document.implementation.createDocument(null, name).documentElement;
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) made.setAttribute(key, legal(String(value)));
  }
  made.textContent = legal(text);
  return new XMLSerializer().serializeToString(made);
}

/** The element that a frame holds, or null when it holds none. */
export function parse(text) {
  const read = new DOMParser().parseFromString(text, "application/xml");
  // A parser that fails puts its complaint into the document: at its root, or inside what it could read.
  if (read.querySelector("parsererror")) return null;
  return read.documentElement;
}

/** The attributes of an element as an object. */
export function attributes(element) {
  return Object.fromEntries(Array.from(element.attributes, ({ name, value }) => [name, value]));
}
