"use strict";
/* Lines over T or over shares of the training data; the table of trees. */
HS.dashes = ["solid", "dashed", "dotted"];

/* What a line looks like: colour and symbol of its method, dashes of its family. */
function lookOf(picture, line, theme) {
  const methods = HS.distinct(picture.options.lines.map((one) => one.method));
  const symbol = HS.symbol(line.method, methods);
  return { colour: HS.colour(line.method, methods, theme), symbol, dash: HS.dashes[line.dash % HS.dashes.length] };
}

/* The same in small, for the legend. */
function sample({ colour, symbol, dash }, theme) {
  const shapes = [["line", { x1: 1, y1: 7, x2: 33, y2: 7, stroke: colour, "stroke-width": 2, ...(dash === "solid" ? {} : { "stroke-dasharray": dash === "dashed" ? "5 3" : "2 2" }) }]];
  if (symbol === "emptyCircle") shapes.push(["circle", { cx: 17, cy: 7, r: 4, fill: theme.card, stroke: colour, "stroke-width": 2 }]);
  else if (symbol === "rect") shapes.push(["rect", { x: 13, y: 3, width: 8, height: 8, fill: colour }]);
  else if (symbol === "triangle") shapes.push(["polygon", { points: "17,2 22,11 12,11", fill: colour }]);
  else if (symbol === "diamond") shapes.push(["polygon", { points: "17,1 22,7 17,13 12,7", fill: colour }]);
  else shapes.push(["circle", { cx: 17, cy: 7, r: 4.5, fill: colour }]);
  return HS.drawing(34, 14, shapes);
}

/* Whose intervals are drawn: where all were, none could be read. */
function banded(picture) {
  const { lines } = picture.options;
  const method = lines.some((line) => line.method === picture.chapter.method) ? picture.chapter.method : "by-abundance";
  const few = lines.filter((line) => line.method === method || (picture.chapter.method && line.method === "global")).map((line) => line.name);
  return { few: few.length ? few : lines.slice(0, 1).map((line) => line.name), all: lines.map((line) => line.name), none: [] };
}

function band(name, rows, x, colour) {
  const data = rows.filter((row) => row.lo !== null && row.hi !== null).map((row) => [row[x], row.lo, row.hi]);
  return {
    name, type: "custom", silent: true, clip: true, z: 1, color: colour, data, encode: { x: 0, y: [1, 2] },
    renderItem(parameters, api) {
      if (parameters.context.drawn || data.length < 2) return null;
      parameters.context.drawn = true; // one shape for all points
      const edge = (k) => data.map((row) => api.coord([row[0], row[k]]));
      return { type: "polygon", shape: { points: [...edge(1), ...edge(2).reverse()] }, style: { fill: colour, opacity: 0.16 } };
    },
  };
}

const judged = (picture) => picture.options.metrics.filter((one) => one.metric !== "brier").slice(0, 4);

