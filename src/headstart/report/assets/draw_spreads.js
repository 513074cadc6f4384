"use strict";
/* By group, by quartile, by segment; weights. */
function mark(api, shape, x, y, colour, hollow) {
  const size = 5;
  const style = hollow ? { fill: "transparent", stroke: colour, lineWidth: 2 } : { fill: colour };
  if (shape === "rect") return { type: "rect", shape: { x: x - size, y: y - size, width: 2 * size, height: 2 * size }, style };
  if (shape === "triangle") return { type: "polygon", shape: { points: [[x, y - size - 1], [x + size + 1, y + size], [x - size - 1, y + size]] }, style };
  if (shape === "diamond") return { type: "polygon", shape: { points: [[x, y - size - 2], [x + size + 1, y], [x, y + size + 2], [x - size - 1, y]] }, style };
  return { type: "circle", shape: { cx: x, cy: y, r: size }, style };
}

/* A series of points with intervals; `across` draws them along x, for categories on y. Data: [place, mean, lo, hi]. */
function points(name, data, colour, symbol, shift, across) {
  return {
    name, type: "custom", color: colour, data, encode: across ? { y: 0, x: [1, 2, 3] } : { x: 0, y: [1, 2, 3] }, z: 5,
    renderItem(parameters, api) {
      const place = api.value(0);
      const at = (value) => (across ? api.coord([value, place]) : api.coord([place, value]));
      const band = across ? api.size([0, 1])[1] : api.size([1, 0])[0];
      const middle = at(api.value(1));
      const [lo, hi] = [at(api.value(2)), at(api.value(3))];
      const move = shift ? shift * band : 0; // no band on a logarithmic axis
      const children = [];
      if (isFinite(api.value(2)) && isFinite(api.value(3))) {
        const line = across ? { x1: lo[0], y1: lo[1] + move, x2: hi[0], y2: hi[1] + move } : { x1: lo[0] + move, y1: lo[1], x2: hi[0] + move, y2: hi[1] };
        children.push({ type: "line", shape: line, style: { stroke: colour, lineWidth: 2 } });
      }
      const [x, y] = across ? [middle[0], middle[1] + move] : [middle[0] + move, middle[1]];
      if (symbol && isFinite(api.value(1))) children.push(mark(api, symbol, x, y, colour, symbol === "emptyCircle"));
      return { type: "group", children };
    },
  };
}

const legendOf = (theme, methods, picture) =>
  HS.legend(theme, { data: methods.map((name) => ({ name, icon: HS.symbol(name, methods).replace("emptyCircle", "circle") })), selected: HS.selected(methods, picture) });

HS.kinds.groups = {
  controls: ["metric"],
  again: true, // who is shown decides where the others stand
  panels: () => [{ title: "", height: 420 }],
  option(picture, index, theme, width) {
    const { methods, metrics } = picture.options;
    const metric = picture.state.metric;
    const rows = HS.rows(picture, "groups").filter((row) => row.metric === metric.metric);
    const groups = HS.distinct(rows.map((row) => row.group));
    const first = Object.fromEntries(rows.map((row) => [row.group, row]));
    const narrow = width < 560;
    const label = function (text) {
      const row = first[text];
      const called = row.group === groups[0] ? "least data" : row.group === groups[groups.length - 1] ? "most data" : "";
      const who = narrow ? `${HS.count(row.users)}` : `${HS.count(row.users)} users`;
      return `${called ? "{strong|" : ""}${row.group}${called ? "}" : ""}\n${who}\n${called ? `{strong|${called.replace(narrow ? " data" : "", "")}}` : ""}`;
    };
    const selected = HS.selected(methods, picture);
    const side = methods.filter((name) => selected[name]); // who stand side by side
    const step = Math.min(0.14, 0.72 / Math.max(side.length, 1));
    const known = rows.flatMap((row) => [row.lo, row.hi, row.mean]).filter((value) => value !== null);
    const [low, high] = [Math.min(...known), Math.max(...known)];
    const pad = (high - low || 0.1) * 0.06;
    return HS.base(theme, {
      ...HS.zoom(theme, ["yAxisIndex"]),
      grid: { left: 60, right: 14, top: 50, bottom: 84 },
      legend: legendOf(theme, methods, picture),
      xAxis: HS.axis(theme, narrow ? "group and its users" : "group, with its users", { type: "category", data: groups.map(String), nameGap: 62, splitLine: { show: true, lineStyle: { color: theme.line } }, axisLabel: { interval: 0, formatter: label, lineHeight: 16, rich: { strong: { fontWeight: "bold", color: theme.ink, fontSize: 12 } } } }),
      yAxis: HS.axis(theme, `${metric.name} (${metric.higher ? "higher" : "lower"} is better)`, { type: "value", nameGap: 44, min: low - pad, max: high + pad, axisLabel: { formatter: (value) => HS.number(value, 2), showMinLabel: false, showMaxLabel: false } }),
      tooltip: {
        trigger: "item",
        formatter: function ({ seriesName, data }) {
          const row = rows.find((one) => one.method === seriesName && one.group === groups[data[0]]);
          return HS.tip(`group ${row.group}: ${seriesName}`, [
            ["users", HS.count(row.users)], ["training events each", `${HS.count(row["fewest events"])} to ${HS.count(row["most events"])}`],
            [metric.name, HS.number(row.mean)], ["95 % interval", HS.span(row.lo, row.hi)],
            ...(row["difference from global"] === null ? [] : [["less global", HS.signed(row["difference from global"])], ["95 % interval", HS.span(row["difference lo"], row["difference hi"])]]),
          ]);
        },
      },
      series: methods.map((method) => points(method,
        rows.filter((row) => row.method === method && row.mean !== null).map((row) => [groups.indexOf(row.group), row.mean, row.lo, row.hi]),
        HS.colour(method, methods, theme), HS.symbol(method, methods), (side.indexOf(method) - (side.length - 1) / 2) * step, false)),
    });
  },
};

