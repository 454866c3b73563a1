// The camera: opens it, sends its frames, and limits how many frames await an answer.

const MOST_UNANSWERED = 2;
const JPEG_QUALITY = 0.92;

/**
 * Events: "frame" (a live frame can be shown), "lost" (the camera is gone).
 */
export class Camera extends EventTarget {
  video = Object.assign(document.createElement("video"), { muted: true, playsInline: true });
  #link;
  #stream = null;
  #running = false; // whether the server accepts frames
  #beganMs = 0;
  #number = -1;
  #sent = new Map(); // number -> { canvas, takenMs } of unanswered frames
  #spare = [];
  #encoding = false;

  constructor(link) {
    super();
    this.#link = link;
  }

  get isOpen() {
    return this.#stream !== null;
  }

  get device() {
    return this.#stream?.getVideoTracks()[0]?.getSettings().deviceId ?? "";
  }

  /** How long the oldest frame has waited for an answer, in milliseconds. */
  get waitedMs() {
    const [oldest] = this.#sent.values();
    return oldest ? performance.now() - oldest.takenMs : 0;
  }

  async open(device, [width, height]) {
    this.close();
    const wanted = { width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: 30 } };
    if (device) wanted.deviceId = { exact: device };
    const stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
    this.#stream = stream;
    for (const track of stream.getTracks()) {
      track.addEventListener("ended", () => {
        if (this.#stream !== stream) return;
        this.close();
        this.dispatchEvent(new Event("lost"));
      });
    }
    this.video.srcObject = stream;
    await this.video.play();
    this.#watch(stream);
  }

  close() {
    this.pause();
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = null;
    this.video.srcObject = null;
  }

  /** Start to send frames, from number 0 and time 0. */
  begin() {
    this.pause();
    this.#beganMs = performance.now();
    this.#number = -1;
    this.#running = true;
  }

  pause() {
    this.#running = false;
    for (const { canvas } of this.#sent.values()) this.#spare.push(canvas);
    this.#sent.clear();
  }

  /** Return the frame of an answer, and drop earlier frames, which the server skipped. */
  answered(number) {
    const frame = this.#sent.get(number) ?? null;
    for (const [key, { canvas }] of this.#sent) {
      if (key > number) break;
      this.#sent.delete(key);
      if (key < number) this.#spare.push(canvas);
    }
    return frame;
  }

  /** Reuse the canvas of a displayed frame. */
  done(frame) {
    this.#spare.push(frame.canvas);
    this.#spare.length = Math.min(this.#spare.length, MOST_UNANSWERED + 1);
  }

  #watch(stream) {
    const next = () => {
      if (this.#stream !== stream) return;
      this.dispatchEvent(new Event("frame"));
      this.#send();
      if (this.video.requestVideoFrameCallback) this.video.requestVideoFrameCallback(next);
      else requestAnimationFrame(next);
    };
    next();
  }

  async #send() {
    const { videoWidth: width, videoHeight: height } = this.video;
    if (!this.#running || !width) return;
    const number = ++this.#number; // dropped frames count, too
    if (this.#encoding || this.#sent.size >= MOST_UNANSWERED) return;
    const takenMs = performance.now();
    const canvas = this.#spare.pop() ?? new OffscreenCanvas(width, height);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    canvas.getContext("2d", { willReadFrequently: true }).drawImage(this.video, 0, 0);
    this.#encoding = true;
    this.#sent.set(number, { canvas, takenMs });
    try {
      const picture = await canvas.convertToBlob({ type: "image/jpeg", quality: JPEG_QUALITY });
      if (this.#sent.has(number)) await this.#link.sendFrame((takenMs - this.#beganMs) / 1000, number, picture);
    } finally {
      this.#encoding = false;
    }
  }
}

/** Say why the camera could not be opened, and what to do. */
export function whyNoCamera(error) {
  switch (error.name) {
    case "NotAllowedError":
      return "The browser has no permission to use the camera. Allow it in the address bar, then start the camera again.";
    case "NotFoundError":
    case "OverconstrainedError":
      return "No camera found. Connect one, or drop a picture or a video here.";
    case "NotReadableError":
    case "AbortError":
      return "Another program or tab uses the camera. Close it, then start the camera again.";
    default:
      return `Could not open the camera: ${error.message || error.name}.`;
  }
}
