"use strict";
const $ = (id) => document.getElementById(id);
const study = JSON.parse($("study").textContent);
const showings = new Map(study.showings.map(([id, left, right, label]) => [id, {id, left, right, label}]));
const questions = study.tellsLabel ? ["plain", "told"] : ["plain"];
const KEY = `user-study-${study.id}`;
const REFRACTORY_MS = 250;  // a key pressed twice by mistake must not answer the next question, too
const RETRY_MS = 5000;

const sides = ["left", "right"].map((name) => ({
  name, button: $(name), video: $(name).querySelector("video"), missing: $(name).querySelector(".missing"),
}));

// What is kept in the browser: {rater, offline, order: [ids], answers: [{showing, question, choice}], sent, skipped: [ids]}
let state = restore();
let shown = null;     // {showing, question, since} that is on the screen
let watched = false;  // both clips were played to their end once
let paused = false;
let sending = false;

function restore() {
  try { return JSON.parse(localStorage.getItem(KEY)); } catch { return null; }
}

function keep() {
  try {
    localStorage.setItem(KEY, JSON.stringify(state));
  } catch {
    problem("This browser keeps nothing: please don't close or reload the page before the end.");
  }
}

function count(number, word) { return number === 1 ? `one ${word}` : `${number} ${word}s`; }

function problem(text) {
  $("problem").textContent = text;
  $("problem").hidden = !text;
}

function show(name) {
  for (const section of document.querySelectorAll("section")) section.hidden = section.id !== name;
  $(name).querySelector("h1").focus({preventScroll: true});
}

// Beginning

function welcome() {
  const pairs = Math.min(study.perRater, showings.size);
  $("count").textContent = count(pairs, "pair");
  $("twice").hidden = !study.tellsLabel;
  show("welcome");
}

async function start() {
  $("start").disabled = $("retry").disabled = true;
  try {
    const rater = [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    const order = await assignment(rater);
    state = {rater, offline: order === null, order: order ?? drawn(), answers: [], sent: 0, skipped: []};
    keep();
    next();
  } catch (error) {
    $("reason").textContent = `The server that gives out the pairs does not answer (${error.message}).`;
    show("closed");
  } finally {
    $("start").disabled = $("retry").disabled = false;
  }
}

// The server's choice of showings; null where there is no such server, as in a file.
async function assignment(rater) {
  if (location.protocol === "file:") return null;
  const answer = await fetch(`assignment?rater=${rater}`);
  if (answer.status === 404) return null;
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  return (await answer.json()).showings.filter((id) => showings.has(id));
}

// Without a server: at random, both orders of a pair only when there are no other pairs left.
function drawn() {
  const mixed = [...showings.values()].map((showing) => [Math.random(), showing]).sort((a, b) => a[0] - b[0]);
  const first = [], again = [], seen = new Set();
  for (const [, showing] of mixed) {
    const pair = [showing.left, showing.right].sort().join();
    (seen.has(pair) ? again : first).push(showing.id);
    seen.add(pair);
  }
  return [...first, ...again].slice(0, study.perRater);
}

// One question after the other

function next() {
  const answered = new Set(state.answers.map((given) => `${given.showing} ${given.question}`));
  const open = [];
  for (const id of state.order) {
    if (state.skipped.includes(id)) continue;
    for (const question of questions) if (!answered.has(`${id} ${question}`)) open.push([id, question]);
  }
  if (!open.length) return finish();
  const [id, question] = open[0];
  const total = state.order.length * questions.length;
  const place = total - open.length + 1;
  $("place").textContent = `${place} of ${total}`;
  $("bar").max = total;
  $("bar").value = place - 1;
  $("told").hidden = question !== "told";
  $("label").textContent = showings.get(id).label;
  $("question").textContent = question === "told" ? "Which video looks better now?" : "Which video looks better?";
  const same = shown !== null && shown.showing.id === id;
  shown = {showing: showings.get(id), question, since: performance.now()};
  if (!same) load();
  show("asking");
  const later = open.find(([other]) => other !== id);
  if (later) fetchAhead(showings.get(later[0]));
}

function choose(name) {
  if (shown === null || $("asking").hidden || !watched || performance.now() - shown.since < REFRACTORY_MS) return;
  state.answers.push({showing: shown.showing.id, question: shown.question, choice: name});
  keep();
  send();
  const {button} = sides.find((side) => side.name === name);
  button.classList.add("taken");
  setTimeout(() => button.classList.remove("taken"), 200);
  next();
}

// Clips: both start together, and again when both have ended

function load() {
  watched = false;
  setPaused(false);
  $("again").hidden = $("skip").hidden = true;
  for (const side of sides) {
    side.button.disabled = true;
    side.missing.hidden = true;
    side.missing.textContent = "";
    side.video.src = path(shown.showing[side.name]);
    side.video.load();
  }
}

function path(name) { return `clips/${name}.mp4`; }

function fetchAhead(showing) {
  for (const name of [showing.left, showing.right]) {
    const video = document.createElement("video");
    video.muted = true;
    video.preload = "auto";
    video.src = path(name);
  }
}

function isReady(video) { return video.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA || video.ended; }

function play() {
  if (paused || !sides.every((side) => isReady(side.video))) return;
  for (const {video} of sides) {
    video.play().catch((error) => {
      if (error.name !== "NotAllowedError") return;  // a newer clip took its place
      setPaused(true);
      allow();
    });
  }
}

function turn() {
  if (!sides.every((side) => side.video.ended)) return;
  allow();
  for (const {video} of sides) video.currentTime = 0;
  play();
}

function allow() {
  watched = true;
  for (const side of sides) side.button.disabled = false;
}

function lost(side) {
  if (!side.video.getAttribute("src")) return;
  side.missing.textContent = `This video could not be loaded: ${side.video.getAttribute("src")}`;
  side.missing.hidden = false;
  $("again").hidden = $("skip").hidden = false;
  $("again").focus();
  watched = false;
  for (const {button} of sides) button.disabled = true;
}

function setPaused(value) {
  paused = value;
  $("pause").textContent = value ? "Play" : "Pause";
  if (value) for (const {video} of sides) video.pause();
}

for (const side of sides) {
  side.video.addEventListener("canplaythrough", play);
  side.video.addEventListener("ended", turn);
  side.video.addEventListener("error", () => lost(side));
  side.button.addEventListener("click", () => choose(side.name));
}
$("pause").addEventListener("click", () => { setPaused(!paused); turn(); play(); });
$("again").addEventListener("click", load);
$("skip").addEventListener("click", () => { state.skipped.push(shown.showing.id); keep(); next(); });
document.addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
  if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
    if (!$("asking").hidden) event.preventDefault();
    choose(event.key === "ArrowLeft" ? "left" : "right");
  }
});

