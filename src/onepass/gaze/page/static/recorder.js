// Recording: start, end, and download links.

const element = (id) => document.getElementById(id);

const LABELS = {
  "gaze.csv": "Table as CSV",
  "gaze.parquet": "Table as Parquet",
  "movements.csv": "Fixations and saccades as CSV",
};

const counted = (count, one) => `${count.toLocaleString("en")} ${one}${count === 1 ? "" : "s"}`;

export class Recorder {
  isOn = false;

  began() {
    this.isOn = true;
    element("record").setAttribute("aria-pressed", "true");
    element("record").textContent = "Stop recording";
    element("recording-mark").hidden = false;
    element("recorded").textContent = "0:00";
  }

  take(recorded) {
    const seconds = Math.floor(recorded?.seconds ?? 0);
    element("recorded").textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  }

  ended() {
    this.isOn = false;
    element("record").setAttribute("aria-pressed", "false");
    element("record").textContent = "Record";
    element("recording-mark").hidden = true;
  }

  /** Offer a session's recording for download. */
  offer(session, { files, frames, seconds, fixations, saccades, blinks }) {
    const long = seconds > 0 ? ` in ${seconds.toFixed(1)} s` : "";
    const moves = `${counted(fixations, "fixation")}, ${counted(saccades, "saccade")}, ${counted(blinks, "blink")}`;
    element("saved-what").textContent = frames === 0 ? "The recording has no frames." : `${counted(frames, "frame")}${long}; ${moves}.`;
    this.#links(session, files);
  }

  /** Check whether a recording survived a broken connection; if so, offer it. Return whether it did. */
  async rescue(session, number) {
    const files = Object.keys(LABELS).map((name) => `${number}/${name}`);
    let found = [];
    for (let tries = 0; tries < 3 && found[0] !== files[0]; tries++) {
      if (tries > 0) await new Promise((resolve) => setTimeout(resolve, 700)); // until the server has finished the files
      const there = await Promise.all(files.map((file) => isThere(`sessions/${session}/${file}`)));
      found = files.filter((_, index) => there[index]);
    }
    if (found.length === 0) return false;
    element("saved-what").textContent = "Everything up to the broken connection.";
    this.#links(session, found);
    return true;
  }

  #links(session, files) {
    const links = files.map((file) => {
      const name = file.split("/").pop();
      const link = document.createElement("a");
      Object.assign(link, { className: "button", href: `sessions/${session}/${file}`, download: name });
      link.textContent = LABELS[name] ?? name;
      return link;
    });
    element("saved-files").replaceChildren(...links);
    element("saved").hidden = false;
  }
}

async function isThere(address) {
  try {
    return (await fetch(address, { method: "HEAD" })).ok;
  } catch {
    return false;
  }
}
