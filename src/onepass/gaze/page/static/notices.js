// Notices: one per subject, until it is settled.

const bar = document.getElementById("notices");

/** Show a notice about a subject, replacing the previous one. */
export function say(matter, text, { bad = false, seconds = null } = {}) {
  let notice = bar.querySelector(`[data-matter="${matter}"]`);
  if (notice === null) {
    notice = Object.assign(document.createElement("p"), { className: "notice" });
    notice.dataset.matter = matter;
    bar.append(notice);
  }
  notice.dataset.kind = bad ? "bad" : "fine";
  if (notice.textContent !== text) notice.textContent = text;
  if (seconds !== null) setTimeout(() => notice.textContent === text && notice.remove(), 1000 * seconds);
}

/** Remove the notices about these subjects. */
export function settle(...matters) {
  for (const matter of matters) bar.querySelector(`[data-matter="${matter}"]`)?.remove();
}
