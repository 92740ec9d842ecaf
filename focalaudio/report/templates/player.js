// One audio element plays everything. Sounds that are in the page are decoded
// here: what was removed is the original less what was kept, and equal loudness
// is a factor. Sounds beside the page are played as they are.
const audio = new Audio();
const decoded = new Map();
const urls = new Map();
let playing = null; // what `audio` holds: a name

async function decode(uri, rate) {
  if (!decoded.has(uri)) {
    const text = atob(uri.slice(uri.indexOf(",") + 1));
    const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
    const context = new OfflineAudioContext(1, 1, rate);
    const buffer = await context.decodeAudioData(bytes.buffer);
    decoded.set(uri, buffer.getChannelData(0));
  }
  return decoded.get(uri);
}

async function samplesOf(clip, view, part) {
  const whole = await decode(clip.sound, clip.rate);
  if (part === "original") return whole;
  const kept = await decode(view.kept, clip.rate);
  if (part === "kept") return kept;
  return whole.map((sample, index) => sample - kept[index]);
}

function toWav(samples, rate, factor) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const write = (at, text) => [...text].forEach(
    (letter, index) => view.setUint8(at + index, letter.charCodeAt(0)));
  write(0, "RIFF"); view.setUint32(4, 36 + 2 * samples.length, true);
  write(8, "WAVEfmt "); view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); view.setUint16(22, 1, true);
  view.setUint32(24, rate, true); view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true); view.setUint16(34, 16, true);
  write(36, "data"); view.setUint32(40, 2 * samples.length, true);
  samples.forEach((sample, index) => {
    const value = Math.round(32768 * factor * sample);
    view.setInt16(44 + 2 * index, Math.max(-32768, Math.min(32767, value)), true);
  });
  return new Blob([view], { type: "audio/wav" });
}

function gainOf(view, part) {
  if (part === "original" || !view) return 0;
  return view.gains[part === "kept" ? 0 : 1] ?? 0;
}

async function urlOf(clip, view, part, matched) {
  if (!clip.sound.startsWith("data:"))
    return part === "original" ? clip.sound : view[part];
  const own = part === "original" ? 0 : clip.views.indexOf(view);
  const key = [clip.id, own, part, matched].join(" ");
  if (!urls.has(key)) {
    const factor = matched ? 10 ** (gainOf(view, part) / 20) : 1;
    const samples = await samplesOf(clip, view, part);
    urls.set(key, URL.createObjectURL(toWav(samples, clip.rate, factor)));
  }
  return urls.get(key);
}

// of what `urlOf` returns: sounds in the page become WAV, those beside it stay
function endingOf(clip) {
  return clip.sound.startsWith("data:") ? "wav" : clip.sound.split(".").pop();
}

function volumeOf(clip, view, part, matched) {
  if (!matched || clip.sound.startsWith("data:") || !view) return 1;
  const most = Math.max(0, ...view.gains);
  return 10 ** ((gainOf(view, part) - most) / 20);
}

async function start(url, name, at, volume = 1) {
  audio.pause();
  if (audio.dataset.url !== url) {
    audio.src = url;
    audio.dataset.url = url;
    await new Promise((done) => {
      audio.onloadedmetadata = done;
      audio.onerror = done;
    });
  }
  audio.volume = volume;
  audio.currentTime = Math.min(at, (audio.duration || at) - 0.01);
  playing = name;
  try {
    await audio.play();
  } catch (error) {
    if (error.name !== "AbortError") tell("This browser cannot play it.");
  }
  refreshPlayers();
}

async function playPart(part, card, at = null) {
  const clip = state.clip, view = currentViews()[card] ?? null;
  if (part !== "original" && !view) return;
  const own = playing && playing.startsWith("part ");
  const position = at ?? (own && !audio.ended ? audio.currentTime : 0);
  state.part = part;
  state.card = card;
  const url = await urlOf(clip, view, part, state.matched);
  const volume = volumeOf(clip, view, part, state.matched);
  await start(url, `part ${part} ${card}`, Math.max(0, position), volume);
}

function togglePlay() {
  const own = playing === `part ${state.part} ${state.card}`;
  if (own && !audio.paused) { audio.pause(); refreshPlayers(); return; }
  playPart(state.part, state.card, audio.ended ? 0 : null);
}

async function playNeighbor(neighbor) {
  const name = `neighbor ${neighbor.sound}`;
  if (playing === name && !audio.paused) {
    audio.pause(); refreshPlayers(); return;
  }
  await start(findSound(neighbor.sound), name, 0);
}

function stopPlaying() {
  audio.pause();
  playing = null;
  for (const url of urls.values()) URL.revokeObjectURL(url);
  audio.removeAttribute("src");
  delete audio.dataset.url;
  urls.clear();
  decoded.clear();
}

function refreshPlayers() {
  for (const each of document.querySelectorAll("[data-plays]")) {
    const active = each.dataset.plays === playing;
    const going = active && !audio.paused && !audio.ended;
    each.setAttribute("aria-pressed", String(active));
    each.firstChild.textContent = going ? "❚❚ " : "▶ ";
  }
}

function follow() {
  const own = playing && playing.startsWith("part ");
  for (const each of document.querySelectorAll(".cursor")) {
    const stage = each.parentElement;
    each.hidden = !own || !stage.plot;
    if (each.hidden) continue;
    const { left, width, from, to } = stage.plot;
    const x = left + width * (audio.currentTime - from) / (to - from);
    each.style.transform = `translateX(${x}px)`;
  }
  requestAnimationFrame(follow);
}
for (const name of ["ended", "pause", "play"])
  audio.addEventListener(name, refreshPlayers);

async function saveSound(part, card) {
  const clip = state.clip, view = currentViews()[card] ?? null;
  const url = await urlOf(clip, view, part, state.matched);
  const name = `${clip.id}_${part}`.replace(/[^\p{L}\p{N}._-]+/gu, "_");
  const ending = endingOf(clip), target = ending === "wav" ? null : "_blank";
  make("a", { href: url, download: `${name}.${ending}`, target }).click();
}
