"use strict";
/* Puts the report together: chapters, each with its first screen, pictures with their controls, and tables. */
(function () {
  const report = HS.data;
  const began = performance.now();
  const charts = [];
  const { chapters } = report;
  const pictures = chapters.flatMap((chapter) => chapter.pictures);
  for (const chapter of chapters) {
    chapter.method = chapter.chosen;
    chapter.pictures.forEach((picture) => { picture.chapter = chapter; });
  }

  /* Under a heading of its own a chapter's parts are one level lower, and their ids begin with the chapter's. */
  const heading = (chapter, level, attributes, text) => HS.make(`h${level + (chapter.id ? 1 : 0)}`, attributes, text);
  const id = (chapter, name) => (chapter.id ? `${chapter.id}-${name}` : name);

  function tile(one) {
    const parts = [HS.make("dt", {}, one.label), HS.make("dd", { class: `value ${one.verdict || ""}` }, one.value)];
    if (one.bar) {
      const names = one.parts || ["helped", "alike", "harmed"];
      const kinds = ["helped", "alike", "harmed"].map((kind, k) => HS.make("span", { class: kind, style: `flex:${one.bar[k]}` }));
      const said = names.map((name, k) => `${HS.percent(one.bar[k])} ${name}`).join(", ");
      parts.push(HS.make("dd", {}, HS.make("div", { class: "bar", role: "img", "aria-label": said }, kinds)));
    }
    return HS.make("div", { class: "tile" }, parts, HS.make("dd", { class: "note" }, one.note));
  }

  function first(chapter) {
    const headline = chapter.headlines[chapter.method] || (chapter.methods.length ? null : chapter.said);
    const named = chapter.methods.length > 0;
    const text = headline ? `${chapter.method} against the global model` : "The global model alone";
    chapter.first.replaceChildren(
      ...(named ? [heading(chapter, 2, { id: id(chapter, "first-title") }, text)] : []),
      ...(headline && headline.sentence ? [HS.make("p", { class: "sentence", "aria-live": "polite" }, headline.sentence)] : []),
      ...(headline && headline.tiles && headline.tiles.length ? [HS.make("dl", { class: "tiles" }, headline.tiles.map(tile))] : []),
    );
    chapter.first.setAttribute("aria-labelledby", named || !chapter.id ? id(chapter, "first-title") : `${chapter.id}-title`);
    chapter.first.hidden = !chapter.first.children.length;
  }

  /* The controls of a picture, and what each may be set to. */
  const settable = {
    method(picture) {
      return { label: "Method", options: picture.options.methods.filter((name) => name !== "global").map((name) => [name, name]), value: picture.chapter.method, change: (name) => choose(picture.chapter, name) };
    },
    metric(picture) {
      picture.state.metric = picture.options.metrics.find((one) => one.metric === picture.options.metric) || picture.options.metrics[0];
      return { label: "Metric", options: picture.options.metrics.map((one) => [one.metric, one.name]), value: picture.state.metric.metric, change: (value) => { picture.state.metric = picture.options.metrics.find((one) => one.metric === value); draw(picture); } };
    },
    quartile(picture) {
      picture.state.quartile = "0";
      return { label: "Users", options: picture.options.quartiles.map(([number, users]) => [String(number), number === 0 ? `all (${HS.count(users)})` : `quartile ${number} of data (${HS.count(users)})`]), value: "0", change: (value) => { picture.state.quartile = value; draw(picture); } };
    },
    column(picture) {
      picture.state.column = picture.options.columns[0].name;
      return { label: "Segments by", options: picture.options.columns.map((one) => [one.name, one.overlap ? `${one.name} (overlapping)` : one.name]), value: picture.state.column, change: (value) => { picture.state.column = value; draw(picture); } };
    },
    bands(picture) {
      picture.state.bands = picture.state.bands || "few";
      const { few } = HS.kinds[picture.kind].bands(picture);
      const known = picture.frames[0].rows.some((row) => row[4] !== null);
      return { label: "95 % intervals of", options: known ? [["few", few.join(" and ")], ["all", "all"], ["none", "none"]] : [], value: picture.state.bands, change: (value) => { picture.state.bands = value; draw(picture); } };
    },
    user(picture) {
      const method = HS.kinds.learned.method(picture);
      const users = HS.rows(picture, "users").filter((row) => row.method === method);
      const known = Object.fromEntries(users.map((row) => [row.user, row]));
      if (!known[picture.state.user]) picture.state.user = Object.keys(known)[0];
      return { label: "User", options: Object.values(known).map((row) => [row.user, `${row.user} (${HS.count(row["training events"])} events, t_u ${HS.count(row.t_u)})`]), value: picture.state.user, change: (value) => { picture.state.user = value; draw(picture); } };
    },
  };

  function controls(picture) {
    const asked = HS.kinds[picture.kind].controls.map((name) => settable[name](picture)).filter((one) => one.options.length > 1);
    picture.controls.replaceChildren(...asked.map((one) => HS.select(one.label, one.options, one.value, one.change)));
  }

  function choose(chapter, method) {
    const { activeElement } = document; // lists are made anew: the one that was used keeps the focus
    const around = activeElement && activeElement.closest(".controls");
    const place = around ? [...around.querySelectorAll("select")].indexOf(activeElement) : -1;
    chapter.method = method;
    header();
    bar(chapter);
    first(chapter);
    chapter.pictures.forEach((picture) => { controls(picture); if (picture.drawn) { numbers(picture); draw(picture); } });
    tables(chapter);
    if (place >= 0) around.querySelectorAll("select")[place]?.focus();
  }

  function numbers(picture) {
    const { chapter } = picture;
    const shown = picture.tables.filter((table) => !table.method || table.method === chapter.method);
    picture.numbers.replaceChildren(HS.make("summary", {}, "Show the numbers"), ...shown.flatMap((table) => [heading(chapter, 3, {}, table.title), HS.table(table, chapter.method)]));
    picture.numbers.hidden = !shown.length;
  }

  const says = (picture) => picture.says[picture.chapter.method] || picture.says[""] || Object.values(picture.says)[0] || "";

  /* Room for a picture before it is drawn, so that nothing jumps when it is. */
  function reserve(picture) {
    const panels = HS.kinds[picture.kind].panels(picture);
    const rows = innerWidth > 720 ? Math.ceil(panels.length / (HS.kinds[picture.kind].across || panels.length)) : panels.length;
    picture.panels.style.minHeight = `${rows * panels[0].height}px`;
  }

  function draw(picture) {
    if (!picture.drawn) numbers(picture);
    picture.drawn = true;
    picture.panels.style.minHeight = "";
    picture.words.textContent = says(picture);
    const kind = HS.kinds[picture.kind];
    const panels = kind.panels(picture);
    picture.keys.replaceChildren(...(kind.keys ? kind.keys(picture, HS.theme()).map((key) => legend(picture, key)) : []));
    picture.panels.style.setProperty("--across", kind.across || panels.length);
    while (picture.panels.children.length > panels.length) picture.panels.lastChild.remove();
    panels.forEach(function (panel, k) {
      let place = picture.panels.children[k];
      if (!place) {
        place = HS.make("div", { class: "panel" }, heading(picture.chapter, 3, {}, ""), HS.make("div", { class: "plot", role: "img" }));
        picture.panels.append(place);
      }
      const [title, plot] = place.children;
      title.textContent = panel.title;
      title.hidden = !panel.title;
      plot.setAttribute("aria-label", `${picture.title}${panel.title ? `: ${panel.title}` : ""}. ${says(picture)}`);
      plot.style.height = `${panel.square ? Math.min(panel.height, Math.max(300, plot.clientWidth)) : panel.height}px`;
      let chart = echarts.getInstanceByDom(plot);
      if (!chart) {
        chart = echarts.init(plot, null, { renderer: kind.canvas ? "canvas" : "svg" });
        charts.push({ chart, plot, picture });
        chart.on("legendselectchanged", ({ selected }) => { if (kind.again) { picture.state.selected = selected; draw(picture); } });
        watch.observe(plot);
      }
      chart.resize();
      chart.setOption(kind.option(picture, k, HS.theme(), plot.clientWidth), true);
    });
  }

  /* A chart lays itself out by its width, so a new width draws its picture anew. */
  const watch = new ResizeObserver(function (entries) {
    const moved = new Set();
    for (const { target } of entries) {
      const known = charts.find((one) => one.plot === target);
      if (known && known.chart.getWidth() !== target.clientWidth) moved.add(known.picture);
    }
    moved.forEach(draw);
  });

  /* A legend of its own above panels that share it: a button for each line, which hides or shows it in all of them. */
  function legend(picture, { name, drawing, shown }) {
    const toggle = function () {
      picture.state.hidden = HS.distinct([...(picture.state.hidden || []), name]).filter((one) => one !== name || shown);
      draw(picture);
      [...picture.keys.children].find((one) => one.dataset.name === name).focus();
    };
    return HS.make("button", { type: "button", class: "key", "aria-pressed": String(shown), "data-name": name, onclick: toggle }, drawing, HS.make("bdi", {}, name));
  }

  function figure(picture) {
    const { chapter } = picture;
    picture.state = {};
    picture.controls = HS.make("div", { class: "controls" });
    picture.keys = HS.make("div", { class: "keys", role: "group", "aria-label": `Lines of ${picture.title}` });
    picture.keys.hidden = !HS.kinds[picture.kind].keys;
    picture.panels = HS.make("div", { class: "panels" });
    picture.numbers = HS.make("details");
    picture.words = HS.make("figcaption", { class: "says" });
    const saves = picture.frames.map((frame) => HS.make("button", {
      type: "button", "aria-label": `Download CSV of ${picture.title}: ${frame.name}`,
      onclick: () => HS.download(`headstart-${picture.id}-${frame.name}`, HS.csv(frame.columns, frame.rows)),
    }, picture.frames.length > 1 ? `CSV: ${frame.name}` : "Download CSV"));
    const title = heading(chapter, 2, { id: `title-${picture.id}` }, picture.title);
    picture.element = HS.make("figure", { id: picture.id, "aria-labelledby": `title-${picture.id}` }, title, HS.make("p", { class: "aid" }, picture.aid),
      picture.controls, picture.keys, picture.panels, picture.words, HS.make("div", { class: "tools" }, saves), picture.numbers);
    controls(picture);
    picture.words.textContent = says(picture);
    reserve(picture);
    near.observe(picture.element);
    return picture.element;
  }

  /* Pictures are drawn when they come near the window, and the others one by one when there is nothing else to do. */
  const near = new IntersectionObserver((entries) => entries.forEach(function ({ isIntersecting, target }) {
    const picture = pictures.find((one) => one.element === target);
    if (isIntersecting && !picture.drawn) draw(picture);
  }), { rootMargin: "300px" });
  const later = window.requestIdleCallback || ((work) => setTimeout(work, 30));

  function rest() {
    const picture = pictures.find((one) => !one.drawn);
    if (!picture) {
      document.documentElement.dataset.complete = "yes";
      return;
    }
    draw(picture);
    later(rest);
  }

  function tables(chapter) {
    const show = (table) => HS.table(table, chapter.method);
    const long = (table) => HS.make("details", {}, HS.make("summary", {}, `Show ${HS.count(table.rows.length)} rows`), show(table));
    chapter.cards.replaceChildren(...chapter.tables.map((table) =>
      HS.make("div", { class: "card", id: table.id }, heading(chapter, 2, {}, table.title), table.rows.length > 40 ? long(table) : show(table))));
  }

  function paint(dark) {
    HS.dark = dark;
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    header();
    pictures.forEach((picture) => picture.drawn && draw(picture));
  }

  function selectOf(chapter) {
    const names = Object.keys(chapter.headlines);
    return names.length > 1 ? [HS.select("Method to look at", names.map((name) => [name, name]), chapter.method, (method) => choose(chapter, method))] : [];
  }

  /* The list of methods stands in the page's header where there is one chapter, else in the chapter's own. */
  function header() {
    const button = HS.make("button", { type: "button", id: "theme", "aria-pressed": String(HS.dark), onclick: () => { paint(!HS.dark); document.getElementById("theme").focus(); } }, HS.dark ? "Light" : "Dark");
    document.getElementById("controls").replaceChildren(...chapters.filter((one) => !one.id).flatMap(selectOf), button);
  }

  function bar(chapter) {
    if (chapter.bar) chapter.bar.replaceChildren(...selectOf(chapter));
  }

  function open(chapter) {
    chapter.first = HS.make("section", { id: id(chapter, "first") });
    chapter.cards = HS.make("section", { id: id(chapter, "tables"), "aria-label": "Tables" });
    const drawn = HS.make("section", { id: id(chapter, "pictures"), "aria-label": "Pictures" }, chapter.pictures.map(figure));
    const parts = [chapter.first, drawn, chapter.cards];
    chapter.element = document.getElementById("main");
    if (chapter.id) {
      chapter.bar = HS.make("div", { class: "controls" });
      const title = HS.make("h2", { id: `${chapter.id}-title` }, chapter.title);
      parts.unshift(title, HS.make("p", { class: "lead" }, chapter.lead), chapter.bar);
      chapter.element = HS.make("section", { id: chapter.id, class: "chapter", "aria-labelledby": `${chapter.id}-title` });
      document.getElementById("main").append(chapter.element);
    }
    chapter.element.append(...parts);
    bar(chapter);
    first(chapter);
    tables(chapter);
    drawn.hidden = !chapter.pictures.length;
    chapter.cards.hidden = !chapter.tables.length;
  }

  const link = ([target, text]) => HS.make("li", {}, HS.make("a", { href: `#${target}` }, text));
  const parts = (chapter) => [...chapter.pictures, ...chapter.tables].map((one) => [one.id, one.title]);

  /* One chapter: its parts. Several: the chapters, and in a second row the parts of the one in the window. */
  function contents() {
    const list = document.getElementById("contents");
    if (!chapters.some((one) => one.id)) return list.append(...[["first", "Summary"], ...parts(chapters[0])].map(link));
    document.documentElement.classList.add("several");
    const rows = chapters.map((chapter) => link([chapter.id, chapter.title]));
    list.append(...rows);
    const below = document.getElementById("parts");
    below.hidden = false;
    let current = -1;
    const turn = function (k) {
      rows.forEach((row, place) => row.firstChild[place === k ? "setAttribute" : "removeAttribute"]("aria-current", "true"));
      below.setAttribute("aria-label", `Parts of ${chapters[k].title}`);
      below.replaceChildren(...parts(chapters[k]).map(link));
      if (current >= 0) { // not at first: places can be asked for when all is laid out
        below.scrollLeft = 0;
        list.scrollLeft = rows[k].offsetLeft - list.offsetLeft - 16;
      }
      current = k;
    };
    const seen = new IntersectionObserver((entries) => entries.forEach(({ isIntersecting, target }) => {
      if (isIntersecting) turn(chapters.findIndex((one) => one.element === target));
    }), { rootMargin: "-20% 0px -79% 0px" });
    turn(0);
    return chapters.forEach((one) => seen.observe(one.element));
  }

  document.getElementById("title").textContent = report.title;
  document.getElementById("lead").textContent = report.lead;
  document.getElementById("foot").textContent = `Made by Headstart ${report.version}. Everything in this file is in it: it fetches nothing. Charts: Apache ECharts (Apache License 2.0).`;
  document.documentElement.dataset.theme = HS.dark ? "dark" : "light";
  header();
  chapters.forEach(open);
  contents();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => paint(event.matches));
  let before = null;
  addEventListener("beforeprint", () => { before = HS.dark; pictures.forEach((picture) => { if (!picture.drawn) numbers(picture); picture.drawn = true; }); paint(false); document.querySelectorAll("details").forEach((one) => { one.open = true; }); });
  addEventListener("afterprint", () => { if (before !== null) paint(before); });
  document.documentElement.dataset.drawn = String(Math.round(performance.now() - began));
  later(rest);
})();
