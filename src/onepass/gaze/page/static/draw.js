// Draw eyelids, irises, gaze and heads over a picture, as `onepass gaze` does.

const LID = "rgb(94 234 212)";
const IRIS = "rgb(253 211 77)";
const GAZE = "rgb(255 92 106)";
const SHADOW = "rgb(10 14 24 / 35%)";
const FACE = "rgb(255 255 255 / 75%)";

// Lengths relative to the distance between the eye corners.
const LINE = 0.028;
const ARROW = 4;
const ARROW_HEAD = 0.26;

/** Return the unit vector of a direction: x to the picture's right, y down, z towards the camera. */
export function vector({ yaw_deg: yaw, pitch_deg: pitch }) {
  const [a, b] = [(yaw * Math.PI) / 180, (pitch * Math.PI) / 180];
  return [Math.sin(a) * Math.cos(b), -Math.sin(b), Math.cos(a) * Math.cos(b)];
}

/** Draw faces; the context's units are picture pixels. `thin` is the width of one page pixel in these units. */
export function drawFaces(context, faces, { thin, mirrored, numbers }) {
  context.lineJoin = context.lineCap = "round";
  for (const face of faces) {
    drawBox(context, face.box, thin);
    for (const eye of face.eyes) drawEye(context, eye, thin);
    const size = face.eyes.reduce((sum, eye) => sum + cornerDistance(eye), 0) / face.eyes.length;
    if (face.head) drawHead(context, face, size, thin);
    for (const eye of face.eyes) drawGaze(context, eye.iris_centre, vector(face.gaze), size, thin);
    if (numbers && face.id !== null) drawNumber(context, face, thin, mirrored);
  }
}

function cornerDistance({ eyelid }) {
  return Math.hypot(eyelid[4][0] - eyelid[0][0], eyelid[4][1] - eyelid[0][1]);
}

function stroke(context, path, colour, width) {
  context.lineWidth = 2.2 * width;
  context.strokeStyle = SHADOW;
  context.stroke(path);
  context.lineWidth = width;
  context.strokeStyle = colour;
  context.stroke(path);
}

/** Add a smooth curve through points (Catmull–Rom), open or closed. */
function curve(path, points, closed) {
  const count = points.length;
  const at = (index) => points[closed ? (index + count) % count : Math.min(Math.max(index, 0), count - 1)];
  for (let index = 0; index < (closed ? count : count - 1); index++) {
    const [before, from, to, after] = [at(index - 1), at(index), at(index + 1), at(index + 2)];
    if (index === 0 && closed) path.moveTo(...from);
    const first = from.map((value, axis) => value + (to[axis] - before[axis]) / 6);
    const second = to.map((value, axis) => value - (after[axis] - from[axis]) / 6);
    path.bezierCurveTo(...first, ...second, ...to);
  }
}

function drawEye(context, eye, thin) {
  const width = Math.max(thin, LINE * cornerDistance(eye));
  const lid = new Path2D();
  lid.moveTo(...eye.eyelid[0]);
  curve(lid, eye.eyelid.slice(0, 5), false);
  curve(lid, [...eye.eyelid.slice(4), eye.eyelid[0]], false);
  const iris = new Path2D();
  curve(iris, eye.iris, true);
  context.globalAlpha = 0.3;
  stroke(context, iris, IRIS, width);
  context.globalAlpha = 1;
  context.save();
  context.clip(lid);
  context.fillStyle = "rgb(253 211 77 / 12%)";
  context.fill(iris);
  stroke(context, iris, IRIS, width);
  context.restore();
  stroke(context, lid, eye.blink ? "rgb(94 234 212 / 60%)" : LID, width);
}

function drawGaze(context, [x, y], [right, down], size, thin) {
  const width = 1.15 * Math.max(thin, LINE * size);
  const [along, across] = [right * ARROW * size, down * ARROW * size];
  const length = Math.hypot(along, across);
  if (length > 0.05 * size) {
    const head = Math.min(ARROW_HEAD * size, 0.5 * length);
    const [u, v] = [along / length, across / length];
    const [tipX, tipY] = [x + along, y + across];
    const [neckX, neckY] = [tipX - u * head, tipY - v * head];
    const line = new Path2D();
    line.moveTo(x, y);
    line.lineTo(neckX, neckY);
    stroke(context, line, GAZE, width);
    const side = 0.45 * head;
    const arrow = new Path2D();
    arrow.moveTo(tipX, tipY);
    arrow.lineTo(neckX - v * side, neckY + u * side);
    arrow.lineTo(neckX + v * side, neckY - u * side);
    arrow.closePath();
    context.fillStyle = GAZE;
    context.fill(arrow);
  }
  const dot = new Path2D();
  dot.arc(x, y, 1.4 * width, 0, 2 * Math.PI);
  context.fillStyle = GAZE;
  context.fill(dot);
}

/** Draw the head direction: a thin line from between the eyes. */
function drawHead(context, face, size, thin) {
  const middles = face.eyes.map(({ eyelid }) => [0, 1].map((axis) => (eyelid[0][axis] + eyelid[4][axis]) / 2));
  const [x, y] = [0, 1].map((axis) => middles.reduce((sum, point) => sum + point[axis], 0) / middles.length);
  const [right, down] = vector(face.head);
  const line = new Path2D();
  line.moveTo(x, y);
  line.lineTo(x + right * ARROW * size, y + down * ARROW * size);
  context.setLineDash([4 * thin, 4 * thin]);
  stroke(context, line, FACE, Math.max(thin, 0.8 * LINE * size));
  context.setLineDash([]);
}

function drawBox(context, { left_px: left, top_px: top, width_px: width, height_px: height }, thin) {
  const reach = 0.14 * width;
  const corners = new Path2D();
  for (const [x, inX] of [[left, 1], [left + width, -1]]) {
    for (const [y, inY] of [[top, 1], [top + height, -1]]) {
      corners.moveTo(x + inX * reach, y);
      corners.lineTo(x, y);
      corners.lineTo(x, y + inY * reach);
    }
  }
  stroke(context, corners, FACE, Math.max(thin, width / 220));
}

function drawNumber(context, { box, id }, thin, mirrored) {
  context.save();
  context.translate(box.left_px + box.width_px / 2, box.top_px - 8 * thin);
  if (mirrored) context.scale(-1, 1);
  context.font = `600 ${15 * thin}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.lineWidth = 4 * thin;
  context.strokeStyle = "rgb(10 14 24 / 60%)";
  context.fillStyle = "white";
  context.strokeText(`Person ${id + 1}`, 0, 0);
  context.fillText(`Person ${id + 1}`, 0, 0);
  context.restore();
}
