// The page: connects its parts.

import { offerCalibration } from "./calibration.js";
import { Camera, whyNoCamera } from "./camera.js";
import { onChoice, onDrop, upload } from "./files.js";
import { Link } from "./link.js";
import { say, settle } from "./notices.js";
import { Numbers, Pace } from "./numbers.js";
import { Recorder } from "./recorder.js";
import { Screen } from "./screen.js";
import { Stage } from "./stage.js";

const element = (id) => document.getElementById(id);

const PATIENCE_MS = 2000; // without an answer for this long, a notice appears
const LIVE_AFTER_MS = 700; // then the live picture is shown without overlay, so that it never freezes
const GIVEN_UP_MS = 15000;

const link = new Link();
const camera = new Camera(link);
const stage = new Stage();
const numbers = new Numbers();
const pace = new Pace();
const recorder = new Recorder();
const screen = new Screen();

let source = null; // "camera", "file"
let greeted = false; // whether the server has sent its initial options
let takesResults = false; // between the server's "started" or "opened" and the end
let drawnMs = 0;
let recordings = 0;
let faceCount = null;

// --- the connection

link.addEventListener("up", ({ detail: hello }) => {
  element("link").dataset.state = "up";
  element("link").textContent = "Connected";
  element("finder").textContent = hello.finder;
  element("model").textContent = hello.model;
  element("version").textContent = hello.version;
  settle("link");
  recordings = 0;
  const calibration = greeted ? screen.calibration : hello.calibration;
  setEye(greeted ? chosenEye() : hello.eye);
  link.send({ type: "calibration", calibration });
  greeted = true;
  if (camera.isOpen) link.send({ type: "camera" });
});

link.addEventListener("down", ({ detail: { session, full, refused } }) => {
  element("link").dataset.state = "down";
  element("link").textContent = "Not connected";
  camera.pause();
  if (source === "file" && takesResults) {
    show(null);
    say("file", "The connection broke while the file was being analysed; drop it again.", { bad: true });
  }
  takesResults = false;
  if (screen.state === "course") screen.close();
  const gone = "The server does not respond; it was stopped, or the network is down. This page keeps trying to reconnect.";
  const anew = "The server was restarted and requires a new token: open the address that it printed.";
  say("link", full || (refused ? anew : gone), { bad: true });
  if (recorder.isOn) {
    recorder.ended();
    const number = recordings - 1;
    link.addEventListener("up", () => rescue(session, number), { once: true });
  }
});

async function rescue(session, number) {
  const found = await recorder.rescue(session, number);
  const text = found
    ? "The connection broke during the recording. You can save everything up to that point below."
    : "The connection broke during the recording, and the server was restarted: the recording is lost.";
  say("record", text, { bad: !found });
}

link.addEventListener("message", ({ detail: message }) => {
  sayPages(message.pages);
  handlers[message.type]?.(message);
});

function sayPages(pages) {
  if (pages > 1) say("pages", `This page is open in ${pages} tabs or windows. They share the machine's computing time, and possibly the camera.`);
  else settle("pages");
}

const handlers = {
  started() {
    takesResults = true;
    camera.begin();
  },
  opened({ sequence }) {
    takesResults = true;
    element("stop").hidden = !sequence;
    if (sequence) say("file", "Every frame is analysed, as in onepass gaze. You can save the table at the end.");
  },
  result,
  ended({ frames, notes, text }) {
    takesResults = false;
    element("stop").hidden = true;
    if (source === "camera") {
      say("camera", `The camera's frames could not be read: ${text}.`, { bad: true });
      show(null);
      return;
    }
    const read = frames === 1 ? "The picture was analysed." : `The video has ended after ${frames.toLocaleString("en")} frames.`;
    say("file", [text ?? read, ...notes].join(" "), { bad: text !== null });
    if (frames === 0) show(null);
  },
  recording() {
    recordings += 1;
    settle("record");
    recorder.began();
  },
  recorded(message) {
    recorder.ended();
    recorder.offer(link.session, message);
  },
  calibration({ calibration }) {
    screen.calibration = calibration;
    element("look").hidden = element("forget").hidden = calibration === null;
    if (calibration !== null && screen.state === "course") screen.finishCourse();
  },
  problem({ of, text }) {
    if (of === "calibrate" && screen.state === "course") screen.close();
    if (of === "file") show(null);
    if (of === "record") recorder.ended();
    if (of === "eye") setEye(null);
    say(of, `${text[0].toUpperCase()}${text.slice(1)}.`, { bad: true });
  },
};