// Answers

async function send() {
  if (state === null || state.offline || sending || state.sent >= state.answers.length) return;
  sending = true;
  const until = state.answers.length, of = state;
  try {
    const answer = await fetch("answers", {
      method: "POST",
      headers: {"Content-Type": "application/json"},
      body: JSON.stringify(submission(state.answers.slice(state.sent, until))),
    });
    if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error ?? `status ${answer.status}`);
    of.sent = until;
    keep();
    problem("");
  } catch (error) {
    problem(`The last answers have not arrived yet (${error.message}). They are kept here and sent again.`);
  } finally {
    sending = false;
  }
  if (!$("thanks").hidden) finish();
  if ($("problem").hidden) send();
}

function submission(answers) { return {study: study.id, rater: state.rater, answers}; }

function finish() {
  setPaused(true);
  shown = null;
  const open = state.answers.length - state.sent;
  const yours = `Your answers (${state.answers.length})`;
  const skipped = state.skipped.length ? ` You skipped ${count(state.skipped.length, "pair")}.` : "";
  $("outcome").textContent = state.offline
    ? `${yours} are kept in this browser.${skipped} Please save them as a file and send it to the person who asked you.`
    : open
      ? `${yours} are kept in this browser; ${open} of them have not arrived yet.${skipped}`
      : `${yours} have arrived.${skipped} You can close this page.`;
  $("save").hidden = !state.offline && !open;
  $("resend").hidden = state.offline || !open;
  $("another").hidden = !state.offline && open > 0;
  if ($("thanks").hidden) show("thanks");
}

function save() {
  const link = document.createElement("a");
  const text = JSON.stringify(submission(state.answers), null, 1);
  link.href = URL.createObjectURL(new Blob([text], {type: "application/json"}));
  link.download = `answers-${state.rater.slice(0, 8)}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

function another() {
  if (state.offline && !confirm("Are your answers saved? They are removed from this browser now.")) return;
  state = null;
  try { localStorage.removeItem(KEY); } catch { /* nothing was kept */ }
  welcome();
}

$("start").addEventListener("click", start);
$("retry").addEventListener("click", start);
$("save").addEventListener("click", save);
$("resend").addEventListener("click", send);
$("another").addEventListener("click", another);
setInterval(send, RETRY_MS);
if (state === null) { welcome(); } else { next(); send(); }
