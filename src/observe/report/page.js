"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const text = (n) => data.texts[n];
  const canvas = document.getElementById("canvas"), view = document.getElementById("view");
  const room = document.getElementById("room"), tip = document.getElementById("tip"), search = document.getElementById("search");
  document.getElementById("timeline").hidden = false;
  const ROW = 20, AXIS = 24, NAMES = 210;
  const end = data.end || 1e-6;

  // Each row: a name and its pieces, each piece {from, to, colour, about}.
  const kind = (what) => what.startsWith("acquire ") ? "lock" : what === "sleep" ? "sleep" : what.includes("Child(") ? "child" : "waits";
  const time = (s) => s >= 1 ? s.toFixed(3) + " s" : s >= 1e-3 ? (s * 1e3).toFixed(2) + " ms" : (s * 1e6).toFixed(0) + " µs";
  const rows = data.tasks.map(([name, process, from, to]) => {
    const about = `${text(name)}\n${text(process)}`;
    return { name: text(name), process: text(process), pieces: [{ from, to, colour: "runs", about }] };
  });
  for (const [task, from, to, what, at, how, by] of data.waits) {
    const about = [`waits: ${text(what)}`, text(at), text(how), text(by)].filter(Boolean).join("\n");
    rows[task].pieces.push({ from, to, colour: kind(text(what)), about });
  }
  const commands = [];
  for (const [row, from, to, what, code, ended, pid] of data.commands) {
    commands[row] ??= { name: `commands ${row + 1}`, process: "", pieces: [] };
    const status = code === 0 && ended === undefined ? "" : `status ${code}${text(ended) ? ", " + text(ended) : ""}`;
    const about = `${text(what)}\nprocess ${pid}, ${status}`;
    commands[row].pieces.push({ from, to, colour: code === 0 ? "command" : "failed", about, label: text(what) });
  }
  const all = [...commands.filter(Boolean), ...rows];
  for (const row of all) row.words = (row.name + "\n" + row.process + "\n" + row.pieces.map((p) => p.about).join("\n")).toLowerCase();
  let shown = all, wanted = "", from = 0, to = end;

  const legend = [["runs", "runs"], ["lock", "waits for a lock"], ["waits", "waits for something else"], ["child", "waits for a command"],
    ["sleep", "sleeps"], ["command", "command"], ["failed", "failed command"]];
  document.getElementById("legend").append(...legend.map(([colour, name]) => {
    const span = document.createElement("span"), mark = document.createElement("i");
    mark.style.background = `var(--${colour})`;
    span.append(mark, name);
    return span;
  }));

  const x = (t, width) => NAMES + (t - from) / (to - from) * (width - NAMES);
  const fit = (context, words, width) => {
    if (context.measureText(words).width <= width) return words;
    let n = Math.floor(words.length * width / context.measureText(words).width);
    while (n > 0 && context.measureText(words.slice(0, n) + "…").width > width) n--;
    return n > 0 ? words.slice(0, n) + "…" : "";
  };

  function draw() {
    view.style.height = Math.min(640, Math.max(innerHeight * 0.6, 200), AXIS + shown.length * ROW + 4) + "px";
    const width = view.clientWidth, height = view.clientHeight, scale = devicePixelRatio || 1;
    room.style.height = Math.max(0, AXIS + shown.length * ROW - height) + "px";
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
      canvas.style.height = height + "px";
    }
    const context = canvas.getContext("2d"), style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue("--" + name);
    const colours = Object.fromEntries(legend.map(([name]) => [name, colour(name)]));
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.fillStyle = colour("back");
    context.fillRect(0, 0, width, height);
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "middle";
    const first = Math.floor(view.scrollTop / ROW);
    for (let i = first; i < shown.length && (i - first) * ROW < height; i++) {
      const row = shown[i], y = AXIS + i * ROW - view.scrollTop;
      if (i % 2) { context.fillStyle = colour("band"); context.fillRect(0, y, width, ROW); }
      // What is narrower than a point is drawn once for each point.
      let drawn = -1;
      for (const piece of row.pieces) {
        if (piece.to < from || piece.from > to) continue;
        const left = Math.max(NAMES, x(piece.from, width)), right = Math.min(width, x(piece.to, width));
        if (right - left < 0.5 && Math.floor(left) === drawn) continue;
        if (right - left < 0.5) drawn = Math.floor(left);
        const hit = wanted && piece.about.toLowerCase().includes(wanted);
        context.globalAlpha = wanted && !hit ? 0.35 : 1;
        context.fillStyle = colours[piece.colour];
        context.fillRect(left, y + 3, Math.max(0.8, right - left), ROW - 6);
        if (piece.label && right - left > 40) {
          context.fillStyle = "#fff";
          context.fillText(fit(context, piece.label, right - left - 8), left + 4, y + ROW / 2 + 0.5);
        }
      }
      context.globalAlpha = 1;
      context.fillStyle = colour("back");
      if (i % 2) context.fillStyle = colour("band");
      context.fillRect(0, y, NAMES - 6, ROW);
      context.fillStyle = colour("fore");
      context.fillText(fit(context, row.name, NAMES - 18), 8, y + ROW / 2 + 0.5);
    }
    // Where something went wrong.
    context.fillStyle = colours.failed;
    for (const [at, , what] of data.incidents) {
      if (at < from || at > to || /^(starts process|process .* exit code 0$)/.test(text(what))) continue;
      context.fillRect(x(at, width), AXIS - 6, 1.5, 6);
    }
    axis(context, width, colour);
  }

  function axis(context, width, colour) {
    const raw = (to - from) / Math.max(2, (width - NAMES) / 110), power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= raw);
    context.fillStyle = colour("back");
    context.fillRect(0, 0, width, AXIS - 6);
    context.fillStyle = colour("soft");
    for (let t = Math.ceil(from / step) * step; t <= to; t += step) {
      const at = x(t, width);
      context.fillRect(at, 0, 1, AXIS - 7);
      const unit = step >= 1 ? [1, "s"] : step >= 1e-3 ? [1e3, "ms"] : [1e6, "µs"];
      context.fillText(`${+(t * unit[0]).toFixed(step * unit[0] >= 1 ? 0 : 1)} ${unit[1]}`, at + 4, 9);
    }
  }

  let queued = false;
  const redraw = () => { if (!queued) { queued = true; requestAnimationFrame(() => { queued = false; draw(); }); } };
  const show = (a, b) => {
    const span = Math.min(end, Math.max(b - a, 1e-6));
    from = Math.min(Math.max(0, a), end - span);
    to = from + span;
    redraw();
  };
  const zoom = (by, around) => show(around - (around - from) * by, around + (to - around) * by);
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [from + (event.clientX - box.left - NAMES) / (box.width - NAMES) * (to - from), event.clientY - box.top];
  };

  view.addEventListener("scroll", redraw);
  addEventListener("resize", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  canvas.addEventListener("wheel", (event) => {
    if (event.ctrlKey || event.metaKey) { event.preventDefault(); zoom(1.002 ** event.deltaY, at(event)[0]); }
    else if (event.deltaX) { event.preventDefault(); const by = event.deltaX / view.clientWidth * (to - from); show(from + by, to + by); }
  }, { passive: false });
  let grip = null;
  canvas.addEventListener("pointerdown", (event) => { grip = [at(event)[0], event.clientX, from, to]; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointerup", () => { grip = null; });
  canvas.addEventListener("dblclick", () => show(0, end));
  canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
  canvas.addEventListener("pointermove", (event) => {
    if (grip) {
      const by = (event.clientX - grip[1]) / (view.clientWidth - NAMES) * (grip[3] - grip[2]);
      return show(grip[2] - by, grip[3] - by);
    }
    const [t, y] = at(event), row = shown[Math.floor((y - AXIS + view.scrollTop) / ROW)];
    const slack = (to - from) / view.clientWidth;
    const piece = row && y > AXIS && row.pieces.findLast((p) => p.from - slack <= t && t <= p.to + slack);
    tip.hidden = !piece;
    if (!piece) return;
    tip.textContent = `${row.name}: ${time(piece.to - piece.from)}, from ${time(piece.from)}\n${piece.about}`;
    tip.style.left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8) + "px";
    tip.style.top = Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8) + "px";
  });
  canvas.addEventListener("keydown", (event) => {
    const by = (to - from) / 10, middle = (from + to) / 2;
    const does = { "+": () => zoom(0.8, middle), "=": () => zoom(0.8, middle), "-": () => zoom(1.25, middle),
      ArrowLeft: () => show(from - by, to - by), ArrowRight: () => show(from + by, to + by), "0": () => show(0, end) }[event.key];
    if (does) { event.preventDefault(); does(); }
  });
  document.getElementById("whole").addEventListener("click", () => show(0, end));
  search.addEventListener("input", () => {
    wanted = search.value.trim().toLowerCase();
    shown = wanted ? all.filter((row) => row.words.includes(wanted)) : all;
    redraw();
  });
  draw();
})();
