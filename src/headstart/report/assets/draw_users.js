"use strict";
/* Each user: the scatter, the heavy tail, the gains. A kind says its controls, its panels and the chart of each. */
HS.kinds.scatter = {
  controls: ["method"],
  panels: (picture) => picture.options.metrics.map((one) => ({ title: one.name, height: 430, square: true })),
  canvas: true,
  option(picture, index, theme) {
    const { methods, reference, better, metrics } = picture.options;
    const method = methods.includes(picture.chapter.method) ? picture.chapter.method : methods[0];
    const { metric, name, higher } = metrics[index];
    const frame = picture.frames[0];
    const [x, y] = [method, reference].map((one) => frame.columns.indexOf(`${name} ${one}`));
    const points = frame.rows.filter((row) => row[x] !== null && row[y] !== null).map((row) => [row[x], row[y], row[0], row[1], row[2]]);
    const values = points.flatMap((point) => [point[0], point[1]]);
    let [low, high] = values.length ? [Math.min(...values), Math.max(...values)] : [0, 1];
    const pad = (high - low || 1) * 0.04;
    [low, high] = [higher ? Math.max(low - pad, -0.02) : low - pad, higher ? Math.min(high + pad, 1.02) : high + pad];
    const groups = HS.distinct(points.map((point) => point[3])).sort((a, b) => a - b);
    const most = Math.max(...groups, 2);
    const shade = (group) => theme.groups[Math.min(Math.max(Math.round(((group - 1) / (most - 1)) * (theme.groups.length - 1)), 0), theme.groups.length - 1)];
    const counts = (better[method] || {})[metric] || { better: 0, worse: 0, alike: 0 };
    const total = counts.better + counts.worse + counts.alike || 1;
    const note = (place, share, who) => ({
      type: "text", ...place, silent: true, z: 20,
      style: { text: `${who} better: ${HS.percent(share / total)}`, fill: theme.ink, font: "600 12px system-ui, Arial", backgroundColor: theme.card, padding: 3, opacity: 0.95 },
    });
    const [above, below] = higher ? [[counts.worse, reference], [counts.better, method]] : [[counts.better, method], [counts.worse, reference]];
    return HS.base(theme, {
      ...HS.zoom(theme, ["xAxisIndex", "yAxisIndex"]),
      grid: { left: 58, right: 14, top: 52, bottom: 48 },
      legend: HS.legend(theme, { data: groups.map((group) => `group ${group}`), itemWidth: 10, itemGap: 7, formatter: (text) => (text === `group ${groups[0]}` ? text : text.replace("group ", "")) }),
      xAxis: HS.axis(theme, `${name}, ${HS.cut(method, 30)}`, { type: "value", min: low, max: high, axisLabel: { formatter: (value) => HS.short(Number(value.toFixed(2))), showMinLabel: false, showMaxLabel: false } }),
      yAxis: HS.axis(theme, `${name}, ${reference}`, { type: "value", min: low, max: high, nameGap: 40, axisLabel: { formatter: (value) => HS.short(Number(value.toFixed(2))), showMinLabel: false, showMaxLabel: false } }),
      graphic: [note({ left: 64, top: 56 }, ...above), note({ right: 20, bottom: 54 }, ...below)],
      tooltip: {
        formatter: ({ data }) => HS.tip(data[2], [["group", HS.count(data[3])], ["training events", HS.count(data[4])], [`${name}, ${method}`, HS.number(data[0])], [`${name}, ${reference}`, HS.number(data[1])]]),
      },
      series: [
        ...groups.map((group) => ({
          name: `group ${group}`, type: "scatter", symbolSize: points.length > 1500 ? 5 : 7,
          itemStyle: { color: shade(group), opacity: points.length > 1500 ? 0.6 : 0.75 }, data: points.filter((point) => point[3] === group),
        })),
        { name: "equal", type: "line", silent: true, symbol: "none", lineStyle: { color: theme.ink, width: 1.5 }, data: [[low, low], [high, high]], tooltip: { show: false }, z: 10 },
      ],
    });
  },
};

HS.kinds.tail = {
  controls: ["method"],
  panels: () => [
    { title: "Events per user", height: 320 }, { title: "Where users leave the path", height: 320 }, { title: "Users in each group", height: 320 },
  ],
  option(picture, index, theme) {
    return [tailCounts, tailLeaving, tailGroups][index](picture, theme);
  },
};

const whole = (value) => (value >= 1000 ? `${HS.short(value / 1000)}k` : HS.short(value));

