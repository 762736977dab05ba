// Upload of files and folders, dropped anywhere or chosen: each file is one STOW-RS request, but for
// zip files, which the server opens: it answers with a line of JSON for every few files in them.
"use strict";

(() => {
  const button = document.getElementById("upload");
  if (!button) return;
  const list = document.getElementById("uploads");
  const AT_ONCE = 4;

  // What cannot be read, as on a disc that is damaged, is said, and keeps nothing else away.
  async function* filesOf(entry) {
    if (entry instanceof File) {
      yield entry;
      return;
    }
    try {
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
    } catch (error) {
      addLine(`${entry.name}: ${error.message}`, true);
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

  async function isZip(file) {
    const beginning = new Uint8Array(await file.slice(0, 4).arrayBuffer());
    return String.fromCharCode(...beginning) === "PK\x03\x04";
  }

  function addLine(text, isProblem) {
    const line = document.createElement("p");
    if (isProblem) line.className = "problem";
    line.textContent = text;
    list.append(line);
  }

  // fetch does not tell how much of a body has been sent; XMLHttpRequest does.
  function sendZip(file) {
    const state = document.createElement("p");
    const bar = document.createElement("progress");
    bar.setAttribute("aria-label", file.name);
    const text = document.createElement("span");
    state.append(bar, text);
    list.append(state);
    const words = button.dataset;
    const say = (report) => {
      bar.max = Math.max(report.total, 1);
      bar.value = report.stored + report.known + report.skipped + report.failed;
      text.textContent = ` ${file.name}: ${report.stored} / ${report.total}` +
        (report.known ? `, ${report.known} ${words.known}` : "") +
        (report.skipped ? `, ${report.skipped} ${words.skipped}` : "") +
        (report.failed ? `, ${report.failed} ${words.failed}` : "");
    };
    return new Promise((done) => {
      const request = new XMLHttpRequest();
      request.open("POST", words.zip);
      request.setRequestHeader("content-type", "application/zip");
      request.setRequestHeader("accept", "application/jsonl");
      request.upload.addEventListener("progress", (event) => {
        bar.max = event.total;
        bar.value = event.loaded;
        text.textContent = ` ${file.name}: ${words.uploading}, ` +
          `${Math.round((100 * event.loaded) / Math.max(event.total, 1))} %`;
      });
      const lines = () => request.responseText.split("\n").slice(0, -1);
      request.addEventListener("progress", () => {
        if (request.status === 200 && lines().length) say(JSON.parse(lines().at(-1)));
      });
      request.addEventListener("loadend", () => {
        if (request.status === 200 && lines().length) {
          const report = JSON.parse(lines().at(-1));
          say(report);
          text.textContent += ` – ${words.done}`;
          for (const reason of report.reasons) addLine(reason, true);
        } else {
          let problem = String(request.status || words.failed);
          try { problem = JSON.parse(request.responseText).detail || problem; } catch { /* no JSON */ }
          state.remove();
          addLine(`${file.name}: ${problem}`, true);
        }
        done(request.status === 200);
      });
      request.send(file);
    });
  }

  async function* withoutZips(files) {
    for await (const file of files) {
      let zip;
      try { zip = await isZip(file); } catch (error) {
        addLine(`${file.name}: ${error.message}`, true);
        continue;
      }
      if (!zip) yield file;
      else if (await sendZip(file)) refresh();
    }
  }

  function refresh() {
    if (window.htmx) htmx.trigger(document.querySelector("form.filters"), "submit");
  }

  async function upload(files) {
    files = withoutZips(files);
    const first = await files.next();
    if (first.done) return;
    await uploadEach(rejoin(first.value, files));
  }

  async function* rejoin(first, rest) {
    yield first;
    yield* rest;
  }

  async function uploadEach(files) {
    const state = document.createElement("p");
    const bar = document.createElement("progress");
    bar.setAttribute("aria-label", button.dataset.uploading);
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
          if (failed <= 20) addLine(`${file.name}: ${problem}`, true);
        }
        show();
      }
    };
    const workers = Array.from({ length: AT_ONCE }, work);
    for await (const file of files) { queue.push(file); total += 1; show(); }
    ended = true;
    await Promise.all(workers);
    text.textContent += ` – ${button.dataset.done}`;
    refresh();
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