function box(theme, rows, names, values, colours, axis, format, more = {}) {
  return HS.base(theme, {
    ...HS.zoom(theme, ["xAxisIndex"], -14),
    grid: { left: more.left || 110, right: 18, top: 24, bottom: 46 },
    xAxis: HS.axis(theme, axis, { type: "value", scale: true, axisLabel: { formatter: HS.short } }),
    yAxis: HS.axis(theme, "", { type: "category", data: names, inverse: true, splitLine: { show: false }, axisLabel: { interval: 0, formatter: (text) => HS.cut(text, more.longest || 16), hideOverlap: false } }),
    tooltip: { formatter: ({ dataIndex }) => HS.tip(names[dataIndex], format(rows[dataIndex])) },
    series: [{
      type: "boxplot", boxWidth: [6, 18],
      data: rows.map((row, k) => ({ value: values(row), itemStyle: { color: `${colours(row, k)}44`, borderColor: colours(row, k), borderWidth: 1.6 } })),
      markLine: more.zero ? { silent: true, symbol: "none", label: { show: false }, lineStyle: { color: theme.even, type: "solid" }, data: [{ xAxis: 0 }] } : undefined,
    }],
  });
}

HS.kinds.boxes = {
  controls: ["quartile"],
  panels: (picture) => picture.options.metrics.map((one) => ({ title: one.name, height: 90 + 34 * HS.distinct(HS.rows(picture, "boxes").map((row) => row.method)).length })),
  option(picture, index, theme) {
    const metric = picture.options.metrics[index];
    const rows = HS.rows(picture, "boxes").filter((row) => row.metric === metric.metric && String(row.quartile) === picture.state.quartile);
    const methods = rows.map((row) => row.method);
    return box(theme, rows, methods, (row) => [row.min, row.q1, row.median, row.q3, row.max], (row) => HS.colour(row.method, methods, theme),
      `${metric.name} of a user (${metric.higher ? "higher" : "lower"} is better)`,
      (row) => [["least", HS.number(row.min)], ["quartile 1", HS.number(row.q1)], ["median", HS.number(row.median)], ["quartile 3", HS.number(row.q3)], ["most", HS.number(row.max)], ["users", HS.count(row.users)]]);
  },
};

HS.kinds.learned = {
  controls: ["method", "user"],
  panels: (picture) => [
    { title: picture.options.gains ? "Gain of users' own trees by feature" : "Moves of coefficients over users", height: 480 },
    { title: picture.options.gains ? "One user: shared and own trees" : "One user, before and after", height: 480 },
  ],
  method: (picture) => (picture.options.methods.includes(picture.chapter.method) ? picture.chapter.method : picture.options.methods[0]),
  option(picture, index, theme, width) {
    const method = HS.kinds.learned.method(picture);
    const left = Math.min(190, Math.max(110, width * 0.36));
    const longest = Math.floor(left / 7.2);
    if (index === 0) {
      const rows = HS.rows(picture, "moves").filter((row) => row.method === method);
      return box(theme, rows, rows.map((row) => row.feature), (row) => [row.p5, row.p25, row.p50, row.p75, row.p95], () => HS.colour(method, picture.options.methods, theme),
        picture.options.gains ? "share of the gain of own trees" : "coefficient less the global one",
        (row) => [["global", HS.short(row.global)], ["mean move", HS.short(row["mean move"])], ["5 %", HS.short(row.p5)], ["25 %", HS.short(row.p25)], ["median", HS.short(row.p50)], ["75 %", HS.short(row.p75)], ["95 %", HS.short(row.p95)]],
        { left, longest, zero: true });
    }
    const rows = HS.rows(picture, "users").filter((row) => row.method === method && row.user === picture.state.user);
    const [before, after] = picture.options.gains ? ["shared trees", "own trees"] : ["before (global)", "after (personal)"];
    const bar = (name, key, colour) => ({ name, type: "bar", barGap: "0%", barMaxWidth: 16, itemStyle: { color: colour }, data: rows.map((row) => row[key]) });
    return HS.base(theme, {
      grid: { left, right: 18, top: 34, bottom: 46 },
      legend: HS.legend(theme),
      xAxis: HS.axis(theme, picture.options.gains ? "share of gain" : "coefficient", { type: "value", axisLabel: { formatter: HS.short } }),
      yAxis: HS.axis(theme, "", { type: "category", inverse: true, data: rows.map((row) => row.feature), splitLine: { show: false }, axisLabel: { interval: 0, formatter: (text) => HS.cut(text, longest), hideOverlap: false } }),
      tooltip: { trigger: "axis", axisPointer: { type: "shadow" }, formatter: (shown) => { const row = rows[shown[0].dataIndex]; return HS.tip(row.feature, [[before, HS.short(row.global)], [after, HS.short(row.personal)], ["difference", HS.signed(row.personal - row.global)]]); } },
      series: [bar(before, "global", theme.even), bar(after, "personal", HS.colour(method, picture.options.methods, theme))],
    });
  },
};

