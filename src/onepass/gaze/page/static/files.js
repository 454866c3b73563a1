// Pictures and videos dropped on the page or chosen with a button.

/** Call `take` with a file dropped anywhere on the page; `mark` is visible while a file hovers over the page. */
export function onDrop(mark, take) {
  let inside = 0;
  const holdsFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const hide = () => {
    inside = 0;
    mark.hidden = true;
  };
  addEventListener("dragenter", (event) => {
    if (!holdsFiles(event)) return;
    inside += 1;
    mark.hidden = false;
  });
  addEventListener("dragleave", () => {
    inside -= 1;
    if (inside <= 0) hide();
  });
  addEventListener("dragover", (event) => holdsFiles(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    hide();
    const [file] = event.dataTransfer.files;
    if (file) take(file);
  });
}

/** Call `take` with a file chosen with a button; the same file may be chosen again. */
export function onChoice(buttons, input, take) {
  for (const button of buttons) button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    const [file] = input.files;
    input.value = "";
    if (file) take(file);
  });
}

/** Upload a file to a session; throws an error with a message on failure. */
export async function upload(session, file) {
  const address = `sessions/${session}/dropped?name=${encodeURIComponent(file.name)}`;
  let answer;
  try {
    answer = await fetch(address, { method: "POST", body: file });
  } catch {
    throw new Error("the connection broke");
  }
  if (answer.ok) return;
  const said = await answer.json().catch(() => null);
  throw new Error(said?.error ?? `the server answered ${answer.status}`);
}

/** Download a blob under a name. */
export function save(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
