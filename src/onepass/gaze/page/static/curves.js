// Curves of the last 15 seconds.

const SECONDS = 15;
const MOST_POINTS = 1200;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** A canvas with a curve of values over time. */
class Curve {
  #canvas;
  #low;
  #high;
  #colour;

  constructor(id, low, high, colourName) {
    this.#canvas = document.getElementById(id);
    [this.#low, this.#high, this.#colour] = [low, high, colourName];
  }

  draw(points, now, value, shaded = () => false) {
    const canvas = this.#canvas;
    const device = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (canvas.width !== Math.round(width * device)) canvas.width = Math.round(width * device);
    if (canvas.height !== Math.round(height * device)) canvas.height = Math.round(height * device);
    const context = canvas.getContext("2d");
    context.setTransform(device, 0, 0, device, 0, 0);
    context.clearRect(0, 0, width, height);
    const across = (seconds) => width * (1 + (seconds - now) / SECONDS);
    const down = (each) => 1.5 + (height - 3) * (1 - (Math.min(Math.max(each, this.#low), this.#high) - this.#low) / (this.#high - this.#low));
    context.fillStyle = colour("--line");
    for (const level of this.#low < 0 ? [0] : [this.#low, this.#high]) context.fillRect(0, down(level) - 0.5, width, 1);
    context.beginPath();
    let before = null;
    for (const point of points) {
      const each = value(point);
      if (before && shaded(point)) {
        context.fillStyle = colour("--press");
        context.fillRect(across(before.seconds), 0, across(point.seconds) - across(before.seconds) + 0.5, height);
      }
      if (each === null) before = null;
      else if (before === null || point.seconds - before.seconds > 0.7) context.moveTo(across(point.seconds), down(each));
      else context.lineTo(across(point.seconds), down(each));
      if (each !== null) before = point;
    }
    context.lineWidth = 1.75;
    context.lineJoin = "round";
    context.strokeStyle = colour(this.#colour);
    context.stroke();
  }
}

/** The curves of the selected person; each person has a separate history. */
export class Curves {
  #yaw = new Curve("yaw-curve", -30, 30, "--gaze");
  #pitch = new Curve("pitch-curve", -30, 30, "--gaze");
  #lids = new Curve("lids-curve", 0, 0.5, "--lid");
  #confidence = new Curve("confidence-curve", 0, 1, "--cool");
  #past = new Map();
  #now = 0;

  clear() {
    this.#past.clear();
    this.#now = 0;
    this.draw(null);
  }

  take(seconds, faces) {
    this.#now = seconds;
    for (const face of faces) {
      const past = this.#past.get(face.id) ?? [];
      const mean = (of) => face.eyes.reduce((sum, eye) => sum + of(eye), 0) / face.eyes.length;
      past.push({
        seconds,
        yaw: face.gaze.yaw_deg,
        pitch: face.gaze.pitch_deg,
        open: mean((eye) => eye.openness),
        confidence: mean((eye) => eye.confidence),
        shut: face.eyes.every((eye) => eye.blink),
      });
      if (past.length > MOST_POINTS) past.shift();
      this.#past.set(face.id, past);
    }
    for (const [id, past] of this.#past) {
      while (past.length > 0 && past[0].seconds < seconds - SECONDS - 1) past.shift();
      if (past.length === 0) this.#past.delete(id);
    }
  }

  draw(id) {
    const past = this.#past.get(id) ?? [];
    this.#yaw.draw(past, this.#now, (point) => point.yaw);
    this.#pitch.draw(past, this.#now, (point) => point.pitch);
    this.#lids.draw(past, this.#now, (point) => point.open, (point) => point.shut);
    this.#confidence.draw(past, this.#now, (point) => point.confidence);
  }
}
