import * as ort from "./ort/ort.wasm.min.mjs";
import { COLOURS, load } from "./serkit/index.js";

const WASM = new URL("./ort/", import.meta.url).href;
const NOTES = {
  short: "There is less than half a second of voice, so the answer may be wrong.",
  unfamiliar: "This sounds unlike anything the model learned from, so the answer may be wrong.",
};
const $ = (id) => document.getElementById(id);
const perCent = (value) => `${Math.round(100 * value)}\u00a0%`;

let recognizer = null;
let stream = null;
let said = "";

function status(text) {
  $("status").textContent = text;
}

function drawBars(labels) {
  $("bars").replaceChildren(
    ...labels.map((label) => {
      const row = document.createElement("li");
      row.dataset.label = label;
      const [name, track, bar, value] = ["span", "span", "span", "span"].map((tag) => document.createElement(tag));
      name.textContent = label;
      [track.className, bar.className, value.className] = ["track", "bar", "value"];
      bar.style.background = COLOURS[label] ?? "#4D4D4D";
      value.textContent = "–";
      track.append(bar);
      row.append(name, track, value);
      return row;
    }),
  );
}

function show(answer, { live = false } = {}) {
  const title = !answer.speech ? "No speech" : answer.unsure ? "Unsure" : answer.emotion;
  $("answer").textContent = title[0].toUpperCase() + title.slice(1);
  const facts = answer.speech ? [`Confidence ${perCent(answer.confidence)}`] : ["No speech was found"];
  if (answer.familiarity !== null) facts.push(`familiarity ${perCent(answer.familiarity)}`);
  if (!live) facts.push(`${answer.end.toFixed(1)}\u00a0s of sound`);
  $("facts").textContent = facts.join(", ");
  $("notes").replaceChildren(
    ...answer.warnings.map((name) => Object.assign(document.createElement("li"), { textContent: NOTES[name] })),
  );
  for (const row of $("bars").children) {
    const value = answer.probabilities[row.dataset.label];
    row.querySelector(".bar").style.width = `${100 * (value ?? 0)}%`;
    row.querySelector(".value").textContent = value === undefined ? "–" : perCent(value);
  }
  if (!live || said !== title) $("said").textContent = `${title}. ${facts.join(", ")}.`; // not twice a second
  said = title;
  document.body.dataset.answer = JSON.stringify(answer);
}

async function open(name) {
  await stop();
  $("choose").disabled = $("speak").disabled = true;
  status("Loading the model …");
  try {
    recognizer = await load(new URL(`./models/${name}/`, import.meta.url), { runtime: ort, wasm: WASM });
  } catch (error) {
    status(`The model could not be loaded. ${error.message}`);
    return;
  }
  drawBars(recognizer.labels);
  $("choose").disabled = $("speak").disabled = false;
  status("Ready.");
}

async function answerFile(file) {
  if (!file || !recognizer) return;
  await stop();
  status(`Listening to ${file.name} …`);
  try {
    const began = performance.now();
    show(await recognizer.predict(file));
    status(`${file.name}: answered in ${((performance.now() - began) / 1000).toFixed(2)} s.`);
  } catch (error) {
    status(error.message);
  }
}

async function stop() {
  const running = stream;
  stream = null;
  $("speak").setAttribute("aria-pressed", "false");
  $("speak").textContent = "Speak";
  await running?.stop();
}

async function speak() {
  if (stream) {
    await stop();
    status("Stopped. The microphone is off.");
    return;
  }
  const mine = recognizer.stream({
    onAnswer: (answer) => stream === mine && show(answer, { live: true }),
    onError: (error) => status(error.message),
  });
  stream = mine;
  $("speak").setAttribute("aria-pressed", "true");
  $("speak").textContent = "Stop";
  try {
    await mine.listen();
    status("Listening. The answer is for the last three seconds.");
  } catch (error) {
    await mine.stop();
    await stop();
    status(`The microphone cannot be used: ${error.message}. Allow it in the browser, or choose a file.`);
  }
}

$("choose").addEventListener("click", () => $("file").click());
$("file").addEventListener("change", () => {
  answerFile($("file").files[0]);
  $("file").value = "";
});
$("speak").addEventListener("click", speak);
$("model").addEventListener("change", () => open($("model").value));
for (const kind of ["dragover", "dragleave", "drop"]) {
  window.addEventListener(kind, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop") answerFile(event.dataTransfer.files[0]);
  });
}

const models = await (await fetch("models.json")).json();
$("model").replaceChildren(...models.map((name) => new Option(name, name)));
$("which").hidden = models.length < 2;
await open(models[0]);

if ("serviceWorker" in navigator) {
  try {
    await navigator.serviceWorker.register("worker.js");
    await navigator.serviceWorker.ready;
    if ($("status").textContent === "Ready.") status("Ready. The page now works offline too.");
  } catch {
    // Without it the page works, but only online.
  }
}
