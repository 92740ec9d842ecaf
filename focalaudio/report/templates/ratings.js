// The listening test: who listens does not know which method made a sound.
const QUESTIONS = {
  recognizable: (label) => `Is the class recognizable? Do you hear: ${label}?`,
  matters: () => "Does it sound like what matters in the original?",
};
const ENDS = ["1 (not at all)", "2", "3", "4", "5 (clearly)"];
const test = { trials: [], at: 0, answers: {}, rater: "", kept: true };

// a test with other sounds or methods is another one
function storageKey() { return `focalaudio ratings ${head.digest}`; }

function remember() {
  const { trials, at, answers, rater } = test;
  try {
    localStorage.setItem(storageKey(),
      JSON.stringify({ trials, at, answers, rater }));
  } catch {
    test.kept = false;
  }
}

function recall() {
  try {
    return JSON.parse(localStorage.getItem(storageKey()));
  } catch {
    test.kept = false;
    return null;
  }
}

function shuffle(values) {
  for (let last = values.length - 1; last > 0; last -= 1) {
    const other = Math.floor(Math.random() * (last + 1));
    [values[last], values[other]] = [values[other], values[last]];
  }
  return values;
}

function listTrials() {
  const trials = [];
  for (let block = 0; block < head.n_blocks; block += 1) {
    const { views } = JSON.parse(blocks[block].textContent);
    views.forEach((view, index) => {
      if (view.explained === views[0].explained) trials.push([block, index]);
    });
  }
  return trials;
}

function startTest() {
  const known = recall();
  const trials = listTrials(), names = new Set(trials.map(String));
  if (known && known.trials.length === trials.length &&
    known.trials.every((trial) => names.has(String(trial))))
    Object.assign(test, known);
  else test.trials = shuffle(trials);
  byId("panel-test").hidden = false;
  renderTrial();
}

function startAnew() {
  if (!confirm("Begin anew? Answers that are in no file are lost.")) return;
  Object.assign(test, { trials: shuffle(listTrials()), at: 0, answers: {},
    rater: "" });
  remember();
  renderTrial();
}

function answersOf(place) { return test.answers[String(test.trials[place])] ?? {}; }

function question(name, label) {
  const known = answersOf(test.at)[name];
  const labels = ENDS.map((text, index) => make("label", {},
    make("input", { type: "radio", name, value: index + 1,
      checked: known === index + 1, onchange: () => {
        const own = String(test.trials[test.at]);
        test.answers[own] = { ...test.answers[own], [name]: index + 1 };
        remember();
        refreshTest();
      } }), text));
  return make("fieldset", { class: "question" },
    make("legend", { text: QUESTIONS[name](label) }),
    make("div", { class: "scale" }, ...labels));
}

function renderTrial() {
  const panel = byId("panel-test");
  stopPlaying();
  if (!test.trials.length) {
    panel.replaceChildren(make("p", { class: "card",
      text: "There is nothing to listen to in this page." }));
    return;
  }
  const [block, index] = test.trials[test.at];
  const clip = state.clip = loadClip(block), view = clip.views[index];
  state.explained = view.explained;
  const player = (part, text) => make("button", { type: "button",
    "data-plays": `part ${part} 0`, onclick: () => playTrial(part) },
  make("span", { text: "▶ " }), text);
  panel.replaceChildren(make("div", { class: "card test" },
    make("h2", { id: "trial", text:
      `Sound ${test.at + 1} of ${test.trials.length}` }),
    make("p", { class: "quiet", text: "Listen to the original, then to the part " +
      "of it that a method kept. Which method that was is not shown." }),
    make("div", { class: "group" }, player("original", "original"),
      player("kept", "what was kept"),
      button("Equal loudness", () => {
        state.matched = !state.matched;
        byId("loudness").setAttribute("aria-pressed", String(state.matched));
        if (!audio.paused) playTrial(state.part);
      }, { id: "loudness", "aria-pressed": String(state.matched) })),
    make("p", {}), question("recognizable", view.explained),
    question("matters", view.explained),
    make("div", { class: "group" },
      button("‹ Before", () => goTo(test.at - 1), { id: "before" }),
      button("Next ›", () => goTo(test.at + 1), { id: "next" }),
      make("span", { id: "progress", class: "quiet", role: "status" })),
    make("hr"), make("div", { class: "group" },
      make("label", {}, "Your name, if you like ", make("input", { type: "text",
        id: "rater", value: test.rater, maxlength: "80", oninput: (event) => {
          test.rater = event.target.value; remember();
        } })),
      button("Save the answers", saveAnswers, { id: "save" }),
      button("New listener", startAnew, { id: "anew" })),
    make("p", { class: "quiet", text: test.kept
      ? "Your answers stay in this browser until you clear it; the file that " +
        "you save is what counts."
      : "This browser keeps nothing: save the answers before you close the " +
        "page." })));
  refreshTest();
}

function refreshTest() {
  const done = test.trials.filter((_, place) => isDone(place)).length;
  byId("progress").textContent = `${done} of ${test.trials.length} answered`;
  byId("before").disabled = test.at === 0;
  byId("next").disabled = test.at === test.trials.length - 1;
}

function isDone(place) {
  return Object.keys(QUESTIONS).every((name) => answersOf(place)[name]);
}

async function playTrial(part) {
  const name = `part ${part} 0`;
  if (playing === name && !audio.paused && part === state.part) {
    audio.pause(); return;
  }
  const [block, index] = test.trials[test.at];
  const clip = loadClip(block), view = clip.views[index];
  state.part = part;
  const url = await urlOf(clip, view, part, state.matched);
  await start(url, name, 0, volumeOf(clip, view, part, state.matched));
}

function goTo(place) {
  if (place < 0 || place >= test.trials.length) return;
  test.at = place;
  remember();
  renderTrial();
}

function saveAnswers() {
  const answers = test.trials.map(([block, index], place) => {
    const clip = loadClip(block), view = clip.views[index];
    return { clip_id: clip.id, label: clip.label, explained: view.explained,
      method: view.method, quantile: view.quantile, ...answersOf(place) };
  }).filter((answer) => answer.recognizable || answer.matters);
  const values = { format: `focalaudio ratings ${head.format}`,
    title: head.title, rater: test.rater, answers };
  const file = new Blob([JSON.stringify(values, null, 1)],
    { type: "application/json" });
  const url = URL.createObjectURL(file);
  make("a", { href: url, download: "ratings.json" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
  tell(`${answers.length} answers saved`);
}
