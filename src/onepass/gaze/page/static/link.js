// The connection to the server, which reconnects by itself.

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 5000;
const TRY_AGAIN_LATER = 1013;
const HEADER_BYTES = 12;

/**
 * Events: "up" (the greeting), "down" (the ended session, and the reason if known), "message" (an answer, with its
 * `picture` if it has one).
 */
export class Link extends EventTarget {
  #socket = null;
  #waitMs = FIRST_WAIT_MS;
  #picture = null;
  session = null;

  get isUp() {
    return this.session !== null;
  }

  /** Number of bytes not yet sent. */
  get waitingBytes() {
    return this.#socket?.bufferedAmount ?? 0;
  }

  connect() {
    const address = new URL("session", location.href);
    address.protocol = address.protocol.replace("http", "ws");
    const socket = (this.#socket = new WebSocket(address));
    socket.binaryType = "blob";
    socket.addEventListener("message", (event) => this.#take(event.data));
    socket.addEventListener("close", (event) => this.#close(socket, event));
  }

  /** Close this connection and open another. */
  restart() {
    const socket = this.#socket;
    this.#close(socket, { code: 0, reason: "" });
    socket?.close();
  }

  send(command) {
    if (this.isUp) this.#socket.send(JSON.stringify(command));
  }

  /** Send a frame: its time, its number, and the picture as JPEG. */
  async sendFrame(seconds, number, picture) {
    const header = new DataView(new ArrayBuffer(HEADER_BYTES));
    header.setFloat64(0, seconds, true);
    header.setUint32(8, number, true);
    if (this.isUp) this.#socket.send(new Blob([header, picture]));
  }

  #take(data) {
    if (data instanceof Blob) {
      this.#picture = data;
      return;
    }
    const message = { ...JSON.parse(data), picture: this.#picture };
    this.#picture = null;
    if (message.type === "hello") {
      this.session = message.session;
      this.#waitMs = FIRST_WAIT_MS;
      this.dispatchEvent(new CustomEvent("up", { detail: message }));
    } else {
      this.dispatchEvent(new CustomEvent("message", { detail: message }));
    }
  }

  async #close(socket, { code, reason }) {
    if (socket !== this.#socket) return;
    this.#socket = null;
    const session = this.session;
    this.session = null;
    const full = code === TRY_AGAIN_LATER ? reason : "";
    this.dispatchEvent(new CustomEvent("down", { detail: { session, full, refused: await isRefused() } }));
    setTimeout(() => this.connect(), this.#waitMs);
    this.#waitMs = Math.min(2 * this.#waitMs, LONGEST_WAIT_MS);
  }
}

/** Whether the server responds, but requires a token that this page does not have. */
async function isRefused() {
  try {
    return (await fetch(location.pathname, { method: "HEAD", cache: "no-store" })).status === 401;
  } catch {
    return false;
  }
}