// --- results

async function result(message) {
  if (!takesResults) return;
  const { faces, seconds, width, height } = message;
  let delayMs = null;
  if (message.picture) {
    const picture = await createImageBitmap(message.picture);
    await untilDue(seconds);
    if (source !== "file") return;
    stage.show(picture, picture.width, picture.height, faces, { factor: width / picture.width, mirrored: false });
    link.send({ type: "shown" });
  } else {
    const frame = camera.answered(message.index);
    if (frame === null) return;
    stage.show(frame.canvas, width, height, faces);
    stage.forget();
    camera.done(frame);
    drawnMs = performance.now();
    delayMs = drawnMs - frame.takenMs;
    settle("waiting");
  }
  pace.take(delayMs);
  tellFaces(faces);
  numbers.take(seconds ?? 0, faces, source === "camera" ? "your" : "their");
  if (message.recorded) recorder.take(message.recorded);
  if (message.course && !message.course.done && screen.state === "course") screen.step(message.course);
  screen.gaze(seconds, numbers.chosenOf(faces)?.screen_px ?? null);
  // For scripts that use the numbers: every displayed result, with its delay.
  document.dispatchEvent(new CustomEvent("onepass:result", { detail: { ...message, delay_ms: delayMs } }));
}

// Play a video no faster than real time.
let clock = null;
async function untilDue(seconds) {
  if (seconds === null) return;
  clock ??= { ms: performance.now(), seconds };
  const waitMs = clock.ms + 1000 * (seconds - clock.seconds) - performance.now();
  if (waitMs > 1) await new Promise((resolve) => setTimeout(resolve, waitMs));
  else clock = { ms: performance.now(), seconds };
}

function tellFaces(faces) {
  if (faces.length === faceCount) return;
  faceCount = faces.length;
  const who = faceCount === 1 ? "One person" : `${faceCount} people`;
  stage.say(faceCount === 0 ? "No face found" : `${who}, with eyelids, irises and gaze drawn`);
  if (faceCount > 0) settle("nobody");
  else say("nobody", "No face found.");
}

// --- camera and files

camera.addEventListener("frame", () => {
  if (performance.now() - drawnMs < LIVE_AFTER_MS) return;
  const { videoWidth: width, videoHeight: height } = camera.video;
  if (width) stage.show(camera.video, width, height, []);
});

camera.addEventListener("lost", () => {
  show(null);
  say("camera", "The camera is gone: it was unplugged, or another program uses it. Start it again when it is available.", { bad: true });
});

setInterval(() => {
  if (source !== "camera" || document.hidden || !link.isUp) return;
  const waitedMs = camera.waitedMs;
  if (waitedMs > GIVEN_UP_MS) link.restart();
  else if (waitedMs > PATIENCE_MS) {
    const why = "the network is slow, or the machine is busy. The picture is live, without overlay.";
    say("waiting", `No answer for ${Math.round(waitedMs / 1000)} seconds: ${why}`, { bad: true });
  }
}, 500);