HS.kinds.segments = {
  controls: ["method", "column"],
  panels: (picture) => {
    const rows = HS.rows(picture, "segments").filter((row) => row.column === picture.state.column);
    return [{ title: "", height: 110 + 26 * HS.distinct(rows.map((row) => row.segment)).length }];
  },
  option(picture, index, theme, width) {
    const { methods, reference, error } = picture.options;
    const method = picture.chapter.method;
    const rows = HS.rows(picture, "segments").filter((row) => row.column === picture.state.column);
    const names = HS.distinct(rows.map((row) => row.segment));
    const of = (name) => names.map((segment) => rows.find((row) => row.segment === segment && row.method === name));
    const [base, own] = [of(reference), of(method)];
    const left = Math.min(180, Math.max(96, width * 0.26));
    const right = Math.max(70, width * 0.22);
    const category = (more) => HS.axis(theme, "", { type: "category", inverse: true, data: names, splitLine: { show: false }, ...more });
    const label = { interval: 0, formatter: (text) => HS.cut(text, Math.floor(left / 7.2)), hideOverlap: false };
    return HS.base(theme, {
      legend: HS.legend(theme, { data: [reference, method] }),
      grid: [{ left, right: right + 50, top: 36, bottom: 48 }, { left: width - right - 12, width: right, top: 36, bottom: 48 }],
      xAxis: [
        HS.axis(theme, `${error} (lower is better)`, { type: "value", scale: true, axisLabel: { formatter: HS.short } }),
        HS.axis(theme, "share", { type: "value", gridIndex: 1, axisLabel: { formatter: (value) => `${HS.short(100 * value)} %` }, splitNumber: 2 }),
      ],
      yAxis: [category({ axisLabel: label }), category({ gridIndex: 1, axisLabel: { show: false } })],
      tooltip: {
        trigger: "axis", axisPointer: { type: "shadow" },
        formatter: function (shown) {
          const k = shown[0].dataIndex;
          return HS.tip(names[k], [["test events", HS.count(base[k]["test events"])], ["share", HS.percent(base[k].share)], [`${error}, ${reference}`, HS.number(base[k][error])], [`${error}, ${method}`, HS.number(own[k][error])], ["difference", HS.signed(own[k]["difference from global"])], ["95 % interval", HS.span(own[k]["difference lo"], own[k]["difference hi"])]]);
        },
      },
      series: [
        {
          name: "from one to the other", type: "custom", silent: true, z: 1, data: base.map((row, k) => [k, row[error], own[k][error]]), encode: { y: 0, x: [1, 2] },
          renderItem(parameters, api) {
            const [from, to] = [api.coord([api.value(1), api.value(0)]), api.coord([api.value(2), api.value(0)])];
            return { type: "line", shape: { x1: from[0], y1: from[1], x2: to[0], y2: to[1] }, style: { stroke: theme.even, lineWidth: 1.5, opacity: 0.7 } };
          },
        },
        { name: reference, type: "scatter", symbol: "circle", symbolSize: 10, color: theme.even, itemStyle: { color: theme.card, borderColor: theme.even, borderWidth: 2 }, data: base.map((row, k) => [row[error], k]) },
        { name: method, type: "scatter", symbol: "circle", symbolSize: 10, color: HS.colour(method, methods, theme), data: own.map((row, k) => [row[error], k]) },
        { name: "share of test events", type: "bar", xAxisIndex: 1, yAxisIndex: 1, color: theme.even, barWidth: 10, data: base.map((row) => row.share) },
      ],
    });
  },
};
