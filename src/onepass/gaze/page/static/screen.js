// Full screen: the points of a calibration, and then the gaze on the screen, over a picture or a screenshot.

import { save } from "./files.js";
import { Heat } from "./heat.js";

const element = (id) => document.getElementById(id);
const TRACE_SECONDS = 4;
const MOST_GAP_SECONDS = 0.25;
const HEAT_EVERY_MS = 120;
const HEAT_BLUR = 0.03; // minimum, relative to the screen height

/**
 * Events: "left" (the calibration was cancelled, with the reason), "again" (calibrate again).
 */
export class Screen extends EventTarget {
  #screen = element("screen");
  #over = element("over");
  #ground = element("ground");
  #heat = new Heat();
  #trace = [];
  #points = []; // positions of the calibration points
  #size = [0, 0];
  #heatDrawn = 0;
  #picture = null;
  calibration = null;

  constructor() {
    super();
    addEventListener("resize", () => this.#resized());
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.#escape());
    document.addEventListener("fullscreenchange", () => document.fullscreenElement || this.#escape());
    element("screen-close").addEventListener("click", () => this.close());
    element("again").addEventListener("click", () => this.close() ?? this.dispatchEvent(new Event("again")));
    element("screen-clear").addEventListener("click", () => this.#clear());
    element("screen-save").addEventListener("click", () => this.#save());
    element("save-calibration").addEventListener("click", () => {
      save(new Blob([JSON.stringify(this.calibration, null, 1)], { type: "application/json" }), "calibration.json");
    });
    element("screenshot").addEventListener("click", () => this.#screenshot());
    element("ground-file").addEventListener("click", () => element("ground-input").click());
    element("ground-input").addEventListener("change", ({ target }) => target.files[0] && this.#take(target.files[0]));
  }

  get state() {
    return this.#screen.hidden ? "closed" : this.#screen.dataset.state;
  }

  /** Open full screen for a calibration; return the size. */
  async beginCourse() {
    this.#points = [];
    await this.#open("course");
    this.#says("Look at the point.");
    return this.#size;
  }

  /** Show the progress of a calibration. */
  step({ number, count, target, share }) {
    this.#points[number] = target;
    element("screen").dataset.point = `${target[0]},${target[1]}`;
    if (share > 1.3) this.#says("Waiting for both eyes …");
    else this.#says(number === 0 && share < 0.45 ? "Look at the point until its ring closes." : "");
    this.#over.setAttribute("aria-label", `Point ${number + 1} of ${count}`);
    const context = this.#context(this.#over);
    const unit = this.#size[1] / 100;
    const [x, y] = target;
    context.beginPath();
    context.arc(x, y, unit * (1 + 3 * (1 - Math.min(Math.max(share, 0), 1))), 0, 2 * Math.PI);
    context.lineWidth = 0.5 * unit;
    context.strokeStyle = "rgb(94 234 212)";
    context.stroke();
    this.#dot(context, x, y, 0.5 * unit, "white");
  }

  /** Show the error of a new calibration, then the gaze. */
  finishCourse() {
    const { error } = this.calibration;
    const degrees = error.degrees === null ? "" : ` (${error.degrees.toFixed(1)}°)`;
    this.#screen.dataset.state = "look";
    delete this.#screen.dataset.point;
    element("screen-controls").hidden = false;
    this.#clear();
    const context = this.#context(this.#over);
    error.pixels_by_point.forEach((pixels, index) => {
      if (!this.#points[index]) return;
      const [x, y] = this.#points[index];
      context.beginPath();
      context.arc(x, y, pixels, 0, 2 * Math.PI);
      context.lineWidth = 2;
      context.strokeStyle = "rgb(94 234 212 / 60%)";
      context.stroke();
      this.#dot(context, x, y, 3, "white");
    });
    this.#says(
      `Error: ${Math.round(error.pixels)} pixels${degrees}, measured at held-out points.\n` +
        "Now look around.",
    );
    this.#resultUntil = performance.now() + 3500;
    element("screen-close").focus();
  }
  #resultUntil = 0;

  /** Show the gaze on the screen with the current calibration. */
  async look() {
    await this.#open("look");
    this.#clear();
    element("screen-close").focus();
    this.#checkSize();
  }

  /** Add a gaze point of the selected face, [x, y] or null, with its time. */
  gaze(seconds, point) {
    if (this.state !== "look" || performance.now() < this.#resultUntil) return;
    if (this.#resultUntil) {
      this.#resultUntil = 0;
      this.#says("");
    }
    if (!this.#checkSize()) return;
    const last = this.#trace.at(-1);
    const passed = last ? Math.min(seconds - last.seconds, MOST_GAP_SECONDS) : 0;
    if (point) {
      this.#trace.push({ seconds, point });
      this.#heat.add(point, Math.max(passed, 0), Math.max(this.calibration.error.pixels / 2, HEAT_BLUR * this.#size[1]));
    }
    while (this.#trace.length > 0 && this.#trace[0].seconds < seconds - TRACE_SECONDS) this.#trace.shift();
    this.#draw(seconds, point);
  }

  close() {
    if (this.state === "closed") return;
    this.#screen.hidden = true;
    for (const part of document.querySelectorAll("header, main, footer")) part.inert = false;
    if (document.fullscreenElement) document.exitFullscreen();
    element("calibrate").focus();
  }

  #draw(seconds, point) {
    const now = performance.now();
    const heat = element("show-heat").checked;
    if (heat && now - this.#heatDrawn < HEAT_EVERY_MS) return;
    this.#heatDrawn = now;
    const context = this.#context(this.#over);
    if (heat) this.#heat.draw(context, ...this.#size);
    if (element("show-trace").checked) {
      for (let index = 1; index < this.#trace.length; index++) {
        const [from, to] = [this.#trace[index - 1], this.#trace[index]];
        if (to.seconds - from.seconds > MOST_GAP_SECONDS) continue;
        context.beginPath();
        context.moveTo(...from.point);
        context.lineTo(...to.point);
        context.lineWidth = 3;
        context.lineCap = "round";
        context.strokeStyle = `rgb(255 92 106 / ${Math.round(80 * (1 - (seconds - to.seconds) / TRACE_SECONDS))}%)`;
        context.stroke();
      }
    }
    if (point && element("show-point").checked) {
      const [x, y] = point.map((value, axis) => Math.min(Math.max(value, 0), this.#size[axis]));
      context.beginPath();
      context.arc(x, y, Math.max(this.calibration.error.pixels, 12), 0, 2 * Math.PI);
      context.fillStyle = "rgb(94 234 212 / 18%)";
      context.fill();
      this.#dot(context, x, y, 9, "white");
      this.#dot(context, x, y, 7, "rgb(15 143 128)");
    }
    this.#over.dataset.gaze = point ? point.map((value) => value.toFixed(1)).join() : "";
  }

  #dot(context, x, y, radius, colour) {
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fillStyle = colour;
    context.fill();
  }

  async #open(state) {
    this.#screen.dataset.state = state;
    element("screen-controls").hidden = state === "course";
    this.#screen.hidden = false;
    for (const part of document.querySelectorAll("header, main, footer")) part.inert = true;
    this.#screen.focus();
    // Phones refuse full screen, as do browsers without a click: then the window acts as the screen.
    await document.documentElement.requestFullscreen?.().catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 250)); // until the window has its size
    this.#size = [innerWidth, innerHeight];
    this.#drawGround();
    this.#context(this.#over);
  }

  #escape() {
    if (this.state === "course") this.#leave("The calibration was cancelled before its last point.");
    else if (this.state === "look" && !document.fullscreenElement) this.#checkSize() || this.close();
  }

  #leave(why) {
    this.close();
    this.dispatchEvent(new CustomEvent("left", { detail: why }));
  }

  #resized() {
    if (this.state === "closed" || (innerWidth === this.#size[0] && innerHeight === this.#size[1])) return;
    if (this.state === "course" && this.#points.length > 0) {
      this.#leave("The window size changed during the calibration; start again.");
      return;
    }
    this.#size = [innerWidth, innerHeight];
    this.#clear();
    this.#drawGround();
  }

  #checkSize() {
    const { width_px: width, height_px: height } = this.calibration.screen;
    const fits = width === this.#size[0] && height === this.#size[1];
    if (!fits) {
      this.#says(`This calibration is for ${width} × ${height} pixels, but the window has ${this.#size.join(" × ")}.\n` +
        "Switch to full screen as before, or calibrate again.");
    }
    return fits;
  }

  #says(text) {
    if (element("screen-says").textContent !== text) element("screen-says").textContent = text;
  }

  #clear() {
    this.#trace = [];
    this.#heat.clear(...this.#size);
    this.#context(this.#over);
  }

  /** Return the context of an empty canvas of the screen's size, in screen pixels. */
  #context(canvas) {
    const device = window.devicePixelRatio || 1;
    [canvas.width, canvas.height] = this.#size.map((side) => Math.round(side * device));
    const context = canvas.getContext("2d");
    context.scale(device, device);
    return context;
  }

  #drawGround() {
    const context = this.#context(this.#ground);
    if (!this.#picture) return;
    const { width, height } = this.#picture;
    const scale = Math.min(this.#size[0] / width, this.#size[1] / height);
    const [left, top] = [(this.#size[0] - width * scale) / 2, (this.#size[1] - height * scale) / 2];
    context.drawImage(this.#picture, left, top, width * scale, height * scale);
  }

  async #take(file) {
    element("ground-input").value = "";
    try {
      this.#picture = await createImageBitmap(file);
    } catch {
      this.#says(`This browser cannot read ${file.name} as a picture; use a PNG or a JPEG.`);
      return;
    }
    this.#clear();
    this.#drawGround();
  }

  async #screenshot() {
    let stream;
    try {
      stream = await navigator.mediaDevices.getDisplayMedia({ video: true, audio: false });
    } catch (error) {
      if (error.name !== "NotAllowedError") this.#says("This browser does not support screenshots; choose a picture instead.");
      return;
    }
    const video = Object.assign(document.createElement("video"), { muted: true, srcObject: stream });
    await video.play();
    this.#picture = await createImageBitmap(video);
    for (const track of stream.getTracks()) track.stop();
    await this.#open("look");
    this.#clear();
    this.#checkSize();
  }

  #save() {
    const canvas = new OffscreenCanvas(this.#over.width, this.#over.height);
    const context = canvas.getContext("2d");
    context.fillStyle = "#1c2028";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(this.#ground, 0, 0);
    context.drawImage(this.#over, 0, 0);
    canvas.convertToBlob({ type: "image/png" }).then((blob) => save(blob, "gaze-on-screen.png"));
  }
}
