"use strict";
// The charts of a report: each is an SVG drawn from the data in #run. All share
// one time axis, one cursor and one zoom; colours come from the style sheet.
(() => {
  const run = JSON.parse(document.getElementById("run").textContent);
  const times = run.start_s.map((start, i) => start + run.length_s[i] / 2);
  const whole = times.length ? [run.start_s[0], run.start_s.at(-1) + run.length_s.at(-1)] : [0, 1];
  const view = { range: whole, latency: "intended", log: false, cursor: null };
  const HEIGHT = 190, LEFT = 46, RIGHT = 10, TOP = 16, BOTTOM = 20, HEAT_LEVELS = 10;

  const line = (name, color, values, dash) => ({ name, color, values, dash });
  const shades = ["c-sent-3", "c-sent-2", "c-sent"];
  const percentiles = () => ["p50", "p95", "p99"].map((p, i) => line(p, shades[i], run[view.latency + "_ms"][p]));
  const charts = [
    { title: run.open ? "Arrivals" : "Iterations", unit: "per second", size: "half", lines: () => [
      ...(run.open ? [line("planned", "c-plan", run.planned, true)] : []),
      line("started", "c-sent", run.started), line("dropped", "c-bad", run.dropped)] },
    { title: "Requests", unit: "per second", size: "half", lines: () => [
      line("sent", "c-sent", run.requests), line("answered", "c-good", run.responses), line("failed", "c-bad", run.errors)] },
    { title: "Latency", unit: "ms", size: "full", latency: true, lines: percentiles },
    { title: "Latency heat map", unit: "ms, stronger is more answers", size: "full", latency: true, heat: true },
    { title: "Users", unit: "at once", size: "half", lines: () => [
      ...(run.open ? [] : [line("planned", "c-plan", run.planned, true)]), line("active", "c-sent", run.users)] },
    { title: "Errors and error statuses", unit: "per second", size: "half", stack: true, lines: () =>
      run.codes.map((code, i) => line(code.name, "c-e" + (i + 1), code.values)) },
    { title: "Generator: processor", unit: "% of what it had", size: "third", top: 100, lines: () => [
      line("all shards", "c-sent-2", run.cpu_percent), line("busiest shard", "c-sent", run.busiest_percent)] },
    { title: "Generator: punctuality", unit: "ms, p99", size: "third", lines: () => [
      line("late starts", "c-warn", run.late_ms), line("loop lag", "c-sent", run.lag_ms)] },
    { title: "Generator: memory", unit: "MiB", size: "third", lines: () => [line("resident", "c-sent", run.memory_mib)],
      aside: () => [line("open sockets", null, run.sockets)] },
  ];

  const make = (tag, className, text) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const svg = (parent, tag, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    return parent.appendChild(element);
  };
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const shown = (value) => {
    if (value === null || value === undefined) return "–";
    const size = Math.abs(value);
    if (size >= 10000) return Math.round(value).toLocaleString("en");
    return String(size >= 100 ? Math.round(value) : size >= 10 ? +value.toFixed(1) : +value.toFixed(size >= 1 ? 2 : 3));
  };
  const clock = (seconds) => {
    const s = Math.round(seconds * 10) / 10, pad = (n) => String(n).padStart(2, "0");
    if (s < 60) return s + " s";
    const minutes = Math.floor(s / 60), rest = pad(Math.floor(s % 60));
    return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${pad(minutes % 60)}:${rest}`;
  };
  const nice = (rough) => {
    const power = 10 ** Math.floor(Math.log10(rough)), lead = rough / power;
    return power * (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 5 ? 5 : 10);
  };
  const linearScale = (top) => {
    const step = nice((top || 1) / 4), end = Math.max(step, Math.ceil((top || 1) / step - 1e-9) * step), ticks = [];
    for (let tick = 0; tick <= end * 1.0001; tick += step) ticks.push(tick);
    return { ticks, place: (value) => value / end };
  };
  const logScale = (low, high) => {
    const from = Math.log10(low), to = Math.max(Math.log10(high), from + 0.3), ticks = [];
    const leads = to - from > 2.5 ? [1] : [1, 2, 5];
    for (let power = Math.floor(from); power <= to; power++)
      for (const lead of leads) {
        const tick = lead * 10 ** power, at = (Math.log10(tick) - from) / (to - from);
        if (at >= 0 && at <= 1) ticks.push(tick);
      }
    return { ticks, place: (value) => value > 0 ? (Math.log10(value) - from) / (to - from) : 0 };
  };
  const timeTicks = ([from, to], width) => {
    const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];
    const step = steps.find((s) => (to - from) / s <= Math.max(2, width / 80)) || 86400, ticks = [];
    for (let tick = Math.ceil(from / step - 1e-9) * step; tick <= to + 1e-9; tick += step) ticks.push(tick);
    return ticks;
  };
  const inView = (i) => times[i] >= view.range[0] && times[i] <= view.range[1];
  const visible = () => times.map((_, i) => i).filter(inView);

  const scaleOf = (chart, lines) => {
    if (chart.heat) return logScale(run.heat.low_ms, run.heat.high_ms);
    const seen = visible();
    const sums = chart.stack ? [seen.map((i) => lines.reduce((sum, l) => sum + (l.values[i] || 0), 0))] : lines.map((l) => seen.map((i) => l.values[i] || 0));
    const values = sums.flat(), top = values.reduce((a, b) => Math.max(a, b), 0);
    const low = values.reduce((a, b) => b > 0 ? Math.min(a, b) : a, Infinity);
    if (chart.latency && view.log && low < Infinity) return logScale(low * 0.9, top * 1.1);
    return linearScale(chart.top && top > chart.top / 2 ? Math.max(top, chart.top) : top);
  };
  const geometry = (chart) => {
    const width = Math.max(chart.svg.clientWidth || 600, 200), inner = width - LEFT - RIGHT, [from, to] = view.range;
    return { width, bottom: HEIGHT - BOTTOM,
      x: (time) => LEFT + (time - from) / (to - from) * inner,
      time: (x) => from + clamp((x - LEFT) / inner, 0, 1) * (to - from),
      y: (share) => HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP) };
  };
  const drawFrame = (chart, g, scale) => {
    for (const s of run.saturations) {
      const from = clamp(s.start_s, ...view.range), to = clamp(s.end_s, ...view.range);
      if (to > from) svg(svg(chart.svg, "rect", { class: "shade", x: g.x(from), y: TOP, width: g.x(to) - g.x(from), height: g.bottom - TOP }), "title", {}, s.text);
    }
    for (const epoch of run.epochs) {
      const at = epoch.at_s, x = g.x(at);
      if (at > view.range[0] && at < view.range[1])
        svg(svg(chart.svg, "line", { class: "epoch", x1: x, x2: x, y1: TOP, y2: g.bottom }), "title", {}, epoch.text);
    }
    for (const tick of scale.ticks) {
      const y = g.y(scale.place(tick));
      svg(chart.svg, "line", { class: "grid", x1: LEFT, x2: g.width - RIGHT, y1: y, y2: y });
      svg(chart.svg, "text", { class: "tick", x: LEFT - 6, y: y + 4, "text-anchor": "end" }, shown(+tick.toPrecision(6)));
    }
    svg(chart.svg, "line", { class: "axis", x1: LEFT, x2: g.width - RIGHT, y1: g.bottom, y2: g.bottom });
    for (const tick of timeTicks(view.range, g.width))
      svg(chart.svg, "text", { class: "tick", x: clamp(g.x(tick), LEFT + 8, g.width - 16), y: HEIGHT - 5, "text-anchor": "middle" }, clock(tick));
  };
  const drawStages = (chart, g) => {
    let free = LEFT;
    for (const stage of run.stages) {
      const from = clamp(stage.start_s, ...view.range), to = clamp(stage.end_s, ...view.range), x = g.x(from);
      if (to <= from) continue;
      if (stage.start_s > view.range[0]) svg(chart.svg, "line", { class: "stage", x1: x, x2: x, y1: TOP - 10, y2: g.bottom });
      const room = Math.floor((g.x(to) - x - 8) / 6.2), name = stage.name;
      if (room < Math.min(name.length, 8) || x < free) continue;
      svg(chart.svg, "text", { class: "mark", x: x + 4, y: TOP - 5 }, name.length > room ? name.slice(0, room - 1) + "…" : name);
      free = x + Math.min(name.length, room) * 6.2;
    }
  };
  const drawLines = (chart, g, scale, lines) => {
    for (const l of lines) {
      let path = "", pen = false;
      times.forEach((time, i) => {
        const value = l.values[i], near = inView(i) || inView(i - 1) || inView(i + 1);
        if (value === null || value === undefined || !near) { pen = false; return; }
        const lone = !pen && (l.values[i + 1] === null || i + 1 === times.length);
        path += `${pen ? "L" : "M"}${g.x(time).toFixed(1)} ${g.y(scale.place(value)).toFixed(1)}${lone ? "h1.5" : ""}`;
        pen = true;
      });
      svg(chart.plot, "path", { class: `curve ${l.color}${l.dash ? " dash" : ""}`, d: path });
    }
  };
  const cell = (g, i, y, height) => {
    const from = g.x(run.start_s[i]), to = g.x(run.start_s[i] + run.length_s[i]), gap = to - from > 5 ? 1 : 0;
    return `M${from.toFixed(1)} ${y.toFixed(1)}h${(to - from - gap).toFixed(1)}v${height.toFixed(1)}H${from.toFixed(1)}z`;
  };
  const drawStack = (chart, g, scale, lines) => {
    const base = times.map(() => 0);
    for (const l of lines) {
      let path = "";
      for (const i of visible()) {
        if (!l.values[i]) continue;
        const top = g.y(scale.place(base[i] + l.values[i]));
        path += cell(g, i, top, g.y(scale.place(base[i])) - top);
        base[i] += l.values[i];
      }
      svg(chart.plot, "path", { class: `bars ${l.color}`, d: path });
    }
  };
  const drawHeat = (chart, g) => {
    const columns = run.heat[view.latency], rows = run.heat.rows, paths = Array(HEAT_LEVELS + 1).fill("");
    const height = (g.bottom - TOP) / rows, rate = (n, i) => n / run.length_s[i];
    let most = 0;
    columns.forEach((column, i) => { for (let k = 1; k < column.length; k += 2) most = Math.max(most, rate(column[k], i)); });
    for (const i of visible())
      for (let k = 0; k < columns[i].length; k += 2) {
        const level = clamp(Math.ceil(Math.sqrt(rate(columns[i][k + 1], i) / most) * HEAT_LEVELS), 1, HEAT_LEVELS);
        paths[level] += cell(g, i, g.bottom - (columns[i][k] + 1) * height, height);
      }
    paths.forEach((d, level) => { if (d) svg(chart.plot, "path", { class: "heat", d, "fill-opacity": (0.1 + 0.9 * level / HEAT_LEVELS).toFixed(2) }); });
  };
  const drawLegend = (chart, lines) => {
    chart.readouts = [];
    chart.legend.replaceChildren(...lines.map((l) => {
      const item = make("span"), value = make("b");
      // What is only read out has no line, and so no key to one.
      if (l.color) item.append(make("i", `${l.color}${l.dash ? " dash" : ""}${chart.stack ? " box" : ""}`));
      item.append(l.name, " ", value);
      chart.readouts.push([value, l.values]);
      return item;
    }));
    if (chart.heat) { chart.heatReadout = make("span"); chart.legend.append(chart.heatReadout); }
  };
  const draw = (chart) => {
    const lines = chart.heat ? [] : chart.lines(), g = geometry(chart), scale = scaleOf(chart, lines);
    chart.svg.setAttribute("viewBox", `0 0 ${g.width} ${HEIGHT}`);
    chart.svg.setAttribute("height", HEIGHT);
    chart.svg.replaceChildren();
    chart.note.textContent = chart.latency ? `${chart.unit}, ${view.latency === "service" ? "service time" : "from intended start"}` : chart.unit;
    drawFrame(chart, g, scale);
    const inner = g.width - LEFT - RIGHT;
    chart.plot = svg(chart.svg, "svg", { x: LEFT, y: 0, width: inner, height: HEIGHT, viewBox: `${LEFT} 0 ${inner} ${HEIGHT}` });
    if (chart.heat) drawHeat(chart, g);
    else if (chart.stack) drawStack(chart, g, scale, lines);
    else drawLines(chart, g, scale, lines);
    drawStages(chart, g);
    drawLegend(chart, [...lines, ...(chart.aside ? chart.aside() : [])]);
    chart.pen = svg(chart.svg, "line", { class: "cursor", x1: -9, x2: -9, y1: TOP, y2: g.bottom });
    chart.selection = svg(chart.svg, "rect", { class: "select", x: 0, y: TOP, width: 0, height: g.bottom - TOP });
  };
  const readHeat = (chart, i, share) => {
    const { low_ms, high_ms, rows } = run.heat, row = Math.floor(clamp(share, 0, 0.9999) * rows);
    const edge = (k) => low_ms * (high_ms / low_ms) ** (k / rows), column = run.heat[view.latency][i];
    let count = 0;
    for (let k = 0; k < column.length; k += 2) if (column[k] === row) count = column[k + 1];
    return `${shown(edge(row))} to ${shown(edge(row + 1))} ms: ${shown(count / run.length_s[i])} per second`;
  };
  const point = (index, source, share) => {
    view.cursor = index;
    for (const chart of charts) {
      const x = index === null ? -9 : geometry(chart).x(times[index]);
      chart.pen.setAttribute("x1", x); chart.pen.setAttribute("x2", x);
      for (const [readout, values] of chart.readouts) readout.textContent = index === null ? "" : shown(values[index]);
      if (chart.heat) chart.heatReadout.textContent = index === null || chart !== source ? "" : readHeat(chart, index, share);
    }
    document.getElementById("at").textContent = index === null ? run.hint : `at ${clock(run.start_s[index])}`;
  };
  const nearest = (time) => times.reduce((best, t, i) => Math.abs(t - time) < Math.abs(times[best] - time) ? i : best, 0);
  const redraw = () => { charts.forEach(draw); point(null); document.getElementById("whole").hidden = view.range === whole; };
  const zoom = (range) => { view.range = range; redraw(); };
  const listen = (chart) => {
    let from = null;
    const place = (event) => (event.clientX - chart.svg.getBoundingClientRect().left) * geometry(chart).width / chart.svg.getBoundingClientRect().width;
    chart.svg.addEventListener("pointermove", (event) => {
      if (!times.length) return;
      const g = geometry(chart), x = place(event), y = event.clientY - chart.svg.getBoundingClientRect().top;
      point(nearest(g.time(x)), chart, (g.bottom - y) / (g.bottom - TOP));
      if (from === null) return;
      chart.selection.setAttribute("x", Math.min(from, x));
      chart.selection.setAttribute("width", Math.abs(x - from));
    });
    chart.svg.addEventListener("pointerdown", (event) => { from = place(event); if (event.isPrimary) chart.svg.setPointerCapture(event.pointerId); });
    chart.svg.addEventListener("pointerup", (event) => {
      const g = geometry(chart), x = place(event), start = from;
      from = null;
      const range = [g.time(Math.min(start, x)), g.time(Math.max(start, x))];
      if (Math.abs(x - start) > 8 && times.filter((t) => t >= range[0] && t <= range[1]).length > 1) zoom(range);
      else redraw();
    });
    chart.svg.addEventListener("pointerleave", () => { if (from === null) point(null); });
    chart.svg.addEventListener("dblclick", () => zoom(whole));
  };
  const build = () => {
    const place = document.getElementById("charts");
    for (const chart of charts) {
      const panel = make("figure", `panel chart ${chart.size}`), header = make("header"), heading = make("h3", "", chart.title + " ");
      chart.note = make("span"); chart.legend = make("div", "legend");
      chart.svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      chart.svg.setAttribute("role", "img"); chart.svg.setAttribute("aria-label", `${chart.title}, ${chart.unit}, over the time of the run`);
      heading.append(chart.note); header.append(heading, chart.legend); panel.append(header, chart.svg); place.append(panel);
      listen(chart);
    }
    let width = 0;
    const fit = () => { if (place.clientWidth !== width) { width = place.clientWidth; redraw(); } };
    new ResizeObserver(() => requestAnimationFrame(fit)).observe(place);
    fit();
  };
  const listenControls = () => {
    for (const button of document.querySelectorAll("[data-latency]"))
      button.addEventListener("click", () => {
        view.latency = button.dataset.latency;
        for (const other of document.querySelectorAll("[data-latency]")) other.setAttribute("aria-pressed", other === button);
        redraw();
      });
    const log = document.getElementById("log");
    log.addEventListener("click", () => { view.log = !view.log; log.setAttribute("aria-pressed", view.log); redraw(); });
    document.getElementById("whole").addEventListener("click", () => zoom(whole));
    document.addEventListener("keydown", (event) => { if (event.key === "Escape") zoom(whole); });
  };
  const sortable = (table) => {
    const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
    heads.forEach((head, column) => {
      const button = make("button", "", head.textContent);
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") !== "descending", key = (row) => row.cells[column].dataset.v ?? row.cells[column].textContent;
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const compare = (a, b) => isNaN(key(a)) || isNaN(key(b)) ? key(a).localeCompare(key(b)) : key(a) - key(b);
        const rows = [...table.tBodies[0].rows].sort((a, b) => down ? -compare(a, b) : compare(a, b));
        table.tBodies[0].append(...rows);
      });
    });
  };
  document.querySelectorAll("table.sortable").forEach(sortable);
  build();
  listenControls();
})();
