// The numbers of the selected person, and the list of people.

import { Curves } from "./curves.js";

const element = (id) => document.getElementById(id);
const UNSEEN_SECONDS = 1; // after that, no face returns under the same number

function signed(value) {
  const text = value.toFixed(1);
  return `${Number(text) < 0 ? "−" : "+"}${text.replace("-", "")}°`;
}

export class Numbers {
  #curves = new Curves();
  #seen = new Map(); // id -> time last seen
  #chosen = null;
  #drawn = 0;
  #last = { faces: [], whose: "" };

  clear() {
    this.#last = { faces: [], whose: "" };
    this.#seen.clear();
    this.#chosen = null;
    this.#curves.clear();
    this.#people();
    this.#show(null, "");
  }

  /** Add the faces of a frame; `whose` says whose left and right is meant. */
  take(seconds, faces, whose) {
    this.#last = { faces, whose };
    this.#curves.take(seconds, faces);
    for (const face of faces) this.#seen.set(face.id, seconds);
    for (const [id, last] of this.#seen) {
      if (seconds - last > UNSEEN_SECONDS) this.#seen.delete(id);
    }
    // A person gone for a moment may come back, unless only one face is left, which then has another number.
    if (!this.chosenOf(faces) && (faces.length === 1 || !this.#seen.has(this.#chosen))) {
      const largest = faces.toSorted((a, b) => b.box.width_px * b.box.height_px - a.box.width_px * a.box.height_px);
      this.#chosen = largest[0]?.id ?? null;
    }
    this.#people();
    this.#show(this.chosenOf(faces), whose);
    const now = performance.now();
    if (now - this.#drawn < 60) return; // redrawing more often would not be visible
    this.#drawn = now;
    this.#curves.draw(this.#chosen);
  }

  /** Return the selected face among these. */
  chosenOf(faces) {
    return faces.find((face) => face.id === this.#chosen) ?? null;
  }

  #show(face, whose) {
    if (face === null) {
      for (const id of ["yaw", "pitch", "blinks", "confidence", "head"]) element(id).textContent = "–";
      element("yaw-word").textContent = "left and right";
      element("pitch-word").textContent = "up and down";
      element("movement").textContent = "since the start";
      return;
    }
    const { yaw_deg: yaw, pitch_deg: pitch } = face.gaze;
    element("yaw").textContent = signed(yaw);
    element("yaw-word").textContent = Math.abs(yaw) < 0.5 ? "straight on" : `to ${whose} ${yaw > 0 ? "left" : "right"}`;
    element("pitch").textContent = signed(pitch);
    element("pitch-word").textContent = Math.abs(pitch) < 0.5 ? "level" : pitch > 0 ? "up" : "down";
    const shut = face.eyes.every((eye) => eye.blink);
    element("blinks").textContent = face.blinks ?? (shut ? "closed" : "open");
    element("movement").textContent = shut ? "eyes closed" : (face.movement ?? "since the start");
    const confidence = face.eyes.reduce((sum, eye) => sum + eye.confidence, 0) / face.eyes.length;
    element("confidence").textContent = confidence.toFixed(2);
    const { head } = face;
    element("head").textContent = head
      ? `${signed(head.yaw_deg)} yaw, ${signed(head.pitch_deg)} pitch, ${signed(head.roll_deg)} roll`
      : "not available from this finder";
  }

  #people() {
    const group = element("people");
    const ids = [...this.#seen.keys()].filter((id) => id !== null).sort((a, b) => a - b);
    group.hidden = ids.length < 2;
    const wanted = ids.join();
    if (group.dataset.ids !== wanted) {
      group.dataset.ids = wanted;
      const buttons = ids.map((id) => {
        const button = Object.assign(document.createElement("button"), { type: "button", textContent: `Person ${id + 1}` });
        button.setAttribute("role", "radio");
        button.addEventListener("click", () => this.#choose(id));
        return button;
      });
      group.replaceChildren(...buttons);
    }
    ids.forEach((id, index) => group.children[index]?.setAttribute("aria-checked", String(id === this.#chosen)));
  }

  #choose(id) {
    this.#chosen = id;
    this.#people();
    this.#show(this.chosenOf(this.#last.faces), this.#last.whose);
    this.#curves.draw(id);
  }
}

/** The rate of results, and the delay from a frame to its displayed result. */
export class Pace {
  #times = [];
  #shown = 0;

  clear() {
    this.#times = [];
    for (const id of ["rate", "delay"]) element(id).textContent = "–";
  }

  take(delayMs) {
    const now = performance.now();
    this.#times.push({ now, delayMs });
    while (this.#times[0].now < now - 2000) this.#times.shift();
    if (now - this.#shown < 500) return;
    this.#shown = now;
    const span = (now - this.#times[0].now) / 1000;
    const rate = span > 0.3 ? (this.#times.length - 1) / span : null;
    element("rate").textContent = rate === null ? "–" : `${rate.toFixed(0)} per second`;
    const delays = this.#times.map((each) => each.delayMs).filter((each) => each !== null).sort((a, b) => a - b);
    element("delay").textContent = delays.length ? `${delays[delays.length >> 1].toFixed(0)} ms` : "–";
  }
}
