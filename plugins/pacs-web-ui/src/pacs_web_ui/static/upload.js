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

  // What systems and media put into folders by themselves is not spoken of.
  const IGNORED = new Set(["DICOMDIR", ".DS_Store", "Thumbs.db", "desktop.ini"]);
  const isIgnored = ({ name }) => IGNORED.has(name) || name.startsWith("._");

  // PS3.10 §7.1; what has no preamble begins with group 0002, or 0008 in either byte order.
  function mayBeDicom(bytes) {
    const at = (place) => String.fromCharCode(...bytes.slice(place, place + 4));
    const [first, second] = bytes;
    return at(128) === "DICM" || at(0) === "DICM" ||
      ([2, 8].includes(first) && second === 0) || (first === 0 && second === 8);
  }

  // Why an instance was refused is in a Warning (PS3.18 §10.5.3), or in a problem (RFC 9457).
  async function reasonOf(answer) {
    const warned = /"((?:[^"\\]|\\.)*)"/.exec(answer.headers.get("warning") ?? "");
    if (warned) return warned[1].replace(/\\(.)/g, "$1").replace(/^[\d.]+: /, "");
    try {
      return (await answer.json()).detail || String(answer.status);
    } catch {
      return String(answer.status);
    }
  }

  async function send(file) {
    const answer = await fetch(button.dataset.to, {
      method: "POST",
      headers: { "content-type": "application/dicom", accept: "application/dicom+json" },
      body: file,
    });
    return answer.ok ? "" : reasonOf(answer);
  }

  const isZip = (bytes) => String.fromCharCode(...bytes.slice(0, 4)) === "PK\x03\x04";

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

  // Iterates over the files that are to be sent one by one, and sends zip files meanwhile; null
  // stands for a file that is no DICOM file.
  async function* sortOut(files) {
    for await (const file of files) {
      if (isIgnored(file)) continue;
      let bytes;
      try { bytes = new Uint8Array(await file.slice(0, 132).arrayBuffer()); } catch (error) {
        addLine(`${file.name}: ${error.message}`, true);
        continue;
      }
      if (!isZip(bytes)) yield mayBeDicom(bytes) ? file : null;
      else if (await sendZip(file)) refresh();
    }
  }

  function refresh() {
    if (window.htmx) htmx.trigger(document.querySelector("form.filters"), "submit");
  }

  async function upload(files) {
    files = sortOut(files);
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
    let total = 0, done = 0, skipped = 0, failed = 0, ended = false;
    const queue = [];
    const show = () => {
      bar.max = Math.max(total, 1);
      bar.value = done;
      text.textContent = ` ${done} / ${total}` +
        (skipped ? `, ${skipped} ${button.dataset.skipped}` : "") +
        (failed ? `, ${failed} ${button.dataset.failed}` : "");
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
    for await (const file of files) {
      if (file) {
        queue.push(file);
        total += 1;
      } else skipped += 1;
      show();
    }
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