async function startCamera() {
  settle("camera", "file", "nobody");
  if (!navigator.mediaDevices?.getUserMedia) {
    say("camera", `Browsers allow cameras only on HTTPS pages and on localhost, but this page is from ${location.origin}. ` +
      "Start the server with a certificate (onepass gaze page --tls-cert … --tls-key …), or connect to localhost through SSH " +
      `(ssh -L ${location.port}:localhost:${location.port} ${location.hostname}). You can still drop pictures and videos here.`,
      { bad: true });
    return;
  }
  say("camera", "Waiting for the browser's camera permission …");
  try {
    await camera.open(element("camera").value, element("size").value.split("x").map(Number));
  } catch (error) {
    show(null);
    say("camera", whyNoCamera(error), { bad: true });
    return;
  }
  settle("camera");
  show("camera");
  await listCameras();
  link.send({ type: "camera" });
}

function stopVideo() {
  link.send({ type: "stop" });
  link.send({ type: "record", on: false });
  takesResults = false;
  element("stop").hidden = true;
  say("file", "The video was stopped. The table contains everything up to this point.");
}

function stopCamera() {
  link.send({ type: "stop" });
  show(null);
}

async function listCameras() {
  const devices = (await navigator.mediaDevices.enumerateDevices()).filter((each) => each.kind === "videoinput");
  const options = devices.map((each, index) => new Option(each.label || `Camera ${index + 1}`, each.deviceId));
  element("camera").replaceChildren(...options);
  element("camera").value = camera.device;
  element("camera-field").hidden = devices.length < 2;
}

async function open(file) {
  settle("camera", "file", "nobody");
  if (!link.isUp) return;
  if (recorder.isOn) link.send({ type: "record", on: false });
  show("file");
  say("file", `Uploading ${file.name} …`);
  try {
    await upload(link.session, file);
  } catch (error) {
    show(null);
    say("file", `Could not analyse ${file.name}: ${error.message}.`, { bad: true });
    return;
  }
  settle("file");
  clock = null;
  link.send({ type: "file" });
}

/** Switch to another source: "camera", "file", or null for none. */
function show(next) {
  source = next;
  takesResults = false;
  if (next !== "camera") camera.close();
  if (next === null) stage.clear();
  numbers.clear();
  pace.clear();
  faceCount = null;
  settle("waiting");
  element("stop").hidden = true;
  const on = next === "camera";
  element("start").textContent = on ? "Stop the camera" : "Start the camera";
  element("start").setAttribute("aria-pressed", String(on));
  element("start").classList.toggle("main", !on);
  element("start").hidden = element("choose").hidden = next === null; // the empty stage has its own buttons
  element("record").disabled = !on;
  element("calibrate").disabled = !on;
  if (next === null && recorder.isOn) link.send({ type: "record", on: false });
}

element("start").addEventListener("click", () => (source === "camera" ? stopCamera() : startCamera()));
element("start-first").addEventListener("click", startCamera);
element("stop").addEventListener("click", stopVideo);
element("camera").addEventListener("change", startCamera);
element("size").addEventListener("change", () => source === "camera" && startCamera());
navigator.mediaDevices?.addEventListener?.("devicechange", () => source === "camera" && listCameras());
onDrop(element("drop"), open);
onChoice([element("choose"), element("choose-first")], element("file"), open);

// --- eyes, recording and calibration

element("record").addEventListener("click", () => link.send({ type: "record", on: !recorder.isOn }));
element("mirror").addEventListener("change", ({ target }) => (stage.mirrored = target.checked));
element("drawing").addEventListener("change", ({ target }) => (stage.drawing = target.checked));

function chosenEye() {
  return document.querySelector("input[name=eye]:checked").value || null;
}

function setEye(eye) {
  document.querySelector(`input[name=eye][value="${eye ?? ""}"]`).checked = true;
  link.send({ type: "eye", eye });
}

element("eye").addEventListener("change", () => {
  settle("eye");
  link.send({ type: "eye", eye: chosenEye() });
});

offerCalibration(link, screen);

const isHere = location.hostname === "localhost" || location.hostname.startsWith("127.");
element("host").textContent = isHere ? "this machine" : location.hostname;
show(null);
link.connect();