function tailCounts(picture, theme) {
  const rows = HS.rows(picture, "events of users");
  return HS.base(theme, {
    ...HS.zoom(theme, ["xAxisIndex", "yAxisIndex"], -14),
    grid: { left: 52, right: 14, top: 26, bottom: 48 },
    xAxis: HS.axis(theme, "training events of a user", { type: "log", axisLabel: { formatter: whole } }),
    yAxis: HS.axis(theme, "users", { type: "log", nameGap: 36, axisLabel: { formatter: whole } }),
    tooltip: { formatter: ({ data }) => HS.tip(`${HS.count(data[0])} training events`, [["users", HS.count(data[1])]]) },
    series: [{
      type: "scatter", symbolSize: 6, itemStyle: { color: theme.methods[0], opacity: 0.7 },
      data: rows.map((row) => [row["training events"], row.users]),
      markLine: {
        silent: true, symbol: "none", label: { show: false }, lineStyle: { color: theme.even, type: "dashed" },
        data: picture.options.borders.map((border) => ({ xAxis: border })),
      },
    }],
  });
}

function tailLeaving(picture, theme) {
  const { methods, ticks } = picture.options;
  const method = methods.includes(picture.chapter.method) ? picture.chapter.method : methods[0];
  const rows = HS.rows(picture, "leaving").filter((row) => row.method === method);
  const most = Math.max(...rows.map((row) => row.users), 1);
  return HS.base(theme, {
    ...HS.zoom(theme, ["xAxisIndex", "yAxisIndex"], -14),
    grid: { left: 52, right: 14, top: 26, bottom: 48 },
    xAxis: HS.axis(theme, "training events of a user, log scale", { type: "log", axisLabel: { formatter: whole } }),
    yAxis: HS.axis(theme, "t_u, ticks", { type: "value", nameGap: 36, min: 0, max: ticks[method] }),
    tooltip: { formatter: ({ data }) => HS.tip(`${HS.count(data[0])} training events`, [["t_u", HS.count(data[1])], ["local steps and T", `T = ${HS.count(ticks[method])}`], ["users", HS.count(data[2])]]) },
    series: [{
      type: "scatter", symbolSize: (point) => 5 + 9 * Math.sqrt(point[2] / most), symbol: HS.symbol(method, methods),
      itemStyle: { color: HS.colour(method, methods, theme), opacity: 0.7 }, data: rows.map((row) => [row["training events"], row.t_u, row.users]),
    }],
  });
}

function tailGroups(picture, theme) {
  const rows = HS.rows(picture, "groups");
  return HS.base(theme, {
    grid: { left: 52, right: 14, top: 26, bottom: 48 },
    xAxis: HS.axis(theme, "group (1: least data)", { type: "category", data: rows.map((row) => String(row.group)), splitLine: { show: false } }),
    yAxis: HS.axis(theme, "users", { type: "value", nameGap: 40, axisLabel: { formatter: whole } }),
    tooltip: { formatter: ({ dataIndex }) => HS.tip(`group ${rows[dataIndex].group}`, [["users", HS.count(rows[dataIndex].users)], ["training events", HS.count(rows[dataIndex]["training events"])]]) },
    series: [{ type: "bar", itemStyle: { color: theme.methods[0] }, data: rows.map((row) => row.users), label: { show: rows.length <= 10, position: "top", color: theme.quiet, fontSize: 11, formatter: ({ value }) => whole(value) } }],
  });
}

HS.kinds.gains = {
  controls: ["method"],
  panels: () => [{ title: "", height: 340 }],
  option(picture, index, theme) {
    const { methods, loss, alike } = picture.options;
    const method = methods.includes(picture.chapter.method) ? picture.chapter.method : methods[0];
    const rows = HS.rows(picture, "gains");
    const last = rows.length - 1;
    // As many digits as tell neighbours apart.
    const digits = Math.min(Math.max(2, Math.ceil(-Math.log10(rows[last].to - rows[last].from))), 8);
    const label = (row) => HS.signed((row.from + row.to) / 2, digits);
    const edge = (value) => HS.signed(value, digits + 1);
    const between = (k) => (k === 0 ? `below ${edge(rows[0].to)}` : k === last ? `above ${edge(rows[last].from)}` : `${edge(rows[k].from)} to ${edge(rows[k].to)}`);
    const side = (name, colour, keep) => ({
      name, type: "bar", stack: "users", barCategoryGap: "6%", itemStyle: { color: colour },
      data: rows.map((row) => (keep(row) ? row[method] : null)),
    });
    return HS.base(theme, {
      ...HS.zoom(theme, ["xAxisIndex"], -14),
      grid: { left: 56, right: 14, top: 40, bottom: 48 },
      legend: HS.legend(theme, { left: 50 }),
      xAxis: HS.axis(theme, `gain of a user in ${loss}`, { type: "category", data: rows.map(label), splitLine: { show: false }, axisLabel: { interval: "auto" } }),
      yAxis: HS.axis(theme, "users", { type: "value", nameGap: 40 }),
      tooltip: {
        trigger: "axis", axisPointer: { type: "shadow" },
        formatter: (shown) => { const k = shown[0].dataIndex; return HS.tip(`gain ${between(k)}`, [["users", HS.count(rows[k][method])], ["alike, not drawn", HS.count(alike[method])]]); },
      },
      series: [side("harmed", theme.bad, (row) => row.to <= 0), side("helped", theme.good, (row) => row.from >= 0)],
    });
  },
};