HS.kinds.lines = {
  controls: ["bands"],
  bands: banded,
  keys: (picture, theme) => picture.options.lines.map((line) => ({ name: line.name, drawing: sample(lookOf(picture, line, theme), theme), shown: !(picture.state.hidden || []).includes(line.name) })),
  panels: (picture) => judged(picture).map((one) => ({ title: one.name, height: 300 })),
  across: 2,
  option(picture, index, theme, width) {
    const metric = judged(picture)[index];
    const { x, axis, log, percent, lines } = picture.options;
    const every = HS.rows(picture, picture.frames[0].name).filter((row) => row.metric === metric.metric && row.mean !== null);
    const shown = lines.filter((line) => !(picture.state.hidden || []).includes(line.name));
    const of = (line) => every.filter((row) => row.method === line.name).sort((a, b) => a[x] - b[x]);
    const places = HS.distinct(every.map((row) => row[x])).sort((a, b) => a - b);
    const said = (value) => (percent ? `${Math.round(100 * value)} %` : HS.short(value));
    const shownBands = banded(picture)[picture.state.bands];
    return HS.base(theme, {
      ...HS.zoom(theme, ["xAxisIndex", "yAxisIndex"], -14),
      grid: { left: 58, right: 18, top: 26, bottom: 48 },
      xAxis: HS.axis(theme, axis, {
        type: log ? "log" : "value", min: places[0], max: places[places.length - 1], splitLine: { show: false },
        axisTick: { customValues: places, lineStyle: { color: theme.even } }, axisLabel: { customValues: places, formatter: said, hideOverlap: true, showMaxLabel: true },
      }),
      yAxis: HS.axis(theme, `${metric.name} (${metric.higher ? "higher" : "lower"} is better)`, { type: "value", scale: true, nameGap: 44, axisLabel: { formatter: HS.short } }),
      tooltip: {
        trigger: "axis", axisPointer: { type: "line", lineStyle: { color: theme.even } },
        // Below the panel, so that it hides none of the lines that it is about.
        confine: false, position: ([across], points, element, place, { contentSize, viewSize }) => [Math.max(0, Math.min(across - contentSize[0] / 2, viewSize[0] - contentSize[0])), viewSize[1] - 20],
        formatter(points) {
          const at = points[0].data[0];
          const rows = every.filter((row) => row[x] === at && shown.some((line) => line.name === row.method)).sort((a, b) => (metric.higher ? b.mean - a.mean : a.mean - b.mean));
          const range = (row) => (row.lo === null || width < 420 ? "" : ` [${HS.number(row.lo)}, ${HS.number(row.hi)}]`);
          return HS.tip(`${metric.name} at ${percent ? said(at) : `${x} = ${HS.count(at)}`}`, rows.map((row) => [row.method, `${HS.number(row.mean)}${range(row)}`]));
        },
      },
      series: shown.flatMap(function (line) {
        const { colour, symbol, dash } = lookOf(picture, line, theme);
        const rows = of(line);
        return [
          ...(shownBands.includes(line.name) ? [band(line.name, rows, x, colour)] : []),
          {
            name: line.name, type: "line", symbol: symbol === "emptyCircle" ? "circle" : symbol, symbolSize: symbol === "rect" ? 7 : 8, showAllSymbol: true, color: colour, z: line.method === picture.chapter.method ? 4 : 3,
            lineStyle: { color: colour, width: line.method === picture.chapter.method ? 3 : 2, type: dash }, emphasis: { focus: "series" },
            itemStyle: symbol === "emptyCircle" ? { color: theme.card, borderColor: colour, borderWidth: 2 } : { color: colour },
            data: rows.map((row) => [row[x], row.mean]),
          },
        ];
      }),
    });
  },
};

/* Kinds of trees look like the methods that they are: "adaptive" is the paper's name of the third. */
const METHOD_OF = { adaptive: "by-abundance" };

HS.kinds.trees = {
  controls: [],
  panels: (picture) => picture.options.metrics.slice(0, 4).map((one) => ({ title: one.name, height: 80 + 24 * HS.distinct(HS.rows(picture, "trees").map((row) => row.model)).length })),
  across: 2,
  option(picture, index, theme) {
    const metric = picture.options.metrics[index];
    const rows = HS.rows(picture, "trees").filter((row) => row.metric === metric.metric);
    const kindOf = (row) => row.model.split(" ")[0];
    const kinds = HS.distinct(rows.map(kindOf));
    const methods = kinds.map((kind) => METHOD_OF[kind] || kind);
    const best = rows.filter((row) => row.mean !== null).reduce((a, b) => (a && (metric.higher ? a.mean >= b.mean : a.mean <= b.mean) ? a : b), null);
    return HS.base(theme, {
      grid: { left: 118, right: 16, top: 10, bottom: 46 },
      xAxis: HS.axis(theme, `${metric.name} (${metric.higher ? "higher" : "lower"} is better)`, { type: "value", scale: true, axisLabel: { formatter: HS.short } }),
      yAxis: HS.axis(theme, "", {
        type: "category", inverse: true, data: rows.map((row) => row.model), splitLine: { show: true, lineStyle: { color: theme.line, type: "dotted" } },
        axisLabel: { interval: 0, hideOverlap: false, formatter: (text) => (best && text === best.model ? `{best|${HS.cut(text, 16)}}` : HS.cut(text, 16)), rich: { best: { fontWeight: "bold", color: theme.ink, fontSize: 12 } } },
      }),
      tooltip: { trigger: "axis", axisPointer: { type: "shadow" }, formatter: (found) => { const row = rows[found[0].dataIndex === undefined ? 0 : found[0].value[0]]; return HS.tip(row.model, [[metric.name, HS.number(row.mean)], ["standard deviation", HS.number(row.sd)], ["seeds", HS.count(picture.options.seeds)]]); } },
      series: kinds.map((kind, k) => points(kind,
        rows.map((row, place) => [row, place]).filter(([row]) => kindOf(row) === kind && row.mean !== null).map(([row, place]) => [place, row.mean, row.mean - (row.sd || 0), row.mean + (row.sd || 0)]),
        HS.colour(methods[k], methods, theme), HS.symbol(methods[k], methods), 0, true)),
    });
  },
};
