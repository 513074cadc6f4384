"use strict";
/* Colours that differ for colour-blind readers as well, symbols beside them, and what all charts share. */
HS.themes = {
  light: {
    ink: "#1b1f24", quiet: "#545d68", line: "#d5dae1", card: "#ffffff", good: "#0067a5", bad: "#b34700", even: "#767f8b",
    methods: ["#0072b2", "#c84e00", "#00805c", "#a8437f", "#8f6b00", "#332288", "#117fa3", "#7a4b2a"],
    groups: ["#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#2ca25f", "#5a9e2f", "#8a8f1a", "#a98600"],
  },
  dark: {
    ink: "#e8ebef", quiet: "#a9b2bd", line: "#353e4a", card: "#1b2129", good: "#5ab4ef", bad: "#f2965a", even: "#8a94a1",
    methods: ["#56b4e9", "#f0884a", "#2fc79b", "#e79cc7", "#f0c43c", "#b9a8ff", "#7fdbe8", "#d9a37a"],
    groups: ["#a06bd6", "#8f7be6", "#7f8ff0", "#6fa8ee", "#5fbfe0", "#58d0c4", "#66dba0", "#94e27a", "#c8e35c", "#fde725"],
  },
};
HS.symbols = ["circle", "rect", "triangle", "diamond"];

HS.dark = matchMedia("(prefers-color-scheme: dark)").matches;
HS.theme = () => HS.themes[HS.dark ? "dark" : "light"];

/* The place of a method among those of all chapters, so that it looks the same in every picture; a picture's others come after. */
HS.methods = HS.distinct(HS.data.chapters.flatMap((chapter) => chapter.methods));
function place(method, methods) {
  return Math.max(HS.distinct([...HS.methods, ...methods]).filter((name) => name !== "global").indexOf(method), 0);
}

HS.colour = (method, methods, theme) => (method === "global" ? theme.even : theme.methods[place(method, methods) % theme.methods.length]);
HS.symbol = function (method, methods) {
  const k = place(method, methods); // a colour that comes again has another symbol
  return method === "global" ? "emptyCircle" : HS.symbols[(k + Math.floor(k / HS.themes.light.methods.length)) % HS.symbols.length];
};

/* Methods that a picture shows at first: all where they are few, else global, the chosen one and the next few. */
HS.selected = function (methods, picture) {
  if (picture.state.selected) return picture.state.selected;
  const first = HS.distinct(["global", picture.chapter.method, ...methods]).slice(0, 5);
  return Object.fromEntries(methods.map((name) => [name, methods.length <= 6 || first.includes(name)]));
};

HS.axis = function (theme, name, more = {}) {
  return {
    name, nameLocation: "middle", nameGap: 30, nameTextStyle: { color: theme.quiet, fontSize: 12 },
    axisLabel: { color: theme.quiet, fontSize: 12, hideOverlap: true, ...(more.axisLabel || {}) },
    axisLine: { show: true, onZero: false, lineStyle: { color: theme.even } }, axisTick: { lineStyle: { color: theme.even } },
    splitLine: { lineStyle: { color: theme.line } }, ...Object.fromEntries(Object.entries(more).filter(([key]) => key !== "axisLabel")),
  };
};

HS.base = function (theme, more) {
  return {
    animation: false, textStyle: { fontFamily: "system-ui, Segoe UI, Helvetica Neue, Arial, sans-serif", color: theme.ink },
    backgroundColor: "transparent",
    tooltip: { backgroundColor: theme.card, borderColor: theme.even, textStyle: { color: theme.ink, fontSize: 13 }, confine: true, ...(more.tooltip || {}) },
    ...Object.fromEntries(Object.entries(more).filter(([key]) => key !== "tooltip")),
  };
};

HS.legend = (theme, more = {}) => ({
  type: "scroll", top: 0, itemWidth: 14, itemHeight: 10, itemGap: 12, textStyle: { color: theme.ink, fontSize: 12 }, inactiveColor: theme.even,
  pageTextStyle: { color: theme.ink }, pageIconColor: theme.ink, pageIconInactiveColor: theme.even, ...more,
});

/* Zoom by dragging a box, or with ctrl and the wheel, so that the page still scrolls. */
HS.zoom = (theme, axes, top = 10) => ({
  toolbox: {
    right: 8, top, itemSize: 14, iconStyle: { borderColor: theme.quiet },
    feature: { dataZoom: { ...Object.fromEntries(["xAxisIndex", "yAxisIndex"].map((axis) => [axis, axes.includes(axis) ? 0 : false])), title: { zoom: "Zoom: drag a box", back: "Zoom back" } }, restore: { title: "Whole picture" } },
  },
  dataZoom: axes.map((axis) => ({ type: "inside", [axis]: 0, filterMode: "none", zoomOnMouseWheel: "ctrl", moveOnMouseMove: "ctrl" })),
});

HS.cut = (text, longest) => (text.length > longest ? `${text.slice(0, longest - 1)}…` : text);
