// The calibration dialog: start, load, or forget a calibration.

import { onChoice } from "./files.js";
import { say, settle } from "./notices.js";

const element = (id) => document.getElementById(id);

/** Connect the dialog to the server and to the screen with the points. */
export function offerCalibration(link, screen) {
  element("calibrate").addEventListener("click", () => element("calibration").showModal());
  element("look").addEventListener("click", () => screen.look());
  screen.addEventListener("again", () => element("calibration").showModal());
  screen.addEventListener("left", ({ detail: why }) => {
    link.send({ type: "calibrate", on: false });
    say("calibrate", why);
  });

  element("calibration").addEventListener("close", async ({ target }) => {
    if (target.returnValue !== "begin") return;
    target.returnValue = "";
    settle("calibrate");
    const [width, height] = await screen.beginCourse();
    const number = (id) => element(id).valueAsNumber || null;
    const widthMm = number("width-mm");
    link.send({
      type: "calibrate",
      on: true,
      points: Number(document.querySelector("input[name=points]:checked").value),
      width,
      height,
      // If the window does not fill the screen, only its share of the width.
      width_mm: widthMm && (widthMm * width) / Math.max(window.screen.width, width),
      distance_mm: number("distance-mm"),
    });
  });

  element("forget").addEventListener("click", () => {
    element("calibration").close("cancel");
    link.send({ type: "calibration", calibration: null });
  });

  onChoice([element("load-calibration")], element("calibration-file"), async (file) => {
    element("calibration").close("cancel");
    settle("calibration");
    try {
      link.send({ type: "calibration", calibration: JSON.parse(await file.text()) });
    } catch {
      say("calibration", `${file.name} is not a calibration; create one with "Save the calibration" on this page, or with onepass gaze calibrate.`, { bad: true });
    }
  });
}
