// The last minute as a chart: writes and pushes for each second.

const SECONDS = 60;
const HEIGHT = 208;
const DARK = matchMedia('(prefers-color-scheme: dark)');

/** Draws in `box`; made when it is first shown, because a hidden box has no width. */
export function makeChart(box) {
  let plot = null;

  const colour = (name) => getComputedStyle(box).getPropertyValue(name).trim();

  function make(data) {
    const axis = { stroke: colour('--soft'), grid: { stroke: colour('--line'), width: 1 }, ticks: { show: false }, font: '12px system-ui, sans-serif' };
    const line = (label, name) => ({ label, stroke: colour(name), fill: `${colour(name)}22`, width: 2, points: { show: false } });
    return new globalThis.uPlot({
      width: box.clientWidth,
      height: HEIGHT,
      legend: { show: false },
      cursor: { show: false },
      scales: { x: { time: false, range: [-SECONDS, -1] }, y: { range: (_, low, high) => [0, Math.max(5, high * 1.15)] } },
      axes: [
        { ...axis, size: 26, values: (_, ticks) => ticks.map((second) => `${second} s`) },
        { ...axis, size: 48 },
      ],
      series: [{}, line('writes', '--writes'), line('pushes', '--pushes')],
    }, data, box);
  }

  function drop() {
    plot?.destroy();
    plot = null;
  }

  DARK.addEventListener('change', drop);
  new ResizeObserver(() => plot && box.clientWidth > 0 && plot.setSize({ width: box.clientWidth, height: HEIGHT })).observe(box);

  return {
    draw({ writes, pushes }) {
      if (box.clientWidth === 0 || !globalThis.uPlot) return;
      const data = [writes.map((_, index) => index - SECONDS), writes, pushes];
      if (plot) plot.setData(data);
      else plot = make(data);
    },
  };
}
