"use strict";
// Logs in with the first message, joins the lobby, shows what is said there.
const $ = (id) => document.getElementById(id);
const scheme = location.protocol === "https:" ? "wss:" : "ws:";
const socket = new WebSocket(`${scheme}//${location.host}/ws`);
let isIn = false;

function element(name, attributes, text = "") {
  const made = document.implementation.createDocument(null, name).documentElement;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  socket.send(new XMLSerializer().serializeToString(made));
}

socket.addEventListener("message", ({ data }) => {
  const frame = new DOMParser().parseFromString(data, "application/xml").documentElement;
  if (frame.localName === "ping") element("pong", {});
  if (frame.localName === "welcome") isIn = true;
  if (frame.localName !== "message" && frame.localName !== "error") return;
  const line = document.createElement("li");
  line.textContent = `${frame.getAttribute("from") ?? "server"}: ${frame.textContent}`;
  $("messages").append(line);
});

$("say").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!isIn) {
    element("login", { nick: $("nick").value });
    element("join", { room: "lobby", history: "50" });
  }
  if ($("text").value) element("message", { room: "lobby" }, $("text").value);
  $("text").value = "";
});
