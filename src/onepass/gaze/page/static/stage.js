// The picture: an analysed frame with its overlay, or the live camera picture.

import { drawFaces } from "./draw.js";

export class Stage {
  #stage = document.getElementById("stage");
  #canvas = document.getElementById("picture");
  #empty = document.getElementById("empty");
  #last = null; // the last drawing, for redrawing at another size
  mirrored = true;
  drawing = true;

  constructor() {
    new ResizeObserver(() => this.#drawAgain()).observe(this.#stage);
  }

  clear() {
    this.#last = null;
    this.#stage.dataset.state = "empty";
    this.#canvas.hidden = true;
    this.#empty.hidden = false;
    this.say("No picture yet");
  }

  /** Describe the picture for screen readers. */
  say(text) {
    if (this.#canvas.getAttribute("aria-label") !== text) this.#canvas.setAttribute("aria-label", text);
  }

  /**
   * Show a picture (anything drawable, of this size) with faces; `factor` is the number of pixels of the faces' picture
   * per pixel of this picture.
   */
  show(picture, width, height, faces, { factor = 1, mirrored = this.mirrored } = {}) {
    if (this.#empty.hidden === false) {
      this.#stage.dataset.state = "picture";
      this.#canvas.hidden = false;
      this.#empty.hidden = true;
    }
    const device = window.devicePixelRatio || 1;
    const room = Math.min(this.#stage.clientWidth / width, this.#stage.clientHeight / height);
    const scale = Math.max(Math.min(room * device, 3), 0.1);
    const size = [Math.round(width * scale), Math.round(height * scale)];
    if (this.#canvas.width !== size[0] || this.#canvas.height !== size[1]) {
      [this.#canvas.width, this.#canvas.height] = size;
    }
    const context = this.#canvas.getContext("2d", { alpha: false });
    context.setTransform(mirrored ? -scale : scale, 0, 0, scale, mirrored ? size[0] : 0, 0);
    context.drawImage(picture, 0, 0, width, height);
    if (this.drawing && faces.length > 0) {
      context.scale(1 / factor, 1 / factor);
      drawFaces(context, faces, { thin: (1.25 * factor * device) / scale, mirrored, numbers: faces.length > 1 });
    }
    this.#last = { picture, width, height, faces, options: { factor, mirrored } };
  }

  /** Forget the last picture, whose canvas is about to change. */
  forget() {
    this.#last = null;
  }

  #drawAgain() {
    const last = this.#last;
    if (last) this.show(last.picture, last.width, last.height, last.faces, last.options);
  }
}
