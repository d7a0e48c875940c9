"use strict";
// A log that grows is followed at its end, unless the reader has scrolled up.
(() => {
  const place = document.getElementById("live-log");
  if (!place) return;
  let following = true;
  const text = () => document.getElementById("live-log-text");
  const toEnd = () => { const log = text(); if (log && following) log.scrollTop = log.scrollHeight; };
  place.addEventListener("scroll", (event) => {
    const log = event.target;
    following = log.scrollHeight - log.scrollTop - log.clientHeight < 8;
  }, true);
  new MutationObserver(toEnd).observe(place, { childList: true, subtree: true, characterData: true });
  toEnd();
})();
