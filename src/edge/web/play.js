// Plays the SWF that the page names, in the Ruffle that was loaded before this script.
"use strict";

const settings = JSON.parse(document.getElementById("settings").textContent);
const stage = document.getElementById("player");

// Ruffle takes a whole address as what the SWF's relative ones are relative to.
settings.base = new URL(settings.base, location.href).href;

// Whoever speaks TLS in front of the server may not have told it so; the page knows.
if (location.protocol === "https:") {
  for (const proxy of settings.socketProxy) {
    proxy.proxyUrl = proxy.proxyUrl.replace(/^ws:/, "wss:");
  }
}

const ruffle = window.RufflePlayer?.newest?.();
if (ruffle) {
  const player = ruffle.createPlayer();
  stage.replaceChildren(player);
  // The newer of Ruffle's interfaces, where it is there.
  const playing = typeof player.ruffle === "function" ? player.ruffle() : player;
  playing.load(settings).catch((error) => console.error(error));
} else {
  const sentence = document.createElement("p");
  sentence.textContent = "Ruffle, which plays Flash content, did not load.";
  stage.replaceChildren(sentence);
}
