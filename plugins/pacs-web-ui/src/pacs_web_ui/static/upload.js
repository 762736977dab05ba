// Upload of files and folders, dropped anywhere or chosen: each file is one STOW-RS request.
"use strict";

(() => {
  const button = document.getElementById("upload");
  if (!button) return;
  const list = document.getElementById("uploads");
  const AT_ONCE = 4;

  async function* filesOf(entry) {
    if (entry instanceof File) {
      yield entry;
      return;
    }
    if (entry.isFile) {
      yield await new Promise((done, fail) => entry.file(done, fail));
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((done, fail) => reader.readEntries(done, fail));
      if (!some.length) return;
      for (const each of some) yield* filesOf(each);
    }
  }

  async function send(file) {
    const answer = await fetch(button.dataset.to, {
      method: "POST",
      headers: { "content-type": "application/dicom", accept: "application/dicom+json" },
      body: file,
    });
    if (answer.ok) return "";
    try {
      const problem = await answer.json();
      return problem.detail || String(answer.status);
    } catch {
      return String(answer.status);
    }
  }

  async function upload(files) {
    const state = document.createElement("p");
    const bar = document.createElement("progress");
    const text = document.createElement("span");
    state.append(bar, text);
    list.append(state);
    let total = 0, done = 0, failed = 0, ended = false;
    const queue = [];
    const show = () => {
      bar.max = Math.max(total, 1);
      bar.value = done;
      text.textContent = ` ${done} / ${total}` + (failed ? `, ${failed} ${button.dataset.failed}` : "");
    };
    const work = async () => {
      for (;;) {
        const file = queue.shift();
        if (!file) {
          if (ended) return;
          await new Promise((wait) => setTimeout(wait, 20));
          continue;
        }
        let problem;
        try { problem = await send(file); } catch (error) { problem = error.message; }
        done += 1;
        if (problem) {
          failed += 1;
          const line = document.createElement("p");
          line.className = "problem";
          line.textContent = `${file.name}: ${problem}`;
          if (failed <= 20) list.append(line);
        }
        show();
      }
    };
    const workers = Array.from({ length: AT_ONCE }, work);
    for await (const file of files) { queue.push(file); total += 1; show(); }
    ended = true;
    await Promise.all(workers);
    text.textContent += ` – ${button.dataset.done}`;
    if (window.htmx) htmx.trigger(document.querySelector("form.filters"), "submit");
  }

  async function* dropped(items) {
    for (const each of items) yield* filesOf(each);
  }

  async function* chosen(files) {
    yield* files;
  }

  button.querySelector("input").addEventListener("change", (event) => {
    upload(chosen(Array.from(event.target.files)));
    event.target.value = "";
  });
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.dataset.drop = button.dataset.drop;
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) delete document.body.dataset.drop;
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    delete document.body.dataset.drop;
    const items = Array.from(event.dataTransfer.items)
      .filter((item) => item.kind === "file")
      .map((item) => item.webkitGetAsEntry() || item.getAsFile()); // what a script drops has no entry
    upload(dropped(items.filter(Boolean)));
  });
})();
